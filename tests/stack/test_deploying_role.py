"""docs/deploying-role.json: the policy of the role that deploys the stack in a pipeline."""

import json
import unittest

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from deploying_role import POLICY, as_list, matches, resources_of
from stack_template import chat_template, monitoring_template

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
    # Secrets with replicas.
    "secretsmanager:*Region*",
]
# Permissions that IAM grants on all resources only:
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
UNRESTRICTED = [
    "cloudformation:ListStacks",
    "cloudformation:ValidateTemplate",
    "logs:CreateLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:PutResourcePolicy",
    "route53:ListHostedZones",
    "sns:Unsubscribe",
]


class DeployingRole(unittest.TestCase):
    def test_it_may_do_what_the_resource_types_of_both_templates_need(self):
        templates = [chat_template(), monitoring_template()]
        kinds = {resource["Type"] for template in templates for resource in template["Resources"].values()}
        for kind in sorted(kinds):
            handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
            for name in ["create", "read", "update", "delete"]:
                for action in handlers.get(name, {"permissions": []})["permissions"]:
                    if not matches(action, UNUSED):
                        self.assertTrue(resources_of(action), f"{kind}, {name}: {action} is not allowed")

    def test_it_may_run_the_transform(self):
        transform = "arn:aws:cloudformation:*:aws:transform/Serverless-2016-10-31"
        self.assertIn(transform, resources_of("cloudformation:CreateChangeSet"))

    def test_permissions_without_resources_are_granted_on_all_resources(self):
        for action in UNRESTRICTED:
            self.assertIn("*", resources_of(action), action)

    def test_it_can_change_roles_of_the_stack_only(self):
        # API Gateway creates this role for the first custom domain of an account, and alone decides what the role may do.
        of_api_gateway = "arn:aws:iam::*:role/aws-service-role/ops.apigateway.amazonaws.com/*"
        self.assertEqual(resources_of("iam:CreateServiceLinkedRole"), [of_api_gateway])
        for statement in POLICY["Statement"]:
            self.assertEqual(statement["Effect"], "Allow")
            actions = set(as_list(statement["Action"])) - {"iam:CreateServiceLinkedRole"}
            if any(action.startswith("iam:") for action in actions):
                for resource in as_list(statement["Resource"]):
                    self.assertRegex(resource, r"^arn:aws:iam::\*:(role|policy)/chat\*$")

    def test_it_is_small_enough_for_a_managed_policy(self):
        self.assertLess(len(json.dumps(POLICY, separators=(",", ":"))), LARGEST_POLICY)
