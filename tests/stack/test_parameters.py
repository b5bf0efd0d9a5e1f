"""Parameters: console groups, rules, and the authentication modes that they select."""

import copy

from stack_template import COMMON_VARIABLES, TemplateTest, chat_template, monitoring_template

JWT = {
    "AuthMode": "jwt",
    "JwtJwksUrl": "https://id.example/keys",
    "JwtIssuer": "https://id.example",
    "JwtAudience": "chat",
}


class Console(TemplateTest):
    def interface(self):
        return self.template["Metadata"]["AWS::CloudFormation::Interface"]

    def test_every_parameter_is_in_one_group_and_has_a_label(self):
        groups = self.interface()["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(grouped), sorted(self.template["Parameters"]))
        self.assertEqual(set(self.interface()["ParameterLabels"]), set(grouped))
        for group in groups:
            self.assertTrue(group["Label"]["default"], group)

    def test_the_file_has_the_parameters_in_the_order_of_the_groups(self):
        groups = self.interface()["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(list(self.template["Parameters"]), grouped)
        self.assertEqual(list(self.interface()["ParameterLabels"]), grouped)

    def test_every_parameter_and_output_has_a_description(self):
        for template in [self.template, monitoring_template()]:
            for section in ["Parameters", "Outputs"]:
                for name, item in template[section].items():
                    self.assertTrue(item.get("Description"), name)


class Rules(TemplateTest):
    def violations(self, **parameters):
        """The messages of the rules that these parameters violate."""
        defaults = {name: parameter.get("Default", "") for name, parameter in self.template["Parameters"].items()}
        values = defaults | parameters

        def evaluate(node):
            match node:
                case {"Fn::Equals": [left, right]}:
                    return evaluate(left) == evaluate(right)
                case {"Fn::Not": [inner]}:
                    return not evaluate(inner)
                case {"Ref": name}:
                    return values[name]
            return node

        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            if evaluate(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not evaluate(assertion["Assert"])
        ]

    def test_jwt_mode_requires_all_of_its_parameters(self):
        self.assertEqual(self.violations(), [])
        self.assertEqual(self.violations(**JWT), [])
        self.assertEqual(len(self.violations(AuthMode="jwt")), 3)
        for missing in ["JwtJwksUrl", "JwtIssuer", "JwtAudience"]:
            (message,) = self.violations(**JWT | {missing: ""})
            self.assertIn(f"AuthMode=jwt needs {missing}", message)

    def test_a_domain_requires_a_certificate_and_a_zone_requires_a_domain(self):
        message = self.violations(DomainName="chat.example.com")[0]
        self.assertIn("needs CertificateArn", message)
        message = self.violations(HostedZoneId="Z1")[0]
        self.assertIn("needs DomainName", message)


class Modes(TemplateTest):
    def test_the_authorizer_has_the_jwt_variables_in_jwt_mode_only(self):
        in_jwt_mode = {"Fn::If": ["RequiresTokens", None, {"Ref": "AWS::NoValue"}]}
        expected = {
            "AUTH_MODE": {"Ref": "AuthMode"},
            "ALLOWED_ORIGINS": {"Ref": "AllowedOrigins"},
            **COMMON_VARIABLES,
        }
        for variable, parameter in [
            ("JWT_JWKS_URL", "JwtJwksUrl"),
            ("JWT_ISSUER", "JwtIssuer"),
            ("JWT_AUDIENCE", "JwtAudience"),
            ("JWT_USER_CLAIM", "JwtUserClaim"),
        ]:
            expected[variable] = copy.deepcopy(in_jwt_mode)
            expected[variable]["Fn::If"][1] = {"Ref": parameter}
        authorizer = self.resources["AuthorizerFunction"]["Properties"]
        self.assertEqual(authorizer["Environment"]["Variables"], expected)
        self.assertEqual(
            self.template["Conditions"]["RequiresTokens"],
            {"Fn::Equals": [{"Ref": "AuthMode"}, "jwt"]},
        )

    def test_both_modes_have_the_same_resources(self):
        self.assertEqual(
            chat_template(**JWT)["Resources"],
            chat_template(AuthMode="open")["Resources"],
        )
