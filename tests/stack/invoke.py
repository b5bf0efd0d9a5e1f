"""Runs functions in SAM's container, on tables that this machine serves, and shows what a client would see.

`make invoke FUNCTION=… EVENT=…` runs one, on the tables of `make run`; `make invoke-test` runs every event of `events/`
in the order of the README, on empty tables, and checks each reply.
"""

import argparse
import contextlib
import ipaddress
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

import boto3

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
IMAGE = "public.ecr.aws/lambda/provided:al2023"
# What a container calls the machine that it runs on.
HOST = "host.docker.internal"
# In seconds. The first run may have to fetch the image.
PATIENCE = 300


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--architecture", required=True, help="what `sam build` compiled for")
    arguments.add_argument("--check", action="store_true", help="every event, each reply checked")
    arguments.add_argument("function", nargs="?", help="its name in template.yaml")
    arguments.add_argument("event", nargs="?", help="a file of events/")
    arguments = arguments.parse_args()
    if not arguments.check and not arguments.event:
        raise Failure("which one? make invoke FUNCTION=SendFunction EVENT=events/send.json")
    if arguments.event and not pathlib.Path(arguments.event).is_file():
        raise Failure(f"there is no file {arguments.event}")
    # So that a stop is as orderly as a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="invoke-") as folder, tables(folder, arguments.check) as url:
        run = Functions(folder, arguments.architecture, url)
        if arguments.check:
            check_all(run, url)
        else:
            print(seen_by_client(run(arguments.function, arguments.event)))


def check_all(run, url):
    """The events in the order of the README; each reply is what its client should see."""
    dynamodb = boto3.client(
        "dynamodb", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    played = set()

    def invoke(function, name):
        event = ROOT / "events" / f"{name}.json"
        played.add(event)
        reply = run(function, event)
        print(f"{time.monotonic() - BEGAN:6.1f} s  {function} {event.name}: {seen_by_client(reply, indent=None)}", flush=True)
        return reply

    def connections():
        return [row["connectionId"]["S"] for row in dynamodb.scan(TableName="ClientsTable")["Items"]]

    event = json.loads((ROOT / "events" / "connect.json").read_text())["requestContext"]
    user = event["authorizer"]["userId"]

    reply = invoke("AuthorizerFunction", "authorizer")
    statement = reply["policyDocument"]["Statement"][0]
    equal((statement["Effect"], reply["principalId"], reply["context"]["userId"]), ("Allow", user, user))

    equal(invoke("ConnectFunction", "connect")["statusCode"], 200)
    equal(connections(), [event["connectionId"]])

    first = frame(invoke("SendFunction", "send"))
    equal((first["type"], first["ref"], first["value"]["seq"], first["value"]["duplicate"]), ("sent", "1", 1, False))
    again = frame(invoke("SendFunction", "send"))
    equal(again["value"], first["value"] | {"duplicate": True})

    page = frame(invoke("HistoryFunction", "history"))
    stored = {name: first["value"][name] for name in ["messageId", "seq", "createdAt", "conversationId"]}
    stored |= {"senderId": user, "recipientId": "bob", "content": "Hello, Bob!"}
    stored["clientMessageId"] = first["value"]["clientMessageId"]
    equal((page["type"], page["ref"], page["value"]["messages"]), ("messages", "2", [stored]))

    inbox = frame(invoke("InboxFunction", "inbox"))
    summary = {"conversationId": stored["conversationId"], "peerId": "bob", "lastMessage": stored}
    summary |= {"readSeq": 1, "peerReadSeq": 0, "unread": 0}
    equal((inbox["type"], inbox["ref"], inbox["value"]), ("conversations", "4", {"conversations": [summary]}))

    read = {"conversationId": stored["conversationId"], "userId": user, "seq": 1}
    equal(frame(invoke("ReadFunction", "read")), {"type": "read", "ref": "5", "value": read})

    equal(frame(invoke("FallbackFunction", "fallback")), {"type": "pong", "ref": "3"})

    equal(invoke("DisconnectFunction", "disconnect")["statusCode"], 200)
    equal(connections(), [])

    equal(played, set((ROOT / "events").iterdir()))


class Functions:
    """The functions as `sam build` left them, each call in a container of its own."""

    def __init__(self, folder, architecture, url):
        # SAM evaluates no condition here, so the template's parameter would not do.
        variables = pathlib.Path(folder) / "variables.json"
        port = url.rsplit(":", 1)[1]
        variables.write_text(json.dumps({"Parameters": {"AWS_ENDPOINT_URL_DYNAMODB": f"http://{HOST}:{port}"}}))
        self.options = [
            "--parameter-overrides", f"Architecture={architecture} AuthMode=open", "--env-vars", str(variables),
            "--add-host", f"{HOST}:host-gateway",
        ]
        # SAM asks the registry for a newer one each time, unless it is told not to.
        if quiet("docker", "image", "inspect", f"{IMAGE}-{architecture}").returncode == 0:
            self.options.append("--skip-pull-image")

    def __call__(self, function, event):
        """What the function answers."""
        program = shutil.which("sam", path=str(pathlib.Path(sys.executable).parent)) or "sam"
        # No credentials, whatever there is on this machine: SAM would ask AWS whose they are, and hand them to the
        # function. Without, it hands over some that mean nothing.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
        }
        done = quiet(
            program, "local", "invoke", function, "--event", str(pathlib.Path(event).absolute()), *self.options,
            env=environment,
        )
        try:
            reply = json.loads(done.stdout)
        except ValueError:
            raise Failure(f"{function} did not answer:\n{done.stderr}{done.stdout}") from None
        if done.returncode != 0 or "errorMessage" in reply:
            raise Failure(f"{function} failed:\n{done.stderr}{done.stdout}")
        return reply


def seen_by_client(reply, indent=2):
    """The frame; on (dis)connecting the status; of the authorizer, which no client sees, all."""
    if reply.get("body"):
        return json.dumps(frame(reply), indent=indent, ensure_ascii=False)
    if "statusCode" in reply:
        return f"status {reply['statusCode']}"
    return json.dumps(reply, indent=indent, ensure_ascii=False)


def frame(reply):
    return json.loads(reply["body"])


def reached_by_containers():
    """The address of this machine that leads containers to it, and nobody else."""
    found = quiet("docker", "network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}")
    if found.returncode != 0:
        raise Failure(f"Docker does not answer: {found.stderr.strip()}")
    network = json.loads(found.stdout)
    # Some versions don't name the gateway; it is the first address then.
    gateway = network.get("Gateway") or str(next(ipaddress.ip_network(network["Subnet"]).hosts()))
    try:
        with socket.socket() as probe:
            probe.bind((gateway, 0))
        return gateway
    except OSError:
        # Docker runs in a machine of its own, and leads to the loopback of this one.
        return "127.0.0.1"


@contextlib.contextmanager
def tables(folder, in_memory):
    """The template's tables on a free port; SQLite lets `make run` use the same file meanwhile."""
    ready, log = pathlib.Path(folder) / "ready.json", pathlib.Path(folder) / "log"
    command = [
        "target/debug/ws-local", "--only-dynamodb", "--dynamodb-host", reached_by_containers(), "--dynamodb-port", "0",
        "--ready-file", str(ready), *(["--memory"] if in_memory else []),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + PATIENCE
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise Failure(f"the tables can't be served: {log.read_text()}")
            time.sleep(0.02)
        yield json.loads(ready.read_text())["dynamodb"]
    finally:
        process.terminate()
        process.wait()


def quiet(*command, env=None):
    try:
        return subprocess.run(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{' '.join(command[:3])} took more than {PATIENCE} s: {late.stderr}") from late


class Failure(Exception):
    """Something is not as it should be."""


def equal(found, expected):
    if found != expected:
        raise Failure(f"expected {expected}\nfound {found}")


BEGAN = time.monotonic()

if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
