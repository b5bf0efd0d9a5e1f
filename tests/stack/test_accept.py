"""The checks of `make accept` that an emulator of AWS can't pass, on answers as AWS documents them."""

import json
import types
import unittest
from unittest import mock

import accept
import boto3
from botocore.stub import Stubber

REQUEST_ID = "8f0e6c4d-2a1b-4a55-9a53-0c1de7c2a0f1"


def deployment(*answers, **attributes):
    """A deployment whose AWS services give `answers`: service, operation, response."""
    clients, stubbers = {}, {}
    for service, operation, response in answers:
        if service not in clients:
            credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            clients[service] = boto3.client(service, region_name="us-east-1", **credentials)
            stubbers[service] = Stubber(clients[service])
            stubbers[service].activate()
        stubbers[service].add_response(operation, response)
    return types.SimpleNamespace(clients=clients, stack="chat", **attributes)


class Alarms(unittest.TestCase):
    def check(self, **states):
        """The result of the check for alarms in these states. None is an alarm that doesn't exist."""
        found = [{"AlarmName": f"chat-{name}", "StateValue": state} for name, state in states.items() if state]
        return accept.check_alarms(
            deployment(
                ("cloudwatch", "describe_alarms", {"MetricAlarms": found}),
                nested="chat-MonitoringStack",
                resources_of=lambda *_: {name: f"chat-{name}" for name in states},
            )
        )

    def test_every_state_is_named(self):
        self.assertEqual(
            self.check(Errors="OK", Throttles="INSUFFICIENT_DATA"), "Errors OK, Throttles INSUFFICIENT_DATA"
        )

    def test_an_alarm_that_is_raised_or_missing_fails(self):
        for states in [{"Errors": "OK", "Throttles": "ALARM"}, {"Errors": "OK", "Throttles": None}, {}]:
            with self.assertRaises(AssertionError):
                self.check(**states)

    def test_without_monitoring_nothing_is_shown(self):
        with self.assertRaises(accept.NotShownError):
            accept.check_alarms(deployment(nested=None))


class ErrorLine(unittest.TestCase):
    def check(self, log_level, *levels):
        """The result of the check for a function with this log level and log lines with these levels."""
        lines = [json.dumps({"level": level, "span": {"requestId": REQUEST_ID}}) for level in levels]
        invoked = {"FunctionError": "Unhandled", "ResponseMetadata": {"RequestId": REQUEST_ID}}
        with mock.patch.object(accept, "wait_for", lambda holds: 3 if holds() else None):
            return accept.check_error_line(
                deployment(
                    ("lambda", "get_function_configuration", {"LoggingConfig": {"ApplicationLogLevel": log_level}}),
                    ("lambda", "invoke", invoked),
                    # CloudWatch Logs gives empty pages while it searches.
                    ("logs", "filter_log_events", {"events": [], "nextToken": "2"}),
                    ("logs", "filter_log_events", {"events": [{"message": line} for line in lines]}),
                    resources={"DisconnectFunction": "chat-DisconnectFunction"},
                    outputs={"LogGroup": "/aws/lambda/chat"},
                )
            )

    def test_a_line_at_level_error_is_found(self):
        self.assertEqual(self.check("ERROR", "WARN", "ERROR"), "the line is there after 3 s at LogLevel=ERROR")

    def test_without_such_a_line_it_fails(self):
        for levels in [(), ("WARN",)]:
            with self.assertRaises(AssertionError):
                self.check("ERROR", *levels)

    def test_at_another_log_level_nothing_is_shown(self):
        with self.assertRaises(accept.NotShownError):
            self.check("INFO", "ERROR")


class SecondDeployment(unittest.TestCase):
    def check(self, command, *resources):
        """The result of the check if `command` adds events of these types."""
        old = {"StackId": "chat", "StackName": "chat", "Timestamp": 0}
        event = old | {"EventId": "0", "LogicalResourceId": "SendFunction", "ResourceType": "AWS::Lambda::Function"}
        new = [
            old | {"EventId": str(number), "LogicalResourceId": kind, "ResourceType": kind}
            for number, kind in enumerate(resources, 1)
        ]
        fake = deployment(
            ("cloudformation", "describe_stack_events", {"StackEvents": [event]}),
            ("cloudformation", "describe_stack_events", {"StackEvents": [*new, event]}),
            nested=None,
        )
        fake.resource_events = lambda: accept.Deployment.resource_events(fake)
        return accept.check_second_deployment(fake, command)

    def test_an_update_that_changes_no_resource_passes(self):
        self.assertEqual(self.check("echo No changes to deploy"), "No changes to deploy")
        nested = "AWS::CloudFormation::Stack"
        self.assertEqual(self.check("true", nested), "an update that changed no resource")

    def test_a_changed_resource_fails(self):
        with self.assertRaises(AssertionError):
            self.check("true", "AWS::Lambda::Function")

    def test_a_deployment_that_fails_fails(self):
        with self.assertRaises(AssertionError):
            self.check("false")


class Metric(unittest.TestCase):
    def check(self, *names):
        metrics = [{"MetricName": name} for name in names]
        return accept.check_metric(
            deployment(("cloudwatch", "list_metrics", {"Metrics": metrics}), parameters={"Metrics": "true"})
        )

    def test_the_metrics_are_named(self):
        self.assertEqual(self.check("Stored", "Pushed", "Stored"), "Pushed, Stored")

    def test_without_a_metric_nothing_is_shown(self):
        with self.assertRaises(accept.NotShownError):
            self.check()
