"""Runs functions in SAM's container, with tables on this machine, and prints what a client would receive.

`make invoke FUNCTION=… EVENT=…` runs one function on the tables of `make run`. `make invoke-test` runs every event of
`events/` on empty tables and checks each reply.
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
# Host name of this machine, as seen from a container.
HOST = "host.docker.internal"
# Time limit for one command, in seconds. The first run may have to download the image.
TIMEOUT = 300


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--architecture",
        required=True,
        help="architecture that `sam build` compiled for",
    )
    arguments.add_argument("--check", action="store_true", help="run every event and check each reply")
    arguments.add_argument("function", nargs="?", help="logical id in template.yaml")
    arguments.add_argument("event", nargs="?", help="file with the event, such as events/send.json")
    arguments = arguments.parse_args()
    if not arguments.check and not arguments.event:
        raise Failure("name a function and an event: make invoke FUNCTION=SendFunction EVENT=events/send.json")
    if arguments.event and not pathlib.Path(arguments.event).is_file():
        raise Failure(f"{arguments.event} does not exist")
    # Makes SIGTERM run the `finally` blocks, as a failure does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with (
        tempfile.TemporaryDirectory(prefix="invoke-") as folder,
        tables(folder, arguments.check) as url,
    ):
        invoke = Functions(folder, arguments.architecture, url)
        if arguments.check:
            check_all(invoke, url)
        else:
            print(client_view(invoke(arguments.function, arguments.event)))


def check_all(function_invoker, url):
    """Invokes the functions with every event, in the order of a conversation, and checks the replies."""
    dynamodb = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    used = set()

    def invoke(function, name):
        event = ROOT / "events" / f"{name}.json"
        used.add(event)
        reply = function_invoker(function, event)
        print(
            f"{time.monotonic() - START:6.1f} s  {function} {event.name}: {client_view(reply, indent=None)}",
            flush=True,
        )
        return reply

    def connection_ids():
        items = dynamodb.scan(TableName="ClientsTable")["Items"]
        return [name.removeprefix("c:") for item in items for name in item if name.startswith("c:")]

    event = json.loads((ROOT / "events" / "connect.json").read_text())["requestContext"]
    user = event["authorizer"]["userId"]

    reply = invoke("AuthorizerFunction", "authorizer")
    statement = reply["policyDocument"]["Statement"][0]
    check_equal(
        (statement["Effect"], reply["principalId"], reply["context"]["userId"]),
        ("Allow", user, user),
    )

    check_equal(invoke("ConnectFunction", "connect")["statusCode"], 200)
    check_equal(connection_ids(), [event["connectionId"]])

    first = frame(invoke("SendFunction", "send"))
    check_equal(
        (
            first["type"],
            first["ref"],
            first["value"]["seq"],
            first["value"]["duplicate"],
        ),
        ("sent", "1", 1, False),
    )
    duplicate = frame(invoke("SendFunction", "send"))
    check_equal(duplicate["value"], first["value"] | {"duplicate": True})

    page = frame(invoke("HistoryFunction", "history"))
    stored = {name: first["value"][name] for name in ["messageId", "seq", "createdAt", "conversationId"]}
    stored |= {"senderId": user, "recipientId": "bob", "content": "Hello, Bob!"}
    stored["clientMessageId"] = first["value"]["clientMessageId"]
    check_equal(
        (page["type"], page["ref"], page["value"]["messages"]),
        ("messages", "2", [stored]),
    )

    inbox = frame(invoke("InboxFunction", "inbox"))
    summary = {
        "conversationId": stored["conversationId"],
        "peerId": "bob",
        "lastMessage": stored,
    }
    summary |= {"seq": 1, "readSeq": 1, "peerReadSeq": 0, "unread": 0}
    check_equal(
        (inbox["type"], inbox["ref"], inbox["value"]),
        ("conversations", "4", {"conversations": [summary]}),
    )

    read = {"conversationId": stored["conversationId"], "userId": user, "peerId": "bob", "seq": 1}
    check_equal(
        frame(invoke("ReadFunction", "read")),
        {"type": "read", "ref": "5", "value": read},
    )

    changes = [
        ("edit", {"content": "Hello, Bobby!"}),
        ("react", {"reactions": {"👍": [user]}}),
        ("delete", {"content": ""}),
    ]
    for seq, (name, changed) in enumerate(changes, start=2):
        sent = frame(invoke("EditFunction", name))
        check_equal((sent["type"], sent["value"]["seq"], sent["value"]["duplicate"]), ("sent", seq, False))
        now = sent["value"]["changed"]
        check_equal({field: now[field] for field in changed}, changed)
        check_equal((now["messageId"], now["version"]), (stored["messageId"], seq))

    presence = frame(invoke("PresenceFunction", "presence"))
    check_equal((presence["type"], presence["value"]), ("presence", {"users": [{"userId": "bob", "online": False}]}))
    check_equal(invoke("PresenceFunction", "typing"), {"statusCode": 200})

    # The group's id is made from the request, so the events of the other two actions name this group.
    created = [frame(invoke("GroupFunction", "group")) for _ in range(2)]
    check_equal([(sent["type"], sent["ref"], sent["value"]["seq"]) for sent in created], [("sent", "11", 1)] * 2)
    check_equal([sent["value"]["duplicate"] for sent in created], [False, True])
    group = {name: created[0]["value"][name] for name in ["conversationId", "groupId"]}
    check_equal(group["conversationId"], f"group:{group['groupId']}")
    changed = frame(invoke("GroupFunction", "change-group"))
    check_equal((changed["type"], changed["ref"], changed["value"]["seq"]), ("sent", "12", 2))

    shown = frame(invoke("GroupFunction", "get-group"))
    members = [(user, "owner", 1), ("bob", "member", 1), ("carol", "member", 2)]
    settings = {"name": "Climbing", "history": "all", "posting": "all", "adding": "admins"}
    expected = group | settings | {"createdAt": created[0]["value"]["createdAt"], "seq": 2, "count": 3}
    expected |= {"you": {"role": "owner", "seen": 1}}
    expected |= {"members": [{"userId": name, "role": role, "at": at} for name, role, at in members]}
    check_equal((shown["type"], shown["ref"], shown["value"]), ("group", "13", expected))

    # A backend gets the frame itself, because no gateway unwraps it.
    sent = [invoke("ApiFunction", "api") for _ in range(2)]
    check_equal([(frame["type"], frame["ref"], frame["value"]["seq"]) for frame in sent], [("sent", "10", 1)] * 2)
    check_equal([frame["value"]["duplicate"] for frame in sent], [False, True])

    check_equal(frame(invoke("FallbackFunction", "fallback")), {"type": "pong", "ref": "3"})

    check_equal(invoke("DisconnectFunction", "disconnect")["statusCode"], 200)
    check_equal(connection_ids(), [])

    check_equal(used, set((ROOT / "events").iterdir()))


class Functions:
    """The output of `sam build`. Each invocation runs in a new container."""

    def __init__(self, folder, architecture, url):
        # `sam local` does not evaluate conditions, so the parameter DynamoDbEndpoint has no effect.
        variables = pathlib.Path(folder) / "variables.json"
        port = url.rsplit(":", 1)[1]
        variables.write_text(json.dumps({"Parameters": {"AWS_ENDPOINT_URL_DYNAMODB": f"http://{HOST}:{port}"}}))
        self.options = [
            "--parameter-overrides",
            f"Architecture={architecture} AuthMode=open",
            "--env-vars",
            str(variables),
            "--add-host",
            f"{HOST}:host-gateway",
        ]
        # Without this option, SAM asks the registry for a newer image each time.
        if run_captured("docker", "image", "inspect", f"{IMAGE}-{architecture}").returncode == 0:
            self.options.append("--skip-pull-image")

    def __call__(self, function, event):
        """Invokes a function and returns its reply."""
        program = shutil.which("sam", path=str(pathlib.Path(sys.executable).parent)) or "sam"
        # Hides the user's credentials. SAM would otherwise call AWS to resolve them and pass them
        # to the function. Without credentials, SAM passes placeholders.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
        }
        done = run_captured(
            program,
            "local",
            "invoke",
            function,
            "--event",
            str(pathlib.Path(event).absolute()),
            *self.options,
            env=environment,
        )
        try:
            reply = json.loads(done.stdout)
        except ValueError:
            raise Failure(f"{function} did not reply:\n{done.stderr}{done.stdout}") from None
        if done.returncode != 0 or "errorMessage" in reply:
            raise Failure(f"{function} failed:\n{done.stderr}{done.stdout}")
        return reply


def client_view(reply, indent=2):
    """The frame that a client receives, the status of a connect or disconnect, or the authorizer's whole reply."""
    if reply.get("body"):
        return json.dumps(frame(reply), indent=indent, ensure_ascii=False)
    if "statusCode" in reply:
        return f"status {reply['statusCode']}"
    return json.dumps(reply, indent=indent, ensure_ascii=False)


def frame(reply):
    return json.loads(reply["body"])


def container_gateway():
    """The address at which containers can reach this machine and other machines can't."""
    found = run_captured(
        "docker",
        "network",
        "inspect",
        "bridge",
        "--format",
        "{{json (index .IPAM.Config 0)}}",
    )
    if found.returncode != 0:
        raise Failure(f"Docker does not respond: {found.stderr.strip()}")
    network = json.loads(found.stdout)
    # Some versions of Docker omit the gateway. It is then the first address of the subnet.
    gateway = network.get("Gateway") or str(next(ipaddress.ip_network(network["Subnet"]).hosts()))
    try:
        with socket.socket() as probe:
            probe.bind((gateway, 0))
        return gateway
    except OSError:
        # Docker runs in a virtual machine, which forwards connections to the loopback interface of
        # this machine.
        return "127.0.0.1"


@contextlib.contextmanager
def tables(folder, in_memory):
    """Serves the template's tables on a free port. `make run` may use the same SQLite file at the same time."""
    ready, log = pathlib.Path(folder) / "ready.json", pathlib.Path(folder) / "log"
    command = [
        "target/debug/ws-local",
        "--only-dynamodb",
        "--dynamodb-host",
        container_gateway(),
        "--dynamodb-port",
        "0",
        "--ready-file",
        str(ready),
        *(["--memory"] if in_memory else []),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + TIMEOUT
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise Failure(f"ws-local can't serve the tables: {log.read_text()}")
            time.sleep(0.02)
        yield json.loads(ready.read_text())["dynamodb"]
    finally:
        process.terminate()
        process.wait()


def run_captured(*command, env=None):
    try:
        return subprocess.run(
            command,
            check=False,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{' '.join(command[:3])} took more than {TIMEOUT} s: {error.stderr}") from error


class Failure(Exception):
    """A check or a command failed."""


def check_equal(found, expected):
    if found != expected:
        raise Failure(f"expected {expected}\nfound    {found}")


START = time.monotonic()

if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
