"""The policy of the role that deploys the stack, docs/deploying-role.json."""

import fnmatch
import json

from stack_template import ROOT

POLICY = json.loads((ROOT / "docs/deploying-role.json").read_text())


def as_list(value):
    return value if isinstance(value, list) else [value]


def matches(action, patterns):
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def resources_of(action):
    """The resources that the policy allows an action on."""
    return [
        resource
        for statement in POLICY["Statement"]
        if matches(action, as_list(statement["Action"]))
        for resource in as_list(statement["Resource"])
    ]
