"""`Deployment`: a deployed stack, its AWS services and its clients, for the acceptance check."""

import base64
import contextlib
import json
import os
import time
import uuid
from urllib.parse import quote

import boto3
from websockets.sync.client import connect

# Seconds to wait for a frame.
FRAME_TIMEOUT = 15
SUBPROTOCOL = "chat.v1"
# Makes user ids that no other run uses.
RUN = uuid.uuid4().hex[:8]


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
        # Absent if Monitoring=false.
        self.nested = self.resources.get("MonitoringStack")
        self.tokens = [os.environ.get(name, "") for name in ["TOKEN_A", "TOKEN_B"]]

    def resources_of(self, stack, kind=""):
        """The physical id of each resource whose type begins with `kind`."""
        pages = self.clients["cloudformation"].get_paginator("list_stack_resources").paginate(StackName=stack)
        found = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in found
            if resource["ResourceType"].startswith(kind)
        }

    def resource_events(self):
        """The resource of each event of both stacks. Events of the stacks themselves are left out."""
        paginator = self.clients["cloudformation"].get_paginator("describe_stack_events")
        return {
            event["EventId"]: event["LogicalResourceId"]
            for stack in filter(None, [self.stack, self.nested])
            for page in paginator.paginate(StackName=stack)
            for event in page["StackEvents"]
            if event["ResourceType"] != "AWS::CloudFormation::Stack"
        }

    @property
    def is_open(self):
        return self.parameters["AuthMode"] == "open"

    def user(self, index, name):
        """The user that `connect` connects: in open mode `name`, in JWT mode the user of token number `index`."""
        if self.is_open:
            return f"{name} {RUN}"
        payload = self.token(index).split(".")[1]
        return json.loads(base64.urlsafe_b64decode(f"{payload}=="))[self.parameters["JwtUserClaim"]]

    def token(self, index):
        if not self.tokens[index]:
            raise NotShownError("set TOKEN_A and TOKEN_B to tokens of two users")
        return self.tokens[index]

    @contextlib.contextmanager
    def connect(self, index, user):
        url, offers = self.outputs["WebSocketUrl"], [SUBPROTOCOL]
        if self.is_open:
            url = f"{url}?userId={quote(user, safe='')}"
        else:
            offers.append(self.token(index))
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
