"""Acceptance check of a deployment: what the tests can't show without an AWS account.

`make accept STACK=chat REGION=eu-west-1` prints one line per check: `ok`, `FAILED` or `not shown`, and what was seen. The
exit status is 1 if a check failed. In JWT mode, set TOKEN_A and TOKEN_B to tokens of two users. The users write to each
other, so use a stack for tests, or users that nobody else uses.
"""

import argparse
import contextlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
import uuid

import boto3
from websockets.sync.client import connect

# Seconds to wait for a frame, and for what AWS shows later: a log line, a removed row.
FRAME_TIMEOUT = 15
PATIENCE = 90
# Number of messages whose latency is measured.
SENDS = 20
SUBPROTOCOL = "chat.v1"


class NotShownError(Exception):
    """The check has no result here. The text says why, or what to do."""


class Deployment:
    """A deployed stack, and the AWS services behind it."""

    def __init__(self, stack, region):
        self.stack = stack
        self.clients = {
            name: boto3.client(name, region_name=region)
            for name in ["cloudformation", "cloudwatch", "dynamodb", "lambda", "logs"]
        }
        described = self.clients["cloudformation"].describe_stacks(StackName=stack)["Stacks"][0]
        self.status = described["StackStatus"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        self.parameters = {one["ParameterKey"]: one["ParameterValue"] for one in described["Parameters"]}
        self.resources = self.resources_of(stack)
        self.tokens = [os.environ.get(name, "") for name in ["TOKEN_A", "TOKEN_B"]]

    def resources_of(self, stack):
        pages = self.clients["cloudformation"].get_paginator("list_stack_resources").paginate(StackName=stack)
        found = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    @property
    def is_open(self):
        return self.parameters["AuthMode"] == "open"

    @contextlib.contextmanager
    def connect(self, index, user):
        """A connection of a user. In JWT mode it is the user of token number `index`, and `user` has no effect."""
        url, token = self.outputs["WebSocketUrl"], self.tokens[index]
        if self.is_open:
            url, offers = f"{url}?userId={quote(user)}", [SUBPROTOCOL]
        elif token:
            offers = [SUBPROTOCOL, token]
        else:
            raise NotShownError("set TOKEN_A and TOKEN_B to tokens of two users")
        with connect(url, subprotocols=offers, open_timeout=FRAME_TIMEOUT) as socket:
            yield Client(socket)


class Client:
    """A connection that sends frames and waits for replies."""

    def __init__(self, socket):
        self.socket = socket
        self.subprotocol = socket.subprotocol
        self.references = 0

    def request(self, **frame):
        """The reply to a frame. Pushes that come before it are dropped."""
        self.references += 1
        reference = str(self.references)
        self.socket.send(json.dumps(frame | {"ref": reference}))
        return self.wait(lambda reply: reply.get("ref") == reference)

    def wait(self, is_wanted):
        end = time.monotonic() + FRAME_TIMEOUT
        while True:
            frame = json.loads(self.socket.recv(timeout=max(0, end - time.monotonic())))
            if is_wanted(frame):
                return frame


def check_stack(deployment):
    assert deployment.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), deployment.status
    return deployment.status


def check_second_deployment(deployment, command):
    if not command:
        raise NotShownError('deploy again: make accept … DEPLOY="sam deploy --config-env prod"')
    done = subprocess.run(shlex.split(command), check=False, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0 and "No changes to deploy" in output, output[-500:]
    return "No changes to deploy"


def check_subprotocol(deployment):
    with deployment.connect(0, name("alice")) as client:
        pass
    assert client.subprotocol == SUBPROTOCOL, f"the answer selects {client.subprotocol}"
    return f"the answer selects {client.subprotocol}"


def check_ping(deployment):
    with deployment.connect(0, name("alice")) as client:
        reply = client.request(action="ping")
    assert reply["type"] == "pong", reply
    return "pong" if deployment.is_open else "pong; the first message after connecting is not token_expired"


def check_talk(deployment):
    if not deployment.is_open:
        raise NotShownError(
            "the users are those of the tokens; use tokens of users whose names are not ASCII, and make smoke"
        )
    one, other = name('李雷 "é"'), name("مريم 🦀")
    with deployment.connect(0, one) as sender, deployment.connect(1, other) as recipient:
        sent = sender.request(action="sendMessage", recipientId=other, content="Hello")
        assert sent["type"] == "sent", sent
        pushed = recipient.wait(lambda frame: frame["type"] == "message")["value"]
    assert (pushed["senderId"], pushed["recipientId"]) == (one, other), pushed
    return f"{pushed['senderId']} reached {pushed['recipientId']}"


def check_gone_connection(deployment):
    if not deployment.is_open:
        raise NotShownError("needs open mode, in which the check knows a user id")
    table, user = deployment.resources["ClientsTable"], name("gone")
    key = {"userId": {"S": user}, "connectionId": {"S": "AAAAAAAAAAAAAAA="}}
    now = time.time()
    row = {"connectedAt": {"N": str(int((now - 3_600) * 1_000))}, "expiresAt": {"N": str(int(now) + 3_600)}}
    deployment.clients["dynamodb"].put_item(TableName=table, Item=key | row)
    with deployment.connect(0, name("alice")) as sender:
        sent = sender.request(action="sendMessage", recipientId=user, content="Hello")
    assert sent["type"] == "sent", sent
    after = wait_for(
        lambda: "Item" not in deployment.clients["dynamodb"].get_item(TableName=table, Key=key, ConsistentRead=True),
    )
    assert after is not None, "the row of a connection that does not exist was not removed"
    return "the push got 410, and the row was removed"


def check_latency(deployment):
    times, last_seq = [], 0
    with deployment.connect(0, name("alice")) as client:
        for number in range(SENDS):
            frame = {"recipientId": name("bob"), "content": f"message {number}", "lastSeq": last_seq}
            began = time.monotonic()
            sent = client.request(action="sendMessage", **frame)
            times.append((time.monotonic() - began) * 1_000)
            assert sent["type"] == "sent", sent
            last_seq = sent["value"]["seq"]
    return (
        f"{SENDS} sends: median {statistics.median(times):.0f} ms, maximum {max(times):.0f} ms, first {times[0]:.0f} ms"
    )


def check_error_line(deployment):
    function = deployment.resources["DisconnectFunction"]
    level = deployment.parameters["LogLevel"]
    # An event that is none of API Gateway's. The function refuses it before it does anything, and logs that as an ERROR.
    response = deployment.clients["lambda"].invoke(FunctionName=function, Payload=b"{}")
    request_id = response["ResponseMetadata"]["RequestId"]
    assert response.get("FunctionError"), "the function accepted an empty event"
    group = deployment.outputs["LogGroup"]

    def lines():
        found = deployment.clients["logs"].filter_log_events(logGroupName=group, filterPattern=f'"{request_id}"')
        return [event["message"] for event in found["events"] if '"ERROR"' in event["message"]]

    after = wait_for(lines)
    assert after is not None, f"no line at level ERROR with the request id {request_id} after {PATIENCE} s"
    if level != "ERROR":
        raise NotShownError(f"the line is there, but LogLevel is {level}; deploy with LogLevel=ERROR and check again")
    return f"the line is there after {after:.0f} s at LogLevel={level}"


def check_alarms(deployment):
    nested = deployment.resources.get("MonitoringStack")
    if not nested:
        raise NotShownError("the stack has Monitoring=false")
    names = [alarm for name, alarm in deployment.resources_of(nested).items() if name.endswith("Alarm")]
    alarms = deployment.clients["cloudwatch"].describe_alarms(AlarmNames=names)["MetricAlarms"]
    states = {alarm["AlarmName"].removeprefix(f"{deployment.stack}-"): alarm["StateValue"] for alarm in alarms}
    assert len(states) == len(names) and "ALARM" not in states.values(), states
    return ", ".join(f"{alarm} {state}" for alarm, state in sorted(states.items()))


def check_metric(deployment):
    if deployment.parameters["Metrics"] != "true":
        raise NotShownError("the stack has Metrics=false")
    metrics = deployment.clients["cloudwatch"].list_metrics(Namespace=deployment.stack)["Metrics"]
    if not metrics:
        raise NotShownError("no metric yet; CloudWatch lists a new one up to 15 minutes later, so check again")
    return ", ".join(sorted({metric["MetricName"] for metric in metrics}))


def wait_for(holds):
    """The seconds until `holds` returned something true, or None."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        if holds():
            return time.monotonic() - began
        time.sleep(1)
    return None


def name(user):
    """A user id that no other run uses."""
    return f"{user} {RUN}"


def quote(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


RUN = uuid.uuid4().hex[:8]
# Checks that an emulator of AWS can't pass, with what it lacks.
ONLY_ON_AWS = {
    "selects the subprotocol": "the emulator drops the header",
    "an ERROR line survives LogLevel=ERROR": "the emulator has no filter of log levels",
    "alarm states": "the emulator has no alarms on expressions",
    "a metric in the stack's namespace": "the emulator extracts no metrics from log lines",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack", required=True, help="name of the stack")
    parser.add_argument("--region", required=True)
    parser.add_argument("--deploy", default="", help="command that deploys the stack again without a change")
    parser.add_argument("--emulator", action="store_true", help="the deployment is on an emulator of AWS")
    arguments = parser.parse_args()
    deployment = Deployment(arguments.stack, arguments.region)
    checks = {
        "the stack is deployed": check_stack,
        "a second deployment changes nothing": lambda one: check_second_deployment(one, arguments.deploy),
        "selects the subprotocol": check_subprotocol,
        "answers ping": check_ping,
        "users whose names are not ASCII talk": check_talk,
        "removes a connection that is gone (410)": check_gone_connection,
        "latency of a send": check_latency,
        "an ERROR line survives LogLevel=ERROR": check_error_line,
        "alarm states": check_alarms,
        "a metric in the stack's namespace": check_metric,
    }
    failed = False
    for title, check in checks.items():
        if arguments.emulator and title in ONLY_ON_AWS:
            print(f"not shown  {title}: {ONLY_ON_AWS[title]}", flush=True)
            continue
        try:
            result, seen = "ok", check(deployment)
        except NotShownError as reason:
            result, seen = "not shown", str(reason)
        # A check reports whatever happens as a result, so that the others still run.
        except Exception as error:  # noqa: BLE001
            result, seen, failed = "FAILED", f"{type(error).__name__}: {error}", True
        print(f"{result:10} {title}: {seen}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
