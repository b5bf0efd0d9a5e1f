"""What `sam deploy` would make of template.yaml: who may do what, and what has to be there.

It reads the template after SAM's transform, because that is what gets deployed: the transform adds resources of its own,
and drops what it does not understand.
"""

import copy
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parent.parent.parent
REGIONS = ["us-east-1", "eu-central-1"]

LOGS = {("logs:CreateLogStream", "FunctionLogGroup.Arn"), ("logs:PutLogEvents", "FunctionLogGroup.Arn")}
# Only with Tracing=Active. X-Ray has no resources that a policy could name.
TRACES = {("if Traces: xray:PutTraceSegments", "*"), ("if Traces: xray:PutTelemetryRecords", "*")}
CONNECTIONS = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${ChatApi}/${StageName}/%s/@connections/*"
POST, DELETE = [("execute-api:ManageConnections", CONNECTIONS % method) for method in ("POST", "DELETE")]

# Everything that each function may do. A wider policy fails here until it is written down, and so read by somebody.
ALLOWED = {
    "AuthorizerFunction": set(),
    "ConnectFunction": {
        ("dynamodb:PutItem", "ClientsTable.Arn"),
        ("dynamodb:Query", "ClientsTable.Arn"),
        ("dynamodb:DeleteItem", "ClientsTable.Arn"),
        DELETE,
    },
    "DisconnectFunction": {("dynamodb:DeleteItem", "ClientsTable.Arn")},
    "SendFunction": {
        ("dynamodb:Query", "MessagesTable.Arn"),
        ("dynamodb:PutItem", "MessagesTable.Arn"),
        ("dynamodb:GetItem", "MessagesTable.Arn"),
        ("dynamodb:PutItem", "ConversationsTable.Arn"),
        ("dynamodb:DeleteItem", "ConversationsTable.Arn"),
        ("dynamodb:Query", "ClientsTable.Arn"),
        ("dynamodb:DeleteItem", "ClientsTable.Arn"),
        POST,
        DELETE,
    },
    "HistoryFunction": {("dynamodb:Query", "MessagesTable.Arn"), POST, DELETE},
    "InboxFunction": {
        ("dynamodb:Query", "ConversationsTable.Arn"),
        ("dynamodb:BatchGetItem", "ConversationsTable.Arn"),
        ("dynamodb:Query", "MessagesTable.Arn"),
        POST,
        DELETE,
    },
    "ReadFunction": {
        ("dynamodb:UpdateItem", "ConversationsTable.Arn"),
        ("dynamodb:ConditionCheckItem", "MessagesTable.Arn"),
        ("dynamodb:Query", "ClientsTable.Arn"),
        ("dynamodb:DeleteItem", "ClientsTable.Arn"),
        POST,
        DELETE,
    },
    "FallbackFunction": {POST, DELETE},
}
ROUTES = {
    "$connect": "ConnectFunction",
    "$disconnect": "DisconnectFunction",
    "$default": "FallbackFunction",
    "getConversations": "InboxFunction",
    "getMessages": "HistoryFunction",
    "markRead": "ReadFunction",
    "sendMessage": "SendFunction",
}
REPLYING = {"$default", "getConversations", "getMessages", "markRead", "sendMessage"}
# What every function has.
NAMESPACE = {"METRICS_NAMESPACE": {"Fn::If": ["Counts", {"Ref": "AWS::StackName"}, {"Ref": "AWS::NoValue"}]}}
# What the functions count, and how each is read off the dashboard.
COUNTED = {
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
JWT = {"AuthMode": "jwt", "JwtJwksUrl": "https://id.example/keys", "JwtIssuer": "https://id.example", "JwtAudience": "chat"}


def transformed(**parameters):
    """The template as CloudFormation gets it."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    # `sam deploy` puts the address of the uploaded code here.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    return Translator({}, Parser()).translate(template, parameters)


def as_list(value):
    return value if isinstance(value, list) else [value]


def text(value):
    """A short form of a value: a resource's attribute as `Resource.Attribute`."""
    match value:
        case str():
            return value
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"{resource}.{attribute}"
        case {"Fn::Sub": str(sub)}:
            return sub
    return json.dumps(value)


def permissions(document):
    """The pairs of action and resource that a policy allows."""
    found = set()
    for statement in as_list(document["Statement"]):
        prefix = ""
        match statement:
            case {"Fn::If": [condition, inner, {"Ref": "AWS::NoValue"}]}:
                prefix, statement = f"if {condition}: ", inner
        if set(statement) - {"Sid"} != {"Effect", "Action", "Resource"} or statement["Effect"] != "Allow":
            raise AssertionError(f"a statement of another form: {statement}")
        for action in as_list(statement["Action"]):
            found |= {(prefix + action, text(resource)) for resource in as_list(statement["Resource"])}
    return found


class Case(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.template = transformed()
        cls.resources = cls.template["Resources"]

    def of_type(self, kind):
        return {name: it for name, it in self.resources.items() if it["Type"] == kind}


class LeastPrivilege(Case):
    def granted(self, function):
        role_id = text(self.resources[function]["Properties"]["Role"]).removesuffix(".Arn")
        role = self.resources[role_id]["Properties"]
        self.assertEqual(
            role["AssumeRolePolicyDocument"]["Statement"],
            [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
        )
        documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        for policy in role.get("ManagedPolicyArns", []):
            self.assertIn("Ref", policy, f"{role_id} has a policy of AWS's, which names no resource: {policy}")
            documents.append(self.resources[policy["Ref"]]["Properties"]["PolicyDocument"])
        return set().union(*map(permissions, documents))

    def test_each_function_may_do_exactly_what_it_needs(self):
        self.assertEqual(set(self.of_type("AWS::Lambda::Function")), set(ALLOWED))
        for function, allowed in ALLOWED.items():
            with self.subTest(function):
                self.assertEqual(self.granted(function), allowed | LOGS | TRACES)

    def test_no_policy_has_a_wildcard_where_an_arn_is_known(self):
        for function in ALLOWED:
            for action, resource in self.granted(function) - TRACES:
                with self.subTest(function, action=action):
                    self.assertNotIn("*", action)
                    self.assertNotIn("*", resource.removesuffix("/@connections/*"))

    def test_policies_are_attached_nowhere_else(self):
        self.assertEqual(set(self.of_type("AWS::IAM::ManagedPolicy")), {"ConnectionsPolicy", "LogAndTracePolicy"})
        self.assertEqual(self.of_type("AWS::IAM::Policy"), {})
        of_functions = {text(it["Properties"]["Role"]) for it in self.of_type("AWS::Lambda::Function").values()}
        roles = {f"{role}.Arn" for role in self.of_type("AWS::IAM::Role")}
        self.assertEqual(roles - of_functions, {"ApiLogRole.Arn"}, "API Gateway's own, and only on demand")
        self.assertEqual(self.resources["ApiLogRole"]["Condition"], "MakesApiLogRole")

    def test_only_this_api_may_invoke_the_functions(self):
        sources = {}
        for permission in self.of_type("AWS::Lambda::Permission").values():
            properties = permission["Properties"]
            self.assertEqual(properties["Principal"], "apigateway.amazonaws.com")
            source = properties["SourceArn"]["Fn::Sub"]
            source = source if isinstance(source, str) else source[0]
            self.assertIn("${ChatApi.ApiId}/" if "__StageName__" in source else "${__ApiId__}/", source)
            sources[text(properties["FunctionName"]).removesuffix(".Arn")] = source.split("/", 1)[1]
        routes = {function: "${__StageName__}/" + key for key, function in ROUTES.items()}
        self.assertEqual({name: it for name, it in sources.items() if name in routes}, routes)
        self.assertEqual(set(sources), set(ALLOWED))


class Api(Case):
    def routes(self):
        return {it["Properties"]["RouteKey"]: (name, it["Properties"]) for name, it in self.of_type("AWS::ApiGatewayV2::Route").items()}

    def test_each_route_reaches_its_function(self):
        reached = {}
        for key, (_, route) in self.routes().items():
            integration = route["Target"]["Fn::Join"][1][1]["Ref"]
            arn = self.resources[integration]["Properties"]["IntegrationUri"]["Fn::Sub"][1]["FunctionArn"]
            reached[key] = text(arn).removesuffix(".Arn")
        self.assertEqual(reached, ROUTES)

    def test_nobody_connects_without_the_authorizer(self):
        _, connect = self.routes()["$connect"]
        self.assertEqual(connect["AuthorizationType"], "CUSTOM")
        authorizer = self.resources[connect["AuthorizerId"]["Ref"]]["Properties"]
        self.assertEqual(authorizer["AuthorizerType"], "REQUEST")
        self.assertEqual(authorizer["IdentitySource"], [], "a missing one would be refused before the function is asked")
        self.assertEqual(authorizer["AuthorizerUri"]["Fn::Sub"][1], {"AuthArn": {"Fn::GetAtt": ["AuthorizerFunction", "Arn"]}})

    def test_replying_routes_have_both_that_a_reply_needs(self):
        selecting = {key for key, (_, it) in self.routes().items() if it.get("RouteResponseSelectionExpression") == "$default"}
        self.assertEqual(selecting, REPLYING)
        responses = {it["Properties"]["RouteId"]["Ref"] for it in self.of_type("AWS::ApiGatewayV2::RouteResponse").values()}
        self.assertEqual(responses, {self.routes()[key][0] for key in REPLYING})

    def test_what_users_write_and_their_tokens_stay_out_of_the_logs_of_the_api(self):
        (stage,) = self.of_type("AWS::ApiGatewayV2::Stage").values()
        self.assertIs(stage["Properties"]["DefaultRouteSettings"]["DataTraceEnabled"], False)
        condition, access, otherwise = stage["Properties"]["AccessLogSettings"]["Fn::If"]
        self.assertEqual((condition, otherwise), ("LogsApi", {"Ref": "AWS::NoValue"}))
        fields = json.loads(access["Format"])
        self.assertEqual({field for field in fields.values() if not field.startswith("$context.")}, set())

    def test_the_stage_is_throttled(self):
        (stage,) = self.of_type("AWS::ApiGatewayV2::Stage").values()
        settings = stage["Properties"]["DefaultRouteSettings"]
        self.assertEqual(settings["ThrottlingRateLimit"], {"Ref": "ThrottleRate"})
        self.assertEqual(settings["ThrottlingBurstLimit"], {"Ref": "ThrottleBurst"})


class Modes(Case):
    def variables(self, function):
        return self.resources[function]["Properties"]["Environment"]["Variables"]

    def test_the_authorizer_gets_the_variables_of_jwt_mode_in_jwt_mode_only(self):
        only = {"Fn::If": ["AsksForTokens", None, {"Ref": "AWS::NoValue"}]}
        expected = {"AUTH_MODE": {"Ref": "AuthMode"}, "ALLOWED_ORIGINS": {"Ref": "AllowedOrigins"}, **NAMESPACE}
        for variable, parameter in [
            ("JWT_JWKS_URL", "JwtJwksUrl"),
            ("JWT_ISSUER", "JwtIssuer"),
            ("JWT_AUDIENCE", "JwtAudience"),
            ("JWT_USER_CLAIM", "JwtUserClaim"),
        ]:
            expected[variable] = copy.deepcopy(only)
            expected[variable]["Fn::If"][1] = {"Ref": parameter}
        self.assertEqual(self.variables("AuthorizerFunction"), expected)
        self.assertEqual(self.template["Conditions"]["AsksForTokens"], {"Fn::Equals": [{"Ref": "AuthMode"}, "jwt"]})

    def test_both_modes_make_the_same_resources(self):
        self.assertEqual(transformed(**JWT)["Resources"], transformed(AuthMode="open")["Resources"])

    def broken(self, **parameters):
        """What the rules say of these parameters."""
        values = {name: it.get("Default", "") for name, it in self.template["Parameters"].items()} | parameters

        def holds(node):
            match node:
                case {"Fn::Equals": [left, right]}:
                    return holds(left) == holds(right)
                case {"Fn::Not": [inner]}:
                    return not holds(inner)
                case {"Ref": name}:
                    return values[name]
            return node

        rules = [rule for rule in self.template["Rules"].values() if holds(rule["RuleCondition"])]
        return [it["AssertDescription"] for rule in rules for it in rule["Assertions"] if not holds(it["Assert"])]

    def test_jwt_mode_stops_where_something_of_it_is_missing(self):
        self.assertEqual(self.broken(), [])
        self.assertEqual(self.broken(**JWT), [])
        self.assertEqual(len(self.broken(AuthMode="jwt")), 3)
        for missing in ["JwtJwksUrl", "JwtIssuer", "JwtAudience"]:
            (said,) = self.broken(**JWT | {missing: ""})
            self.assertIn(f"AuthMode=jwt needs {missing}", said)

    def test_a_domain_comes_with_its_certificate(self):
        self.assertIn("needs CertificateArn", self.broken(DomainName="chat.example.com")[0])
        self.assertIn("needs DomainName", self.broken(HostedZoneId="Z1")[0])


class Keeping(Case):
    def test_messages_and_receipts_outlive_the_stack_and_every_mistake_of_the_last_month(self):
        for name in ["MessagesTable", "ConversationsTable"]:
            table = self.resources[name]
            self.assertEqual((table["DeletionPolicy"], table["UpdateReplacePolicy"]), ("Retain", "Retain"), name)
            recovery = table["Properties"]["PointInTimeRecoverySpecification"]
            self.assertIs(recovery["PointInTimeRecoveryEnabled"], True, name)

    def test_connections_go_with_the_stack_and_by_themselves(self):
        clients = self.resources["ClientsTable"]
        self.assertEqual((clients["DeletionPolicy"], clients["UpdateReplacePolicy"]), ("Delete", "Delete"))
        self.assertEqual(clients["Properties"]["TimeToLiveSpecification"], {"AttributeName": "expiresAt", "Enabled": True})

    def test_no_log_is_kept_for_ever(self):
        for name, group in self.of_type("AWS::Logs::LogGroup").items():
            self.assertEqual(group["Properties"]["RetentionInDays"], {"Ref": "LogRetentionDays"}, name)
        for name, function in self.of_type("AWS::Lambda::Function").items():
            self.assertEqual(function["Properties"]["LoggingConfig"]["LogGroup"], {"Ref": "FunctionLogGroup"}, name)


class Watching(Case):
    def test_every_alarm_can_notify_and_none_sounds_without_data(self):
        alarms = self.of_type("AWS::CloudWatch::Alarm")
        self.assertEqual(set(alarms), {"ApiErrorsAlarm", "FunctionErrorsAlarm", "FunctionThrottlesAlarm", "TableThrottlesAlarm"})
        for name, alarm in alarms.items():
            topics = [topic["Fn::If"][1]["Ref"] for topic in alarm["Properties"]["AlarmActions"]]
            self.assertEqual(topics, ["AlarmTopicArn", "AlarmTopic"], name)
            self.assertEqual(alarm["Properties"]["TreatMissingData"], "notBreaching", name)

    def test_alarms_and_dashboard_watch_every_function_and_table(self):
        watched = json.dumps(self.resources["FunctionErrorsAlarm"]) + json.dumps(self.resources["FunctionThrottlesAlarm"])
        body = self.resources["ChatDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
        for function in ALLOWED:
            self.assertEqual(watched.count(f'"{function}"'), 2, function)
            self.assertIn(f"${{{function}}}", body)
        for table in self.of_type("AWS::DynamoDB::Table"):
            self.assertIn(f'"{table}"', json.dumps(self.resources["TableThrottlesAlarm"]))
            self.assertIn(f"${{{table}}}", body)

    def test_the_dashboard_is_json_whose_names_exist(self):
        body, own = self.resources["ChatDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        widgets = json.loads(body)["widgets"]
        titles = [widget["properties"].get("title", "").split("?")[0] for widget in widgets]
        self.assertLessEqual({"Healthy", "Busy", "Fast", "Cost"}, set(titles))
        for widget in widgets:
            self.assertLessEqual(widget["x"] + widget["width"], 24)
        for one, other in itertools.combinations(widgets, 2):
            apart = any(a[at] + a[size] <= b[at] for a, b in [(one, other), (other, one)] for at, size in [("x", "width"), ("y", "height")])
            self.assertTrue(apart, f"{one['properties']} and {other['properties']} lie on one another")
        known = set(self.resources) | set(self.template["Parameters"]) | set(own) | {"AWS::Region", "AWS::StackName"}
        used = {part.split("}")[0].split(".")[0] for part in body.split("${")[1:]}
        self.assertEqual(used - known, set())

    def test_what_the_functions_count_is_on_the_dashboard_and_nothing_else(self):
        body = self.resources["ChatDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
        shown = {}
        for widget in json.loads(body)["widgets"]:
            properties = widget["properties"]
            for metric in properties.get("metrics", []):
                if metric[0] == "${AWS::StackName}":
                    # Without dimensions: each name is one metric, and billed once.
                    _, name, look = metric
                    shown.setdefault(name, set()).add(look.get("stat", properties.get("stat")))
        self.assertEqual(shown, COUNTED)
        source = (ROOT / "crates/chat-core/src/lambda/journal.rs").read_text()
        self.assertEqual(set(re.findall(r'figure\("(\w+)"', source)), set(COUNTED))
        self.assertIn(f"{len(COUNTED) * 0.3:.2f} USD a month", self.template["Parameters"]["Metrics"]["Description"])
        self.assertIn(f"metrics ({len(COUNTED) * 0.3:.2f} USD a month)", body)

    def test_every_function_counts_under_the_stack_s_name_unless_it_is_turned_off(self):
        self.assertEqual(self.template["Conditions"]["Counts"], {"Fn::Equals": [{"Ref": "Metrics"}, "true"]})
        for name, function in self.of_type("AWS::Lambda::Function").items():
            variables = function["Properties"]["Environment"]["Variables"]
            self.assertEqual(variables | NAMESPACE, variables, name)

    def test_lambda_lets_through_the_line_that_is_counted_by(self):
        # It takes that line as INFO, which is the least that there is, and as metrics for being JSON.
        self.assertEqual(self.template["Parameters"]["LogLevel"]["Default"], "INFO")
        for name, function in self.of_type("AWS::Lambda::Function").items():
            logging = function["Properties"]["LoggingConfig"]
            self.assertEqual((logging["LogFormat"], logging["ApplicationLogLevel"]), ("JSON", {"Ref": "LogLevel"}), name)


class Linting(unittest.TestCase):
    def test_cfn_lint_finds_nothing_in_what_is_deployed(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(transformed(), file)
            file.flush()
            regions = [argument for region in REGIONS for argument in ("--regions", region)]
            command = [Path(sys.executable).with_name("cfn-lint"), *regions, "--", file.name]
            done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


if __name__ == "__main__":
    # The translator asks for a region and uses it for nothing.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    unittest.main()
