"""Retention: which tables outlive the stack, and for how long logs are kept."""

from stack_template import TemplateTest


class Retention(TemplateTest):
    def test_all_tables_but_that_of_connections_outlive_the_stack_and_have_point_in_time_recovery(self):
        retained = set(self.of_type("AWS::DynamoDB::Table")) - {"ClientsTable"}
        self.assertEqual(retained, {"MessagesTable", "ConversationsTable", "MembersTable"})
        for name in retained:
            table = self.resources[name]
            policies = (table["DeletionPolicy"], table["UpdateReplacePolicy"])
            # Deleted only if the deployment that creates it fails: the table is empty then.
            self.assertEqual(policies, ("RetainExceptOnCreate", "Retain"), name)
            recovery = table["Properties"]["PointInTimeRecoverySpecification"]
            self.assertIs(recovery["PointInTimeRecoveryEnabled"], True, name)
            self.assertNotIn("TimeToLiveSpecification", table["Properties"], name)
            # The name is needed after the stack is gone.
            self.assertEqual(self.template["Outputs"][f"{name}Name"]["Value"], {"Ref": name})

    def test_connections_are_deleted_with_the_stack_and_expire(self):
        clients = self.resources["ClientsTable"]
        policies = (clients["DeletionPolicy"], clients["UpdateReplacePolicy"])
        self.assertEqual(policies, ("Delete", "Delete"))
        self.assertEqual(
            clients["Properties"]["TimeToLiveSpecification"],
            {"AttributeName": "expiresAt", "Enabled": True},
        )

    def test_every_log_group_has_a_retention_period(self):
        for name, group in self.of_type("AWS::Logs::LogGroup").items():
            retention = group["Properties"]["RetentionInDays"]
            self.assertEqual(retention, {"Ref": "LogRetentionDays"}, name)
        for name, function in self.of_type("AWS::Lambda::Function").items():
            group = function["Properties"]["LoggingConfig"]["LogGroup"]
            self.assertEqual(group, {"Ref": "FunctionLogGroup"}, name)
