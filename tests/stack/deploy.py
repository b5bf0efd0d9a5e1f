"""Deploys the chat to an emulator of AWS, with AWS's own tools, and talks over it.

`make deploy-test` runs it on what `sam build` made: `sam deploy`, a conversation, `sam deploy` again without and with a
change, another conversation, `sam delete`. The emulator is MiniStack, on a free port; nothing of it stays behind.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import boto3
from samcli.yamlhelper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / ".aws-sam" / "build"
STACK = "chat"
# What AWS's own host is called in a template.
HOST = ".execute-api.${AWS::Region}.${AWS::URLSuffix}"
# In seconds, for one command; the slowest takes some 15.
PATIENCE = 180


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--architecture", required=True, help="what `sam build` compiled for")
    arguments.add_argument("--emulator", required=True, help="the program `ministack`")
    arguments.add_argument("--smoke", required=True, help="the program that talks: testkit's example `smoke`")
    arguments = arguments.parse_args()
    # So that a stop is as orderly as a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    program = pathlib.Path(arguments.emulator).absolute()
    with tempfile.TemporaryDirectory(prefix="deploy-test-") as folder, emulator(program, folder) as port:
        template = pathlib.Path(folder) / "template.json"
        template.write_text(json.dumps(fit_for_emulator(yaml_parse((BUILT / "template.yaml").read_text()), port)))
        play(template, f"Architecture={arguments.architecture}", arguments.smoke, port)


def play(template, architecture, smoke, port):
    """The life of a stack."""
    environment = aws(port)
    client = {
        name: boto3.client(
            name,
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        for name in ["cloudformation", "dynamodb"]
    }

    def deploy(*parameters):
        # The capabilities and the rest come from samconfig.toml, as for everybody.
        return sam(
            environment, "deploy", "--config-file", str(ROOT / "samconfig.toml"), "--template-file", str(template),
            "--no-progressbar", "--parameter-overrides", architecture, "AuthMode=open",
            # It knows no alarm over an expression.
            "Monitoring=false", *parameters,
        )

    def outputs():
        stack = client["cloudformation"].describe_stacks(StackName=STACK)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    step("sam deploy: a new stack")
    deploy()
    first = outputs()
    check(first["WebSocketUrl"].endswith("/prod"), first)
    step("a conversation over it")
    run(environment, smoke, first["WebSocketUrl"])

    step("sam deploy again: no change")
    said = deploy()
    check("No changes to deploy" in said, said)
    check(outputs() == first, outputs())

    step("sam deploy with another parameter")
    deploy("StageName=next")
    changed = outputs()
    check(changed["WebSocketUrl"] == first["WebSocketUrl"].removesuffix("prod") + "next", changed)
    check(changed["MessagesTableName"] == first["MessagesTableName"], "the messages are where they were")
    step("a conversation over that")
    run(environment, smoke, changed["WebSocketUrl"])

    step("sam delete")
    kept = {first["MessagesTableName"], first["ConversationsTableName"]}
    sam(environment, "delete", "--stack-name", STACK, "--region", environment["AWS_DEFAULT_REGION"], "--no-prompts")
    with contextlib.suppress(client["cloudformation"].exceptions.ClientError):
        state = client["cloudformation"].describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        check(state == "DELETE_COMPLETE", state)
    tables = client["dynamodb"].list_tables()["TableNames"]
    check(set(tables) == kept, f"the messages and the receipts stay, and nothing else: {tables}")


def fit_for_emulator(template, port):
    """The built template without what MiniStack lacks; AWS gets it as it is."""
    resources = template["Resources"]
    # It sends replies without them.
    for name in [name for name, resource in resources.items() if resource["Type"] == "AWS::ApiGatewayV2::RouteResponse"]:
        del resources[name]
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = str(BUILT / name)
    # It serves every API at one address, and none by TLS.
    here = f"127.0.0.1:{port}/_aws/execute-api/${{ChatApi}}"
    text = json.dumps(template)
    for theirs, ours in [("https", "http"), ("wss", "ws")]:
        text = text.replace(f"{theirs}://${{ChatApi}}{HOST}", f"{ours}://{here}")
    check(text.count(here) >= 2, "the template names the API's address otherwise than it did")
    return json.loads(text)


@contextlib.contextmanager
def emulator(program, folder):
    """MiniStack on a free port; it and the functions that it started end with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = aws(port) | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        # Further servers, on ports of their own.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": folder,
    }
    log = pathlib.Path(folder) / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(process, f"http://127.0.0.1:{port}/_ministack/health", log)
        yield port
    except BaseException:
        print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(process, url, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise Failure("the emulator did not start")


def aws(port):
    """The environment of everything here: the emulator as AWS, and nobody's real credentials."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
    }


def sam(environment, *arguments):
    program = shutil.which("sam", path=str(pathlib.Path(sys.executable).parent)) or "sam"
    return run(environment, program, *arguments)


def run(environment, *command):
    """What the command says; it is shown only where the command fails."""
    try:
        done = subprocess.run(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{command[:2]} took more than {PATIENCE} s: {late.output}") from late
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Failure(Exception):
    """Something is not as it should be."""


def check(holds, otherwise):
    if not holds:
        raise Failure(str(otherwise))


def step(what):
    now = time.monotonic()
    print(f"{now - BEGAN:6.1f} s  {what}", flush=True)


BEGAN = time.monotonic()

if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"deploy-test: {failure}")
    step("done")
