"""The WebSocket API: routes, authorizer, route responses, access log and throttling."""

import json

from stack_template import ROUTES, TemplateTest, short_form

# Routes whose function returns a frame to the caller.
REPLYING = set(ROUTES) - {"$connect", "$disconnect"}


class Api(TemplateTest):
    def routes(self):
        return {
            route["Properties"]["RouteKey"]: (name, route["Properties"])
            for name, route in self.of_type("AWS::ApiGatewayV2::Route").items()
        }

    def stage(self):
        (stage,) = self.of_type("AWS::ApiGatewayV2::Stage").values()
        return stage["Properties"]

    def test_each_route_invokes_its_function(self):
        invoked = {}
        for key, (_, route) in self.routes().items():
            integration = route["Target"]["Fn::Join"][1][1]["Ref"]
            uri = self.resources[integration]["Properties"]["IntegrationUri"]
            arn = uri["Fn::Sub"][1]["FunctionArn"]
            invoked[key] = short_form(arn).removesuffix(".Arn")
        self.assertEqual(invoked, ROUTES)

    def test_every_connection_passes_the_authorizer(self):
        _, connect = self.routes()["$connect"]
        self.assertEqual(connect["AuthorizationType"], "CUSTOM")
        authorizer = self.resources[connect["AuthorizerId"]["Ref"]]["Properties"]
        self.assertEqual(authorizer["AuthorizerType"], "REQUEST")
        self.assertEqual(
            authorizer["IdentitySource"],
            [],
            "API Gateway refuses a connection without a declared source, and does not call the function",
        )
        self.assertEqual(
            authorizer["AuthorizerUri"]["Fn::Sub"][1],
            {"AuthArn": {"Fn::GetAtt": ["AuthorizerFunction", "Arn"]}},
        )

    def test_replying_routes_have_a_response_and_its_selection(self):
        selecting = {
            key
            for key, (_, route) in self.routes().items()
            if route.get("RouteResponseSelectionExpression") == "$default"
        }
        self.assertEqual(selecting, REPLYING)
        responses = {
            response["Properties"]["RouteId"]["Ref"]
            for response in self.of_type("AWS::ApiGatewayV2::RouteResponse").values()
        }
        self.assertEqual(responses, {self.routes()[key][0] for key in REPLYING})

    def test_the_api_logs_contain_no_message_text_and_no_tokens(self):
        self.assertIs(self.stage()["DefaultRouteSettings"]["DataTraceEnabled"], False)
        condition, log, otherwise = self.stage()["AccessLogSettings"]["Fn::If"]
        self.assertEqual((condition, otherwise), ("LogsApi", {"Ref": "AWS::NoValue"}))
        fields = json.loads(log["Format"])
        other = {field for field in fields.values() if not field.startswith("$context.")}
        self.assertEqual(other, set())

    def test_route_responses_are_created_one_after_the_other(self):
        # API Gateway refuses concurrent changes of one API.
        after = {
            name: response.get("DependsOn")
            for name, response in self.of_type("AWS::ApiGatewayV2::RouteResponse").items()
        }
        (name,) = [name for name, earlier in after.items() if earlier is None]
        chain = [name]
        while len(chain) < len(after):
            (name,) = [later for later, earlier in after.items() if earlier == name]
            chain.append(name)
        self.assertEqual(set(chain), set(after))

    def test_the_stage_waits_for_both_log_groups(self):
        # A stage that logs before the execution log group exists creates it, and then its creation fails.
        _, log, _ = self.stage()["AccessLogSettings"]["Fn::If"]
        self.assertEqual(log["DestinationArn"], {"Fn::GetAtt": ["AccessLogGroup", "Arn"]})
        tags = self.resources["AccessLogGroup"]["Properties"]["Tags"]
        self.assertIn({"Key": "chat:execution-log", "Value": {"Ref": "ExecutionLogGroup"}}, tags)

    def test_the_domain_maps_the_stage_and_the_direct_url_stays_available(self):
        (stage,) = self.of_type("AWS::ApiGatewayV2::Stage")
        mapping = self.resources["ApiDomainMapping"]["Properties"]
        self.assertEqual(mapping["Stage"], {"Ref": stage})
        outputs = self.template["Outputs"]
        self.assertEqual(outputs["DirectWebSocketUrl"]["Condition"], "HasDomain")
        self.assertEqual(outputs["DirectWebSocketUrl"]["Value"], outputs["WebSocketUrl"]["Value"]["Fn::If"][2])

    def test_the_texts_say_that_the_stage_throttles_each_route(self):
        for name, parameter in self.template["Parameters"].items():
            if name.startswith("Throttle"):
                self.assertIn("for each route", parameter["Description"], name)
        self.assertEqual(self.template["Parameters"]["ThrottleBurst"]["Default"], 1000)

    def test_the_stage_is_throttled(self):
        settings = self.stage()["DefaultRouteSettings"]
        self.assertEqual(settings["ThrottlingRateLimit"], {"Ref": "ThrottleRate"})
        self.assertEqual(settings["ThrottlingBurstLimit"], {"Ref": "ThrottleBurst"})
