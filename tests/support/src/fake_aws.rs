//! `FakeAws`: in-memory DynamoDB tables and an `@connections` endpoint for tests of routes.

use std::{collections::HashMap, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use chat_core::configuration::{Configuration, FromConfiguration, InvalidConfiguration};
use dynoxide::{Database, ImportOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    Call, DynamoDbProxy, FakeConnections,
    database::{self, call},
    local,
};

/// How long a call of [`FakeAws::context_of`] may take.
const HELD: Duration = Duration::from_secs(60);

/// The template's tables in memory behind a [`DynamoDbProxy`], and an `@connections` endpoint.
pub struct FakeAws {
    /// The proxy that every DynamoDB call of a route goes through.
    pub dynamodb: DynamoDbProxy,
    /// The endpoint that receives every push.
    pub connections: FakeConnections,
    database: Database,
    config: SdkConfig,
}

impl FakeAws {
    /// Starts both services on free ports, with empty tables.
    pub async fn start() -> Self {
        let database = tables();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let target = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let dynamodb = DynamoDbProxy::start(target).await;
        let config = config(dynamodb.url()).await;
        Self { dynamodb, connections: FakeConnections::start().await, database, config }
    }

    /// Builds the context of a route as in production.
    pub fn context<C: FromConfiguration>(&self) -> C {
        self.try_context(&[]).expect("every variable is set")
    }

    /// Like [`FakeAws::context`], with some variables changed. An empty value removes the variable.
    ///
    /// # Errors
    /// If a variable is missing or invalid.
    pub fn try_context<C: FromConfiguration>(&self, changes: &[(&str, &str)]) -> Result<C, InvalidConfiguration> {
        self.context_with(changes, self.config.clone())
    }

    /// Like [`FakeAws::try_context`], for a function whose calls can be told apart by their access key. They may be held for a
    /// minute, so that a slow machine changes no order.
    pub fn context_of<C: FromConfiguration>(&self, access_key: &str, changes: &[(&str, &str)]) -> C {
        let credentials = SharedCredentialsProvider::new(Credentials::new(access_key, "test", None, None, "tests"));
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(HELD).operation_timeout(HELD).build();
        let config = self.config.to_builder().credentials_provider(credentials).timeout_config(timeouts).build();
        self.context_with(changes, config).expect("every variable is set")
    }

    fn context_with<C: FromConfiguration>(
        &self,
        changes: &[(&str, &str)],
        config: SdkConfig,
    ) -> Result<C, InvalidConfiguration> {
        let mut variables = HashMap::from([
            ("AUTH_MODE".to_owned(), "open".to_owned()),
            ("CLIENTS_TABLE".to_owned(), "ClientsTable".to_owned()),
            ("MESSAGES_TABLE".to_owned(), "MessagesTable".to_owned()),
            ("CONVERSATIONS_TABLE".to_owned(), "ConversationsTable".to_owned()),
            ("MEMBERS_TABLE".to_owned(), "MembersTable".to_owned()),
            ("CONNECTIONS_ENDPOINT".to_owned(), self.connections.url().to_owned()),
            ("POSITION_KEY".to_owned(), "0123456789abcdef0123456789abcdef".to_owned()),
            ("MAX_CONNECTIONS".to_owned(), "20".to_owned()),
            ("MESSAGE_RATE".to_owned(), "10".to_owned()),
            ("MESSAGE_BURST".to_owned(), "50".to_owned()),
            ("GROUP_RATE".to_owned(), "20".to_owned()),
            ("MAX_GROUP_MEMBERS".to_owned(), "250".to_owned()),
            ("EDIT_WINDOW_MINUTES".to_owned(), "1440".to_owned()),
            ("TYPING".to_owned(), "small".to_owned()),
            ("PRESENCE".to_owned(), "contacts".to_owned()),
        ]);
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let configuration = Configuration::new(move |name| variables.get(name).cloned(), config);
        C::from_configuration(&configuration)
    }

    /// Puts a row into a table directly, without the [`DynamoDbProxy`].
    pub fn put(&self, table: &str, item: &Value) {
        let put = json!({ "TableName": table, "Item": item });
        call(&self.database, "PutItem", put).expect("the table takes the row");
    }

    /// Stores a connection of `user` that was opened at `at` (milliseconds since 1970), without the
    /// [`DynamoDbProxy`].
    pub fn put_connection(&self, user: &str, connection_id: &str, at: i64) {
        self.put_connection_until(user, connection_id, at, None);
    }

    /// Like [`FakeAws::put_connection`], with a token that expires at `token_expires_at` (seconds
    /// since 1970).
    pub fn put_connection_until(&self, user: &str, connection_id: &str, at: i64, token_expires_at: Option<i64>) {
        let mut row = json!({
            "connectedAt": { "N": at.to_string() },
            "expiresAt": { "N": (at / 1000 + 7_800).to_string() },
        });
        if let Some(seconds) = token_expires_at {
            row["tokenExpiresAt"] = json!({ "N": seconds.to_string() });
        }
        let update = json!({
            "TableName": "ClientsTable",
            "Key": { "userId": { "S": user } },
            "UpdateExpression": "SET #connection = :row",
            "ExpressionAttributeNames": { "#connection": format!("c:{connection_id}") },
            "ExpressionAttributeValues": { ":row": { "M": row } },
        });
        call(&self.database, "UpdateItem", update).expect("the table takes the connection");
    }

    /// The stored connections in alphabetical order, as pairs of user id and connection id.
    pub fn stored_connections(&self) -> Vec<(String, String)> {
        let mut connections = Vec::new();
        for item in self.rows("ClientsTable") {
            let user = item["userId"]["S"].as_str().expect("the key of the table");
            let ids = item.as_object().into_iter().flatten().filter_map(|(name, _)| name.strip_prefix("c:"));
            connections.extend(ids.map(|id| (user.to_owned(), id.to_owned())));
        }
        connections.sort();
        connections
    }

    /// Puts many rows into a table directly, without the [`DynamoDbProxy`].
    pub fn put_all(&self, table: &str, items: &[Value]) {
        let items = items.iter().map(|item| from(item.clone())).collect();
        self.database.import_items(table, items, ImportOptions::default()).expect("the table takes the rows");
    }

    /// Stores a message from `sender` to `recipient` in the conversation of alice and bob, without
    /// the [`DynamoDbProxy`].
    ///
    /// `createdAt` and `clientMessageId` equal `seq`.
    pub fn put_message(&self, seq: u64, sender: &str, recipient: &str, content: &str) {
        let row = json!({
            "conversationId": { "S": "dm:5:alice:bob" },
            "seq": { "N": seq.to_string() },
            "messageId": { "S": uuid::Uuid::new_v4() },
            "senderId": { "S": sender },
            "recipientId": { "S": recipient },
            "content": { "S": content },
            "createdAt": { "N": seq.to_string() },
            "clientMessageId": { "S": seq.to_string() },
            "tally": { "M": {
                "recipientSeq": { "N": "0" },
                "senderAllowance": { "N": "0" },
                "recipientAllowance": { "N": "0" },
                "listed": { "N": "0" },
            } },
        });
        self.put("MessagesTable", &row);
    }

    /// Read units that these calls consume. Repeats each call without the [`DynamoDbProxy`] and
    /// adds the units that the embedded DynamoDB reports.
    pub fn read_units(&self, calls: &[Call]) -> f64 {
        let units = |call: &Call| {
            let mut request = call.body.clone();
            request["ReturnConsumedCapacity"] = json!("TOTAL");
            let operation = call.operation.as_str();
            assert!(["Query", "GetItem", "BatchGetItem"].contains(&operation), "{operation} is not a read");
            let answer = database::call(&self.database, operation, request).expect("it was done before");
            let consumed = &answer["ConsumedCapacity"];
            let consumed = consumed.as_array().cloned().unwrap_or_else(|| vec![consumed.clone()]);
            consumed.iter().map(|table| table["CapacityUnits"].as_f64().expect("a number")).sum::<f64>()
        };
        calls.iter().map(units).sum()
    }

    /// Deletes every row of a table directly, without the [`DynamoDbProxy`].
    pub fn clear(&self, table: &str) {
        let description =
            self.database.describe_table(from(json!({ "TableName": table }))).expect("the table is there");
        let keys = json!(description)["Table"]["KeySchema"].as_array().cloned().unwrap_or_default();
        for row in self.rows(table) {
            let key = keys.iter().filter_map(|key| key["AttributeName"].as_str());
            let key: HashMap<_, _> = key.map(|name| (name, row[name].clone())).collect();
            call(&self.database, "DeleteItem", json!({ "TableName": table, "Key": key })).expect("the row goes");
        }
    }

    /// Every row of a table, in DynamoDB JSON.
    pub fn rows(&self, table: &str) -> Vec<Value> {
        let answer = call(&self.database, "Scan", json!({ "TableName": table })).expect("the table is there");
        answer["Items"].as_array().cloned().unwrap_or_default()
    }
}

fn from<T: serde::de::DeserializeOwned>(request: Value) -> T {
    serde_json::from_value(request).expect("a request")
}

/// The template's tables in memory, empty.
pub fn tables() -> Database {
    let database = Database::memory().expect("SQLite opens in memory");
    for table in local::stack().tables {
        database.create_table(serde_json::from_value(table.create).expect("a table")).expect("the table is new");
    }
    database
}

/// Configuration for an SDK client that calls `endpoint`.
pub(crate) async fn config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .region(Region::from_static("eu-west-1"))
        .endpoint_url(endpoint)
        .load()
        .await
}
