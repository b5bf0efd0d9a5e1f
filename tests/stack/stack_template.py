"""The templates as CloudFormation receives them, for the tests of this folder.

`make template` runs the tests. They read template.yaml after SAM's transform, because the transform adds resources and
drops properties that it does not know.
"""

import functools
import json
import os
import unittest
from pathlib import Path

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parent.parent.parent

FUNCTIONS = {
    "AuthorizerFunction",
    "ConnectFunction",
    "DisconnectFunction",
    "SendFunction",
    "HistoryFunction",
    "InboxFunction",
    "ReadFunction",
    "EditFunction",
    "GroupFunction",
    "PresenceFunction",
    "ApiFunction",
    "FallbackFunction",
}
# The function of each route.
ROUTES = {
    "$connect": "ConnectFunction",
    "$disconnect": "DisconnectFunction",
    "$default": "FallbackFunction",
    "getConversations": "InboxFunction",
    "getMessages": "HistoryFunction",
    "markRead": "ReadFunction",
    "editMessage": "EditFunction",
    "deleteMessage": "EditFunction",
    "react": "EditFunction",
    "createGroup": "GroupFunction",
    "changeGroup": "GroupFunction",
    "getGroup": "GroupFunction",
    "typing": "PresenceFunction",
    "getPresence": "PresenceFunction",
    "sendMessage": "SendFunction",
}
# The environment variables of every function.
COMMON_VARIABLES = {
    "METRICS_NAMESPACE": {"Fn::If": ["RecordsMetrics", {"Ref": "AWS::StackName"}, {"Ref": "AWS::NoValue"}]},
    "AWS_CA_BUNDLE": {"Fn::If": ["HasCaBundle", {"Ref": "CaBundle"}, {"Ref": "AWS::NoValue"}]},
}

# The translator requires a region and does not use it.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")


@functools.cache
def chat_template(**parameters):
    """template.yaml after SAM's transform."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    # `sam deploy` replaces these paths with the addresses of the uploads.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    nested = template["Resources"]["MonitoringStack"]["Properties"]
    nested["TemplateURL"] = "https://bucket.s3.amazonaws.com/key"
    return Translator({}, Parser()).translate(template, parameters)


@functools.cache
def monitoring_template():
    """monitoring.yaml, which template.yaml deploys as a nested stack."""
    return yaml_parse((ROOT / "monitoring.yaml").read_text())


def short_form(value):
    """Converts a value to a short string. A `Fn::GetAtt` becomes `Resource.Attribute`."""
    match value:
        case str():
            return value
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"{resource}.{attribute}"
        case {"Fn::Sub": str(sub)}:
            return sub
    return json.dumps(value)


class TemplateTest(unittest.TestCase):
    """A test of the resources of template.yaml."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.template = chat_template()
        cls.resources = cls.template["Resources"]

    def of_type(self, kind):
        return {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}
