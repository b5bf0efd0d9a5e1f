"""Checks the function for backends on the local system, with the real SDK: every action, docs/backends.md and examples/bot.py."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import boto3

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Seconds until a wait fails. It is long so that the check passes on a slow machine.
TIMEOUT = 120
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}


def main():
    with tempfile.TemporaryDirectory() as folder, local_system(folder) as addresses:
        check_actions(Backend(addresses["lambda"]))
        check_groups(Backend(addresses["lambda"]))
        check_document(addresses["lambda"])
        check_bot(addresses["lambda"])
    print("ok: backends send, read, change, delete, disconnect and manage groups; the bot answers each question once")


class Backend:
    """Invokes the function as a backend does."""

    def __init__(self, url):
        self.client = boto3.client(
            "lambda",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

    def frame(self, user, action, **fields):
        """The frame that answers a request."""
        payload = {"as": user, "action": action, **fields}
        return self.invoke(json.dumps({name: value for name, value in payload.items() if value is not None}))

    def invoke(self, payload):
        response = self.client.invoke(FunctionName="ApiFunction", Payload=payload)
        check("FunctionError" not in response, response)
        return json.load(response["Payload"])

    def value(self, user, action, **fields):
        frame = self.frame(user, action, **fields)
        check(frame["type"] != "error", frame)
        return frame["value"]


def check_actions(backend):
    order = {"recipientId": "alice", "content": "Shipped", "clientMessageId": "order-17"}
    sent = [backend.value("support", "sendMessage", **order) for _ in range(2)]
    check([frame["duplicate"] for frame in sent] == [False, True], sent)
    check(sent[0]["messageId"] == sent[1]["messageId"], sent)
    backend.value("alice", "sendMessage", recipientId="support", content="Sekrit")
    backend.value("support", "deleteMessage", targetId="alice", seq=2)
    messages = backend.value("alice", "getMessages", targetId="support")["messages"]
    check([entry.get("content") for entry in messages] == [None, "", "Shipped"], messages)
    rows = backend.value("alice", "getConversations")["conversations"]
    check([(row["peerId"], row["unread"]) for row in rows] == [("support", 0)], rows)
    closed = backend.value("alice", "disconnectUser")
    check(closed == {"userId": "alice", "connections": 0}, closed)
    for frame, code in [
        (backend.frame(None, "ping"), "bad_request"),
        (backend.frame("alice", "dance"), "unknown_action"),
        (backend.frame("alice", "editMessage", targetId="support", seq=1, content="x"), "forbidden"),
        (backend.invoke('"text"'), "bad_request"),
    ]:
        check((frame["type"], frame["code"]) == ("error", code), frame)


def check_groups(backend):
    """A backend creates, changes and reads a group of which it is not a member."""
    order = {"name": "Order 17", "owner": "alice", "members": ["bob"], "clientMessageId": "order-17"}
    created = [backend.value("system", "createGroup", **order) for _ in range(2)]
    check([frame["duplicate"] for frame in created] == [False, True], created)
    group = {"groupId": created[0]["groupId"]}
    check(created[1]["groupId"] == group["groupId"], created)
    backend.value("bob", "sendMessage", **group, content="Sekrit")
    backend.value("system", "deleteMessage", **group, seq=2)
    backend.value("system", "changeGroup", **group, add=["carol"], remove=["bob"], roles={"alice": "owner"})
    members = backend.value("system", "getGroup", **group)["members"]
    check(
        [(member["userId"], member["role"]) for member in members] == [("alice", "owner"), ("carol", "member")], members
    )
    messages = backend.value("system", "getMessages", **group)["messages"]
    check([entry.get("content") for entry in messages] == [None, None, "", None], messages)
    for user, action, more in [
        ("system", "sendMessage", {"content": "x"}),
        ("bob", "sendMessage", {"content": "x"}),
        ("mallory", "sendMessage", {"content": "x"}),
    ]:
        frame = backend.frame(user, action, **group, **more)
        check((frame["type"], frame["code"]) == ("error", "forbidden"), frame)


def check_document(url):
    """Runs the Python code of docs/backends.md."""
    document = (ROOT / "docs" / "backends.md").read_text()
    code = document.split("```python\n")[1].split("```")[0].replace("NAME", "ApiFunction")
    environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL_LAMBDA": url}
    command = [sys.executable, "-c", code + "print(json.dumps(frame))"]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    check(json.loads(output)["type"] == "sent", output)


def check_bot(url):
    """Kills the bot before, between and after its answers. In the end each question has one answer."""
    backend = Backend(url)

    def ask(number):
        return backend.value("alice", "sendMessage", recipientId="bot", content=f"Question {number}")

    def entries():
        found, more = [], {"after": 0}
        while more:
            page = backend.value("alice", "getMessages", targetId="bot", **more)
            found += page["messages"]
            more = {"startKey": page["lastEvaluatedKey"]} if "lastEvaluatedKey" in page else None
        return found

    def answers():
        return [entry for entry in entries() if entry["senderId"] == "bot"]

    for number in range(6):
        ask(number)
    # Each bot is killed as soon as it has answered once more, so mostly in the middle of its work. Two run at a time.
    for count in range(1, 4):
        with bots(url, 2) as running:
            wait(lambda expected=count: len(answers()) >= expected, running)
    for number in range(6, 9):
        ask(number)
    with bots(url, 2) as running:
        wait(lambda: len(answers()) >= 9, running)
    questions = {entry["seq"]: entry["content"] for entry in entries() if entry["senderId"] == "alice"}
    said = {entry["replyTo"]: entry["content"] for entry in answers()}
    check(len(answers()) == len(questions) == 9, entries())
    check(said == {seq: f"You said: {content}" for seq, content in questions.items()}, entries())


@contextlib.contextmanager
def bots(url, count):
    environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL_LAMBDA": url, "PAUSE": "0.05"}
    command = [sys.executable, "examples/bot.py"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def local_system(folder):
    """Runs the whole chat on free ports, and yields its addresses."""
    ready, log = pathlib.Path(folder) / "ready.json", pathlib.Path(folder) / "log"
    ports = ["--port", "0", "--dynamodb-port", "0", "--lambda-port", "0"]
    limits = ["--parameter", "MessageRate=1000", "--parameter", "MessageBurst=1000"]
    options = ["--memory", "--no-watch", "--ready-file", str(ready)]
    with log.open("wb") as output:
        command = ["target/debug/ws-local", *ports, *limits, *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait(lambda: ready.exists() or process.poll() is not None)
        check(ready.exists(), log.read_text())
        yield json.loads(ready.read_text())
    finally:
        process.terminate()
        process.wait()


def wait(is_reached, processes=()):
    end = time.monotonic() + TIMEOUT
    while not is_reached():
        check(time.monotonic() < end, "a wait took too long")
        for process in processes:
            if process.poll() is not None:
                sys.exit(f"error: a bot ended: {process.stderr.read().decode()}")
        time.sleep(0.02)


def check(is_true, found):
    if not is_true:
        sys.exit(f"error: unexpected: {found}")


if __name__ == "__main__":
    main()
