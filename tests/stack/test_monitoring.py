"""Monitoring: alarms, dashboard, metrics and the prices on the dashboard."""

import itertools
import json
import re

import tomlkit
from stack_template import COMMON_VARIABLES, FUNCTIONS, ROOT, TemplateTest, monitoring_template

# The metrics that the functions record, with the statistics that the dashboard shows.
METRICS = {
    "Stored": {"Sum"},
    "Repeats": {"Sum"},
    "Attempts": {"Sum"},
    "Pushed": {"Sum"},
    "Gone": {"Sum"},
    "PushFailures": {"Sum"},
    "Bytes": {"Sum"},
    "TimeToStored": {"p50", "p99"},
    "TimeToPushed": {"p50", "p99"},
}
ALARMS = {
    "ApiErrorsAlarm",
    "BackendAlarm",
    "FunctionErrorsAlarm",
    "FunctionThrottlesAlarm",
    "GroupAlarm",
    "TableThrottlesAlarm",
}
PRICES = json.loads((ROOT / "tools/bench/prices.json").read_text())


class MonitoringTest(TemplateTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.monitoring = monitoring_template()
        dashboard = cls.monitoring["Resources"]["ChatDashboard"]["Properties"]
        cls.body, cls.variables = dashboard["DashboardBody"]["Fn::Sub"]
        cls.widgets = json.loads(cls.body)["widgets"]

    def alarms(self):
        return {
            name: resource["Properties"]
            for name, resource in self.monitoring["Resources"].items()
            if resource["Type"] == "AWS::CloudWatch::Alarm"
        }

    def metrics(self):
        """The metrics that the functions record, as the dashboard shows them."""
        for widget in self.widgets:
            properties = widget["properties"]
            for metric in properties.get("metrics", []):
                # No dimensions, so each name is one metric and is billed once.
                if metric[0] == "${ChatStackName}":
                    _, name, options = metric
                    yield name, options.get("stat", properties.get("stat"))


class NestedStack(MonitoringTest):
    def test_the_nested_stack_exists_if_monitoring_is_enabled(self):
        stack = self.resources["MonitoringStack"]
        self.assertEqual(stack["Condition"], "Monitors")
        self.assertEqual(
            self.template["Conditions"]["Monitors"],
            {"Fn::Equals": [{"Ref": "Monitoring"}, "true"]},
        )

    def test_each_parameter_has_the_value_of_the_same_name(self):
        passed = self.resources["MonitoringStack"]["Properties"]["Parameters"]
        self.assertEqual(set(passed), set(self.monitoring["Parameters"]))
        expected = {name: {"Ref": name} for name in passed}
        expected["ChatStackName"] = {"Ref": "AWS::StackName"}
        self.assertEqual(passed, expected)

    def test_samconfig_grants_the_capability_for_nested_stacks(self):
        config = tomlkit.parse((ROOT / "samconfig.toml").read_text())
        for environment in ["default", "prod"]:
            capabilities = config[environment]["deploy"]["parameters"]["capabilities"]
            self.assertIn("CAPABILITY_AUTO_EXPAND", capabilities, environment)


class Alarms(MonitoringTest):
    def test_every_alarm_notifies_and_missing_data_raises_none(self):
        self.assertEqual(set(self.alarms()), ALARMS)
        for name, alarm in self.alarms().items():
            topics = [topic["Fn::If"] for topic in alarm["AlarmActions"]]
            expected = [
                ["NotifiesTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "AWS::NoValue"}],
                ["NotifiesByEmail", {"Ref": "AlarmTopic"}, {"Ref": "AWS::NoValue"}],
            ]
            self.assertEqual(topics, expected, name)
            self.assertEqual(alarm["TreatMissingData"], "notBreaching", name)

    def test_alarms_and_dashboard_cover_every_function_and_table(self):
        alarms = self.alarms()
        names = ["FunctionErrorsAlarm", "FunctionThrottlesAlarm", "BackendAlarm", "GroupAlarm"]
        function_alarms = "".join(json.dumps(alarms[name]) for name in names)
        for function in FUNCTIONS:
            count = 1 if function == "AuthorizerFunction" else 2
            self.assertEqual(function_alarms.count(f'"{function}"'), count, function)
            self.assertIn(f"${{{function}}}", self.body)
        for table in self.of_type("AWS::DynamoDB::Table"):
            self.assertIn(f'"{table}"', json.dumps(alarms["TableThrottlesAlarm"]))
            self.assertIn(f"${{{table}}}", self.body)

    def test_no_alarm_watches_more_metrics_than_cloudwatch_allows(self):
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
        for name, alarm in self.alarms().items():
            watched = sum("MetricStat" in metric for metric in alarm["Metrics"])
            self.assertLessEqual(watched, 10, name)

    def test_a_refused_token_raises_no_alarm_and_a_fault_of_the_authorizer_does(self):
        # The authorizer answers 401 by failing, so its `Errors` count refused tokens.
        errors = [
            metric["MetricStat"]["Metric"]
            for metric in self.alarms()["FunctionErrorsAlarm"]["Metrics"]
            if "MetricStat" in metric
        ]
        faults = {"Namespace": {"Ref": "ChatStackName"}, "MetricName": "AuthorizerFaults"}
        self.assertIn(faults, errors)
        self.assertIn('"${ChatStackName}","AuthorizerFaults"', self.body)
        for text in [json.dumps(errors), *self.failed_events()]:
            self.assertNotIn("AuthorizerFunction", text)
        recorder = self.monitoring["Resources"]["AuthorizerFaults"]["Properties"]
        (transformation,) = recorder["MetricTransformations"]
        self.assertEqual(transformation["MetricNamespace"], faults["Namespace"])
        self.assertEqual((transformation["MetricName"], transformation["MetricValue"]), (faults["MetricName"], "1"))
        self.assertEqual(recorder["LogGroupName"], {"Ref": "FunctionLogGroup"})
        pattern = recorder["FilterPattern"]["Fn::Sub"]
        self.assertIn('($.level = "ERROR")', pattern)
        self.assertIn('($.span.function = "${AuthorizerFunction}")', pattern)
        self.assertIn('($.function = "${AuthorizerFunction}")', pattern)

    def failed_events(self):
        """The lines of the dashboard's widget of failed events."""
        for widget in self.widgets:
            if widget["properties"].get("title") == "Health: failed events":
                yield from map(json.dumps, widget["properties"]["metrics"])

    def test_the_alarm_on_throttled_tables_returns_to_ok(self):
        # CloudWatch ignores TreatMissingData for metrics of DynamoDB, which exist only while calls are throttled.
        metrics = self.alarms()["TableThrottlesAlarm"]["Metrics"]
        watched = [metric["Id"] for metric in metrics if "MetricStat" in metric]
        self.assertEqual(metrics[0]["Expression"], "+".join(f"FILL({metric},0)" for metric in watched))


class Dashboard(MonitoringTest):
    def test_the_dashboard_shows_health_load_latency_and_cost(self):
        titles = [widget["properties"].get("title", "") for widget in self.widgets]
        subjects = {title.split(":")[0] for title in titles}
        self.assertLessEqual({"Health", "Load", "Latency", "Cost"}, subjects)

    def test_no_two_widgets_overlap(self):
        for widget in self.widgets:
            self.assertLessEqual(widget["x"] + widget["width"], 24)
        for one, other in itertools.combinations(self.widgets, 2):
            apart = any(
                first[start] + first[size] <= second[start]
                for first, second in [(one, other), (other, one)]
                for start, size in [("x", "width"), ("y", "height")]
            )
            self.assertTrue(apart, f"{one['properties']} overlaps {other['properties']}")

    def test_every_variable_of_the_dashboard_exists(self):
        known = set(self.monitoring["Resources"]) | set(self.monitoring["Parameters"])
        known |= set(self.variables) | {"AWS::Region"}
        used = {part.split("}")[0].split(".")[0] for part in self.body.split("${")[1:]}
        self.assertEqual(used - known, set())
        self.assertLessEqual(set(self.variables), used)

    def test_the_dashboard_shows_exactly_the_metrics_that_the_functions_record(self):
        shown = {}
        for name, statistic in self.metrics():
            shown.setdefault(name, set()).add(statistic)
        self.assertEqual(shown, METRICS | {"AuthorizerFaults": {"Sum"}})
        sources = (ROOT / "crates/chat-core/src/lambda").glob("*.rs")
        # Matches, for example, `metric("Stored", Unit::Count, …)`.
        call = re.compile(r'\w\("(\w+)", (?:Unit::|milliseconds\b)')
        recorded = {name for source in sources for name in call.findall(source.read_text())}
        self.assertEqual(recorded, set(METRICS))


class Prices(MonitoringTest):
    def test_the_dashboard_has_the_prices_of_the_bench(self):
        by_architecture = PRICES["MillionGigabyteSeconds"]
        variables = dict(self.variables)
        condition, arm64, x86_64 = variables.pop("MillionGigabyteSeconds")["Fn::If"]
        self.assertEqual(
            self.monitoring["Conditions"][condition],
            {"Fn::Equals": [{"Ref": "Architecture"}, "arm64"]},
        )
        self.assertEqual(float(arm64), by_architecture["arm64"])
        self.assertEqual(float(x86_64), by_architecture["x86_64"])
        for name, price in variables.items():
            self.assertEqual(float(price), PRICES[name], name)

    def test_the_descriptions_have_the_monthly_prices(self):
        parameters = self.template["Parameters"]
        metrics = f"{len(METRICS) * PRICES['MetricMonth']:.2f} USD per month"
        self.assertIn(metrics, parameters["Metrics"]["Description"])
        self.assertIn(f"metrics ({metrics})", self.body)
        # An alarm on a metric math expression is billed for each metric in the expression.
        watched = sum("MetricStat" in metric for alarm in self.alarms().values() for metric in alarm["Metrics"])
        month = watched * PRICES["AlarmMetricMonth"] + PRICES["DashboardMonth"]
        description = parameters["Monitoring"]["Description"]
        self.assertIn(f"{month:.2f} USD per month", description)


class Recording(TemplateTest):
    def test_every_function_records_metrics_unless_they_are_disabled(self):
        self.assertEqual(
            self.template["Conditions"]["RecordsMetrics"],
            {"Fn::Equals": [{"Ref": "Metrics"}, "true"]},
        )
        for name, function in self.of_type("AWS::Lambda::Function").items():
            variables = function["Properties"]["Environment"]["Variables"]
            self.assertEqual(variables | COMMON_VARIABLES, variables, name)

    def test_the_default_log_level_passes_the_lines_with_metrics(self):
        # Lambda treats these lines as INFO, and extracts metrics only from the JSON format.
        self.assertEqual(self.template["Parameters"]["LogLevel"]["Default"], "INFO")
        for name, function in self.of_type("AWS::Lambda::Function").items():
            config = function["Properties"]["LoggingConfig"]
            settings = (config["LogFormat"], config["ApplicationLogLevel"])
            self.assertEqual(settings, ("JSON", {"Ref": "LogLevel"}), name)
