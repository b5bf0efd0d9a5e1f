"""docs/deploying-role.json: the policy of the role that deploys the stack in a pipeline."""

import fnmatch
import json
import unittest

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from stack_template import ROOT, chat_template, monitoring_template

POLICY = json.loads((ROOT / "docs/deploying-role.json").read_text())
# AWS managed policies are limited to this number of characters without white space:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
LARGEST_POLICY = 6_144

# Permissions of CloudFormation's resource types for features that the templates don't use.
UNUSED = [
    # Encryption with keys of the account.
    "kms:*",
    "logs:*KmsKey",
    # Functions in a VPC, with a file system, layers, signed code or another runtime than the default.
    "ec2:*",
    "elasticfilesystem:*",
    "s3files:*",
    # Tables with streams to Kinesis, replicas, imported items, contributor insights or policies of their own.
    "dynamodb:*ContributorInsights",
    "dynamodb:*KinesisStreamingDestination",
    "dynamodb:*Replica*",
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:DeleteResourcePolicy",
    "dynamodb:GetItem",
    "dynamodb:ImportTable",
    "dynamodb:PutItem",
    "dynamodb:PutResourcePolicy",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
    "dynamodb:UpdateKinesisStreamingDestination",
    "iam:CreateServiceLinkedRole",
    "kinesis:*",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "s3:GetObjectMetadata",
    "s3:ListBucket",
    # Policies of groups and users, and permissions boundaries.
    "iam:*GroupPolicy",
    "iam:*PermissionsBoundary",
    "iam:*UserPolicy",
    # Log groups with data protection, indexes, deletion protection or bearer tokens, or delivered to S3 or Firehose.
    "firehose:*",
    "logs:*DataProtectionPolicy",
    "logs:*IndexPolicy",
    "logs:*IndexPolicies",
    "logs:DeleteResourcePolicy",
    "logs:PutBearerTokenAuthentication",
    "logs:PutLogGroupDeletionProtection",
    "s3:REST.PUT.OBJECT",
    # Topics with data protection or delivery logs.
    "sns:PutDataProtectionPolicy",
]
# What the SAM CLI itself calls for `sam deploy`, besides the creation of its bucket.
SAM = [
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
    "cloudformation:GetTemplateSummary",
    "cloudformation:ListStackResources",
    "s3:GetObject",
    "s3:PutObject",
]


def as_list(value):
    return value if isinstance(value, list) else [value]


ALLOWED = [action for statement in POLICY["Statement"] for action in as_list(statement["Action"])]


def matches(action, patterns):
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


class DeployingRole(unittest.TestCase):
    def test_it_may_do_what_the_resource_types_of_both_templates_need(self):
        templates = [chat_template(), monitoring_template()]
        kinds = {resource["Type"] for template in templates for resource in template["Resources"].values()}
        for kind in sorted(kinds):
            handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
            for name in ["create", "read", "update", "delete"]:
                for action in handlers.get(name, {"permissions": []})["permissions"]:
                    if not matches(action, UNUSED):
                        self.assertTrue(matches(action, ALLOWED), f"{kind}, {name}: {action} is not allowed")

    def test_it_may_do_what_the_sam_cli_calls(self):
        for action in SAM:
            self.assertTrue(matches(action, ALLOWED), action)
        transform = "arn:aws:cloudformation:*:aws:transform/Serverless-2016-10-31"
        statements = {statement["Sid"]: statement for statement in POLICY["Statement"]}
        self.assertEqual(statements["SamTransform"]["Resource"], transform)

    def test_it_can_change_roles_of_the_stack_only(self):
        for statement in POLICY["Statement"]:
            self.assertEqual(statement["Effect"], "Allow")
            if any(action.startswith("iam:") for action in as_list(statement["Action"])):
                for resource in as_list(statement["Resource"]):
                    self.assertRegex(resource, r"^arn:aws:iam::\*:(role|policy)/chat\*$")

    def test_it_is_small_enough_for_a_managed_policy(self):
        self.assertLess(len(json.dumps(POLICY, separators=(",", ":"))), LARGEST_POLICY)
