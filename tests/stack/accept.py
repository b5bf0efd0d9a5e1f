"""Acceptance check of a deployment: what the tests can't show without an AWS account.

`make accept STACK=chat REGION=eu-west-1` prints one line per check: `ok`, `FAILED` or `not shown`, and what was seen. The
exit status is 1 if a check failed. In JWT mode, set TOKEN_A and TOKEN_B to tokens of two users. The users write to each
other, so use a stack for tests, or users that nobody else uses.
"""

import argparse
import shlex
import statistics
import subprocess
import sys
import time

from deployment import RUN, SUBPROTOCOL, Deployment, NotShownError

# Seconds to wait for what AWS shows later: a log line, a removed connection.
PATIENCE = 90
# Number of messages whose latency is measured.
SENDS = 20


def check_stack(deployment):
    assert deployment.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), deployment.status
    return deployment.status


def check_second_deployment(deployment, command):
    if not command:
        raise NotShownError('deploy again: make accept … DEPLOY="sam deploy --config-env prod"')
    before = deployment.resource_events()
    done = subprocess.run(shlex.split(command), check=False, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-500:]
    # CloudFormation can update a nested stack that has not changed: https://github.com/aws/aws-cdk/issues/4488.
    changed = {resource for event, resource in deployment.resource_events().items() if event not in before}
    assert not changed, f"changed: {changed}"
    return "No changes to deploy" if "No changes to deploy" in output else "an update that changed no resource"


def check_subprotocol(deployment):
    with deployment.connect(0, deployment.user(0, "alice")) as client:
        pass
    assert client.subprotocol == SUBPROTOCOL, f"the answer selects {client.subprotocol}"
    return f"the answer selects {client.subprotocol}"


def check_ping(deployment):
    with deployment.connect(0, deployment.user(0, "alice")) as client:
        reply = client.request(action="ping")
    assert reply["type"] == "pong", reply
    return "pong" if deployment.is_open else "pong; the first message after connecting is not token_expired"


def check_talk(deployment):
    one, other = deployment.user(0, '李雷 "é"'), deployment.user(1, "مريم 🦀")
    with deployment.connect(0, one) as sender, deployment.connect(1, other) as recipient:
        sent = sender.request(action="sendMessage", recipientId=other, content="Hello")
        assert sent["type"] == "sent", sent
        stored = sent["value"]["messageId"]
        pushed = recipient.wait(lambda frame: frame.get("type") == "message" and frame["value"]["messageId"] == stored)[
            "value"
        ]
    assert (pushed["senderId"], pushed["recipientId"]) == (one, other), pushed
    if f"{one}{other}".isascii():
        raise NotShownError(f"{one} reached {other}; use a token of a user whose name is not ASCII")
    return f"{one} reached {other}"


def check_gone_connection(deployment):
    dynamodb, table = deployment.clients["dynamodb"], deployment.resources["ClientsTable"]
    sending, receiving = deployment.user(0, "alice"), deployment.user(1, "bob")
    key = {"userId": {"S": receiving}}

    def connections():
        item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        return {name: value["M"] for name, value in item.items() if name.startswith("c:")}

    with deployment.connect(1, receiving):
        name, row = max(connections().items(), key=lambda one: int(one[1]["connectedAt"]["N"]))

    def is_removed():
        return name not in connections()

    # $disconnect removes the connection. It comes back as if $disconnect had not run, and older than a minute, because a 410
    # for a younger connection can mean that it is still being opened.
    assert wait_for(is_removed) is not None, f"$disconnect did not remove the connection within {PATIENCE} s"
    an_hour_ago = {"N": str(int(row["connectedAt"]["N"]) - 3_600_000)}
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET #connection = :row",
        ExpressionAttributeNames={"#connection": name},
        ExpressionAttributeValues={":row": {"M": row | {"connectedAt": an_hour_ago}}},
    )
    with deployment.connect(0, sending) as sender:
        sent = sender.request(action="sendMessage", recipientId=receiving, content="Hello")
    assert sent["type"] == "sent", sent
    assert wait_for(is_removed) is not None, f"a closed connection is still in the table after {PATIENCE} s"
    return "the push removed a closed connection"


def check_latency(deployment):
    times, last_seq = [], 0
    with deployment.connect(0, deployment.user(0, "alice")) as client:
        for number in range(SENDS):
            frame = {"recipientId": f"nobody {RUN}", "content": f"message {number}", "lastSeq": last_seq}
            began = time.monotonic()
            sent = client.request(action="sendMessage", **frame)
            times.append((time.monotonic() - began) * 1_000)
            assert sent["type"] == "sent", sent
            last_seq = sent["value"]["seq"]
    return (
        f"{SENDS} sends: median {statistics.median(times):.0f} ms, maximum {max(times):.0f} ms, first {times[0]:.0f} ms"
    )


def check_error_line(deployment):
    function, services = deployment.resources["DisconnectFunction"], deployment.clients
    level = services["lambda"].get_function_configuration(FunctionName=function)["LoggingConfig"]["ApplicationLogLevel"]
    began = int(time.time() * 1_000)
    # An event that is none of API Gateway's. The function refuses it before it does anything, and logs that as an ERROR.
    response = services["lambda"].invoke(FunctionName=function, Payload=b"{}")
    request_id = response["ResponseMetadata"]["RequestId"]
    assert response.get("FunctionError"), "the function accepted an empty event"

    def is_logged():
        pages = (
            services["logs"]
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=deployment.outputs["LogGroup"],
                filterPattern=f'"{request_id}"',
                # An hour for a clock that differs from AWS's.
                startTime=began - 3_600_000,
            )
        )
        return any('"ERROR"' in event["message"] for page in pages for event in page["events"])

    after = wait_for(is_logged)
    assert after is not None, f"no line at level ERROR with the request id {request_id} after {PATIENCE} s"
    if level != "ERROR":
        raise NotShownError(f"the line is there, but LogLevel is {level}; deploy with LogLevel=ERROR and check again")
    return f"the line is there after {after:.0f} s at LogLevel={level}"


def check_alarms(deployment):
    if not deployment.nested:
        raise NotShownError("the stack has Monitoring=false")
    alarms = deployment.resources_of(deployment.nested, "AWS::CloudWatch::Alarm")
    found = deployment.clients["cloudwatch"].describe_alarms(AlarmNames=list(alarms.values()))["MetricAlarms"]
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
    states = {alarm: states.get(name, "missing") for alarm, name in sorted(alarms.items())}
    assert states and set(states.values()) <= {"OK", "INSUFFICIENT_DATA"}, states
    return ", ".join(f"{alarm} {state}" for alarm, state in states.items())


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


# Checks that an emulator of AWS can't pass, with what it lacks.
ONLY_ON_AWS = {
    "selects the subprotocol": "the emulator drops the header",
    "an ERROR line survives LogLevel=ERROR": "the emulator logs text, and its responses have other request ids",
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
