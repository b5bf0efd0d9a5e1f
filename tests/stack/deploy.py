"""Deployment test: deploys the chat to an emulator of AWS with the SAM CLI and runs a conversation.

`make deploy-test` runs it on the output of `sam build`. The steps are: `sam deploy`, a conversation,
the acceptance check with `sam deploy` without a change, `sam deploy` with a change, another conversation, `sam delete`.
docs/deploying-role.json must allow every call of the SAM CLI. The emulator is MiniStack on a free port. The test leaves
no files or processes behind.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
from accept import ONLY_ON_AWS
from api_calls import ApiCalls
from deploying_role import resources_of
from samcli.yamlhelper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / ".aws-sam" / "build"
STACK = "chat"
# Form of the API's host name in the template.
AWS_HOST = ".execute-api.${AWS::Region}.${AWS::URLSuffix}"
# Time limit for one command, in seconds. The slowest takes about 15 s.
TIMEOUT = 180


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--architecture",
        required=True,
        help="architecture that `sam build` compiled for",
    )
    arguments.add_argument("--emulator", required=True, help="path of the program `ministack`")
    arguments.add_argument("--smoke", required=True, help="path of the program `smoke`")
    arguments = arguments.parse_args()
    # Makes SIGTERM run the `finally` blocks, as a failure does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    program = pathlib.Path(arguments.emulator).absolute()
    with (
        tempfile.TemporaryDirectory(prefix="deploy-test-") as folder,
        emulator(program, folder) as port,
    ):
        template = pathlib.Path(folder) / "template.json"
        template.write_text(json.dumps(fit_for_emulator(yaml_parse((BUILT / "template.yaml").read_text()), port)))
        with ApiCalls() as calls:
            environment = emulator_environment(port)
            of_sam = environment | calls.environment
            test_deployments(template, f"Architecture={arguments.architecture}", arguments.smoke, environment, of_sam)
        test_deploying_role(calls.permissions)


def test_deploying_role(permissions):
    """Compares the permissions that the SAM CLI needed with the policy of the deploying role."""
    print_step(f"the deploying role may do what sam did: {', '.join(sorted(permissions))}")
    check({"cloudformation:CreateChangeSet", "s3:PutObject"} <= permissions, "the calls of sam were not recorded")
    refused = {permission for permission in permissions if not resources_of(permission)}
    check(not refused, f"docs/deploying-role.json does not allow {refused}")


def test_deployments(template, architecture, smoke, environment, of_sam):
    """Creates, updates and deletes the stack, with a conversation on each version. `of_sam` is sam's environment."""
    clients = {
        name: boto3.client(
            name,
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        for name in ["cloudformation", "dynamodb", "s3"]
    }
    test_package(of_sam, clients["s3"], template.parent)

    # The other options come from samconfig.toml, as in every deployment.
    deploy = [
        *[sam_program(), "deploy", "--config-file", str(ROOT / "samconfig.toml"), "--template-file", str(template)],
        *["--no-progressbar", "--parameter-overrides", architecture, "AuthMode=open"],
        # MiniStack does not support nested stacks or alarms on metric math expressions.
        "Monitoring=false",
    ]

    def outputs():
        stack = clients["cloudformation"].describe_stacks(StackName=STACK)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    print_step("sam deploy: a new stack")
    run(of_sam, *deploy)
    first = outputs()
    check(first["WebSocketUrl"].endswith("/prod"), first)
    print_step("a conversation")
    run(environment, smoke, first["WebSocketUrl"])

    print_step("the acceptance check, with sam deploy without a change")
    accept = [sys.executable, str(ROOT / "tests/stack/accept.py"), "--emulator", "--stack", STACK]
    seen = run(environment, *accept, "--region", environment["AWS_DEFAULT_REGION"], "--deploy", shlex.join(deploy))
    print(seen, end="")
    not_shown = {line.removeprefix("not shown").strip() for line in seen.splitlines() if line.startswith("not shown")}
    check(not_shown == {f"{title}: {reason}" for title, reason in ONLY_ON_AWS.items()}, not_shown)
    check("No changes to deploy" in seen, "a deployment without a change changes something")
    check(outputs() == first, outputs())

    print_step("sam deploy with a changed parameter")
    run(of_sam, *deploy, "StageName=next")
    changed = outputs()
    check(
        changed["WebSocketUrl"] == first["WebSocketUrl"].removesuffix("prod") + "next",
        changed,
    )
    check(
        changed["MessagesTableName"] == first["MessagesTableName"],
        "the table of messages was replaced",
    )
    print_step("a conversation on the changed stack")
    run(environment, smoke, changed["WebSocketUrl"])

    print_step("sam delete")
    retained = {first[f"{table}TableName"] for table in ["Messages", "Conversations", "Members"]}
    sam(
        of_sam,
        "delete",
        "--stack-name",
        STACK,
        "--region",
        environment["AWS_DEFAULT_REGION"],
        "--no-prompts",
    )
    with contextlib.suppress(clients["cloudformation"].exceptions.ClientError):
        state = clients["cloudformation"].describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        check(state == "DELETE_COMPLETE", state)
    tables = clients["dynamodb"].list_tables()["TableNames"]
    check(
        set(tables) == retained,
        f"all tables but that of connections are retained: {tables}",
    )


def test_package(environment, s3, folder):
    """Uploads the unchanged build output, nested template included, as `sam deploy` does."""
    print_step("sam package")
    bucket, packaged = "package", folder / "packaged.yaml"
    s3.create_bucket(Bucket=bucket)
    sam(
        environment,
        "package",
        *["--template-file", str(BUILT / "template.yaml")],
        *["--output-template-file", str(packaged)],
        *["--s3-bucket", bucket],
        "--no-progressbar",
    )
    nested = yaml_parse(packaged.read_text())["Resources"]["MonitoringStack"]["Properties"]
    key = urllib.parse.urlsplit(nested["TemplateURL"]).path.removeprefix(f"/{bucket}/")
    uploaded = yaml_parse(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())
    names = set(nested["Parameters"])
    check(set(uploaded["Parameters"]) == names, f"the nested template has other parameters: {names}")
    check("ChatDashboard" in uploaded["Resources"], "the nested template has no dashboard")


def fit_for_emulator(template, port):
    """Returns the built template without features that MiniStack lacks. AWS gets the unmodified template."""
    resources = template["Resources"]
    # MiniStack sends replies without route responses and refuses to create them.
    for name in [
        name for name, resource in resources.items() if resource["Type"] == "AWS::ApiGatewayV2::RouteResponse"
    ]:
        del resources[name]
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = str(BUILT / name)
    # `sam delete` refuses an address of the emulator, and `sam deploy` leaves an AWS address
    # unchanged. `test_package` uploads the real file.
    resources["MonitoringStack"]["Properties"]["TemplateURL"] = "https://s3.us-east-1.amazonaws.com/none/none"
    # MiniStack serves all APIs at one address, without TLS.
    address = f"127.0.0.1:{port}/_aws/execute-api/${{ChatApi}}"
    text = json.dumps(template)
    for secure, plain in [("https", "http"), ("wss", "ws")]:
        text = text.replace(f"{secure}://${{ChatApi}}{AWS_HOST}", f"{plain}://{address}")
    check(
        text.count(address) >= 2,
        "the template has the API's address in an unexpected form",
    )
    return json.loads(text)


@contextlib.contextmanager
def emulator(program, folder):
    """Runs MiniStack on a free port. Its processes, including functions, end with the `with` block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = emulator_environment(port) | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        # Disables servers that use other ports.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": folder,
    }
    log = pathlib.Path(folder) / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}/_ministack/health")
        yield port
    except BaseException:
        print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(process, url):
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise Failure("the emulator did not start")


def emulator_environment(port):
    """Environment variables that select the emulator and hide the user's credentials."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return inherited | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
    }


def sam(environment, *arguments):
    return run(environment, sam_program(), *arguments)


def sam_program():
    return shutil.which("sam", path=str(pathlib.Path(sys.executable).parent)) or "sam"


def run(environment, *command):
    """Runs a command and returns its output. A failure prints the output."""
    try:
        done = subprocess.run(
            command,
            check=False,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{command[:2]} took more than {TIMEOUT} s: {error.output}") from error
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Failure(Exception):
    """A check or a command failed."""


def check(condition, message):
    if not condition:
        raise Failure(str(message))


def print_step(text):
    print(f"{time.monotonic() - START:6.1f} s  {text}", flush=True)


START = time.monotonic()

if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"deploy-test: {failure}")
    print_step("done")
