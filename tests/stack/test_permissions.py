"""IAM permissions: each function may do exactly what it needs."""

from stack_template import FUNCTIONS, ROUTES, TemplateTest, short_form

LOGS = {
    ("logs:CreateLogStream", "FunctionLogGroup.Arn"),
    ("logs:PutLogEvents", "FunctionLogGroup.Arn"),
}
# Granted even without tracing, so that tracing can be turned on later. X-Ray has no resources that a policy could name.
TRACES = {
    ("xray:PutTraceSegments", "*"),
    ("xray:PutTelemetryRecords", "*"),
}
CONNECTIONS = (
    "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${ChatApi}/${StageName}/%s/@connections/*"
)
POST, DELETE = [("execute-api:ManageConnections", CONNECTIONS % method) for method in ("POST", "DELETE")]

# All permissions of each function. A wider policy fails the test until it is reviewed and added
# here.
ALLOWED = {
    "AuthorizerFunction": set(),
    "ConnectFunction": {
        ("dynamodb:UpdateItem", "ClientsTable.Arn"),
        DELETE,
    },
    "DisconnectFunction": {("dynamodb:UpdateItem", "ClientsTable.Arn")},
    "SendFunction": {
        ("dynamodb:Query", "MessagesTable.Arn"),
        ("dynamodb:PutItem", "MessagesTable.Arn"),
        ("dynamodb:GetItem", "MessagesTable.Arn"),
        ("dynamodb:BatchWriteItem", "ConversationsTable.Arn"),
        ("dynamodb:UpdateItem", "ConversationsTable.Arn"),
        ("dynamodb:Query", "MembersTable.Arn"),
        ("dynamodb:GetItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "ClientsTable.Arn"),
        ("dynamodb:UpdateItem", "ClientsTable.Arn"),
        POST,
        DELETE,
    },
    "HistoryFunction": {
        ("dynamodb:Query", "MessagesTable.Arn"),
        ("dynamodb:BatchGetItem", "MessagesTable.Arn"),
        ("dynamodb:GetItem", "MembersTable.Arn"),
        POST,
        DELETE,
    },
    "InboxFunction": {
        ("dynamodb:Query", "ConversationsTable.Arn"),
        ("dynamodb:BatchGetItem", "ConversationsTable.Arn"),
        ("dynamodb:Query", "MessagesTable.Arn"),
        ("dynamodb:BatchGetItem", "MessagesTable.Arn"),
        ("dynamodb:BatchGetItem", "MembersTable.Arn"),
        POST,
        DELETE,
    },
    "ReadFunction": {
        ("dynamodb:UpdateItem", "ConversationsTable.Arn"),
        ("dynamodb:GetItem", "MessagesTable.Arn"),
        ("dynamodb:Query", "MembersTable.Arn"),
        ("dynamodb:GetItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "ClientsTable.Arn"),
        ("dynamodb:UpdateItem", "ClientsTable.Arn"),
        POST,
        DELETE,
    },
    "EditFunction": {
        ("dynamodb:Query", "MessagesTable.Arn"),
        ("dynamodb:GetItem", "MessagesTable.Arn"),
        ("dynamodb:PutItem", "MessagesTable.Arn"),
        ("dynamodb:UpdateItem", "ConversationsTable.Arn"),
        ("dynamodb:Query", "MembersTable.Arn"),
        ("dynamodb:GetItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "ClientsTable.Arn"),
        ("dynamodb:UpdateItem", "ClientsTable.Arn"),
        POST,
        DELETE,
    },
    "GroupFunction": {
        ("dynamodb:Query", "MessagesTable.Arn"),
        ("dynamodb:GetItem", "MessagesTable.Arn"),
        ("dynamodb:PutItem", "MessagesTable.Arn"),
        ("dynamodb:BatchGetItem", "ConversationsTable.Arn"),
        ("dynamodb:PutItem", "ConversationsTable.Arn"),
        ("dynamodb:UpdateItem", "ConversationsTable.Arn"),
        ("dynamodb:BatchWriteItem", "ConversationsTable.Arn"),
        ("dynamodb:Query", "MembersTable.Arn"),
        ("dynamodb:GetItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "MembersTable.Arn"),
        ("dynamodb:PutItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "ClientsTable.Arn"),
        ("dynamodb:UpdateItem", "ClientsTable.Arn"),
        POST,
        DELETE,
    },
    "PresenceFunction": {
        ("dynamodb:Query", "MessagesTable.Arn"),
        ("dynamodb:Query", "MembersTable.Arn"),
        ("dynamodb:GetItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "ClientsTable.Arn"),
        ("dynamodb:UpdateItem", "ClientsTable.Arn"),
        POST,
        DELETE,
    },
    "ApiFunction": {
        ("dynamodb:Query", "MessagesTable.Arn"),
        ("dynamodb:GetItem", "MessagesTable.Arn"),
        ("dynamodb:BatchGetItem", "MessagesTable.Arn"),
        ("dynamodb:PutItem", "MessagesTable.Arn"),
        ("dynamodb:Query", "ConversationsTable.Arn"),
        ("dynamodb:BatchGetItem", "ConversationsTable.Arn"),
        ("dynamodb:PutItem", "ConversationsTable.Arn"),
        ("dynamodb:UpdateItem", "ConversationsTable.Arn"),
        ("dynamodb:BatchWriteItem", "ConversationsTable.Arn"),
        ("dynamodb:Query", "MembersTable.Arn"),
        ("dynamodb:GetItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "MembersTable.Arn"),
        ("dynamodb:PutItem", "MembersTable.Arn"),
        ("dynamodb:BatchGetItem", "ClientsTable.Arn"),
        ("dynamodb:UpdateItem", "ClientsTable.Arn"),
        POST,
        DELETE,
    },
    "FallbackFunction": {POST, DELETE},
}


def as_list(value):
    return value if isinstance(value, list) else [value]


def permissions(document):
    """The pairs of action and resource that a policy document allows."""
    found = set()
    for statement in as_list(document["Statement"]):
        elements = set(statement) - {"Sid"}
        if elements != {"Effect", "Action", "Resource"} or statement["Effect"] != "Allow":
            raise AssertionError(f"unexpected form of a statement: {statement}")
        for action in as_list(statement["Action"]):
            found |= {(action, short_form(resource)) for resource in as_list(statement["Resource"])}
    return found


class Permissions(TemplateTest):
    def granted(self, function):
        role_id = short_form(self.resources[function]["Properties"]["Role"])
        role_id = role_id.removesuffix(".Arn")
        role = self.resources[role_id]["Properties"]
        self.assertEqual(
            role["AssumeRolePolicyDocument"]["Statement"],
            [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        )
        documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        for policy in role.get("ManagedPolicyArns", []):
            self.assertIn(
                "Ref",
                policy,
                f"{role_id} has an AWS managed policy, which names no resource",
            )
            documents.append(self.resources[policy["Ref"]]["Properties"]["PolicyDocument"])
        return set().union(*map(permissions, documents))

    def test_each_function_may_do_exactly_what_it_needs(self):
        self.assertEqual(set(self.of_type("AWS::Lambda::Function")), set(ALLOWED))
        self.assertEqual(set(ALLOWED), FUNCTIONS)
        for function, allowed in ALLOWED.items():
            with self.subTest(function):
                self.assertEqual(self.granted(function), allowed | LOGS | TRACES)

    def test_each_function_has_the_names_of_exactly_the_tables_that_it_may_use(self):
        tables = self.of_type("AWS::DynamoDB::Table")
        for name, function in self.of_type("AWS::Lambda::Function").items():
            variables = function["Properties"]["Environment"]["Variables"]
            named = {variable: value["Ref"] for variable, value in variables.items() if variable.endswith("_TABLE")}
            usable = {resource.removesuffix(".Arn") for _, resource in ALLOWED[name]} & set(tables)
            expected = {f"{table.removesuffix('Table').upper()}_TABLE": table for table in usable}
            self.assertEqual(named, expected, name)

    def test_only_the_functions_that_use_positions_get_their_key(self):
        value = {"Fn::Sub": "{{resolve:secretsmanager:${PositionKey}}}"}
        users = {
            name
            for name, function in self.of_type("AWS::Lambda::Function").items()
            if value in function["Properties"]["Environment"]["Variables"].values()
        }
        using = ["SendFunction", "HistoryFunction", "ReadFunction", "EditFunction", "GroupFunction", "ApiFunction"]
        self.assertEqual(users, set(using))
        generated = self.resources["PositionKey"]["Properties"]["GenerateSecretString"]
        self.assertEqual(generated, {"PasswordLength": 64, "ExcludePunctuation": True})

    def test_no_policy_has_a_wildcard_instead_of_a_known_arn(self):
        for function in ALLOWED:
            for action, resource in self.granted(function) - TRACES:
                with self.subTest(function, action=action):
                    self.assertNotIn("*", action)
                    self.assertNotIn("*", resource.removesuffix("/@connections/*"))

    def test_there_are_no_other_policies_and_roles(self):
        self.assertEqual(
            set(self.of_type("AWS::IAM::ManagedPolicy")),
            {"ConnectionsPolicy", "LogAndTracePolicy"},
        )
        self.assertEqual(self.of_type("AWS::IAM::Policy"), {})
        function_roles = {
            short_form(function["Properties"]["Role"]) for function in self.of_type("AWS::Lambda::Function").values()
        }
        roles = {f"{role}.Arn" for role in self.of_type("AWS::IAM::Role")}
        self.assertEqual(roles - function_roles, {"ApiLogRole.Arn"})
        self.assertEqual(self.resources["ApiLogRole"]["Condition"], "MakesApiLogRole")

    def test_only_this_api_may_invoke_the_functions(self):
        sources = {}
        for permission in self.of_type("AWS::Lambda::Permission").values():
            properties = permission["Properties"]
            self.assertEqual(properties["Principal"], "apigateway.amazonaws.com")
            source = properties["SourceArn"]["Fn::Sub"]
            source = source if isinstance(source, str) else source[0]
            api = "${ChatApi.ApiId}/" if "__StageName__" in source else "${__ApiId__}/"
            self.assertIn(api, source)
            function = short_form(properties["FunctionName"]).removesuffix(".Arn")
            sources.setdefault(function, set()).add(source.split("/", 1)[1])
        routes = {}
        for key, function in ROUTES.items():
            routes.setdefault(function, set()).add("${__StageName__}/" + key)
        self.assertEqual({name: source for name, source in sources.items() if name in routes}, routes)
        self.assertEqual(
            set(sources), set(ALLOWED) - {"ApiFunction"}, "nothing but IAM leads to the function for backends"
        )
