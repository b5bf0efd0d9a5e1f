"""Parameters: console groups, rules, the functions that get them, and the authentication modes that they select."""

import copy
import re

from stack_template import COMMON_VARIABLES, ROOT, TemplateTest, chat_template, monitoring_template

JWT = {
    "AuthMode": "jwt",
    "JwtJwksUrl": "https://id.example/keys",
    "JwtIssuer": "https://id.example",
    "JwtAudience": "chat",
}
# Functions that store entries. They enforce the limits of users and groups.
STORING = {"SendFunction", "EditFunction", "GroupFunction", "ApiFunction"}
# The parameter of each variable with a limit or a choice, and the functions that read it. Without it, they don't start.
VARIABLES = {
    "MAX_CONNECTIONS": ("MaxConnections", {"ConnectFunction"}),
    "MESSAGE_RATE": ("MessageRate", STORING),
    "MESSAGE_BURST": ("MessageBurst", STORING),
    "GROUP_RATE": ("GroupRate", STORING),
    "MAX_GROUP_MEMBERS": ("MaxGroupMembers", {"GroupFunction", "ApiFunction"}),
    "EDIT_WINDOW_MINUTES": ("EditWindow", {"EditFunction", "ApiFunction"}),
    "TYPING": ("Typing", {"PresenceFunction", "ApiFunction"}),
    "PRESENCE": ("Presence", {"PresenceFunction", "ApiFunction"}),
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


class Variables(TemplateTest):
    def test_each_function_gets_exactly_the_limits_and_choices_that_it_reads(self):
        found = {variable: (parameter, set()) for variable, (parameter, _) in VARIABLES.items()}
        for name, function in self.of_type("AWS::Lambda::Function").items():
            for variable, value in function["Properties"]["Environment"]["Variables"].items():
                if variable in found:
                    self.assertEqual(value, {"Ref": found[variable][0]}, name)
                    found[variable][1].add(name)
        self.assertEqual(found, VARIABLES)

    def test_a_parameter_accepts_no_number_with_which_a_function_does_not_start(self):
        source = (ROOT / "crates/chat-core/src/configuration/wiring.rs").read_text()
        checked = set()
        # Each function there names a range in a constant, and reads variables with it.
        for part in source.split("fn from_configuration"):
            ranges = {
                name: (int(least), int(most))
                for name, least, most in re.findall(r'const (\w+): &str = ".* from (\d+) to (\d+)";', part)
            }
            for variable, name in re.findall(r'\.number\("(\w+)", [^,]+, (\w+)\)', part):
                parameter = self.template["Parameters"][VARIABLES[variable][0]]
                self.assertEqual((parameter["MinValue"], parameter["MaxValue"]), ranges[name], variable)
                checked.add(variable)
        self.assertEqual(checked, set(VARIABLES) - {"TYPING", "PRESENCE"})


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
