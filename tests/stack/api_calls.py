"""`ApiCalls`: the AWS operations that a command calls.

The AWS SDK for Python, and so the SAM CLI, reports each operation in a UDP datagram if client-side monitoring is enabled:
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/configuration.html.
"""

import json
import socket
import threading

HOST = "127.0.0.1"
LARGEST_DATAGRAM = 65_535
# Operations whose permission has another name:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
PERMISSIONS = {
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:UploadPart": "s3:PutObject",
}
# Needs no permission.
FREE = "sts:GetCallerIdentity"


class ApiCalls:
    """Records calls while the `with` block runs. `environment` makes a command report them."""

    def __enter__(self):
        self.permissions = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.environment = {
            "AWS_CSM_ENABLED": "true",
            "AWS_CSM_HOST": HOST,
            "AWS_CSM_PORT": str(self.socket.getsockname()[1]),
        }
        self.receiver = threading.Thread(target=self.receive)
        self.receiver.start()
        return self

    def __exit__(self, *_):
        # An empty datagram ends the receiver, after it has read every earlier one.
        self.socket.sendto(b"", self.socket.getsockname())
        self.receiver.join()
        self.socket.close()

    def receive(self):
        while datagram := self.socket.recv(LARGEST_DATAGRAM):
            call = json.loads(datagram)
            operation = f"{call['Service'].lower()}:{call['Api']}"
            if operation != FREE:
                self.permissions.add(PERMISSIONS.get(operation, operation))
