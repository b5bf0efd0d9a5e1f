//! `Local`: the complete chat on this machine. `ws-local` runs the real functions as processes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_sdk_dynamodb::{Client as DynamoDb, types::AttributeValue};
use serde_json::Value;
use tokio::time::timeout;
use ws_local::{
    dynamodb::Storage,
    functions::{FunctionOptions, Functions},
    samconfig,
    system::{self, RunningSystem, SystemOptions},
    template::{self, Stack},
};

use chat_client::ChatClient;

use crate::{DynamoDbProxy, fake_aws};

/// Longest wait for a row. It is long so that tests pass on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Local {
    running: RunningSystem,
    dynamodb: DynamoDb,
}

impl Local {
    /// Starts the system on free ports, with empty tables in memory.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts the system with its tables stored in `folder`.
    pub async fn start_in(folder: &Path) -> Self {
        Self::start_with(|options| options.storage = Storage::Directory(folder.to_owned())).await
    }

    /// Starts the system with a proxy between the functions and DynamoDB.
    pub async fn start_with_proxy() -> (Self, DynamoDbProxy) {
        let proxy = DynamoDbProxy::unbound().await;
        let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url().to_owned());
        let local = Self::start_with(|options| {
            let environment = BTreeMap::from([endpoint]);
            options.functions = FunctionOptions { environment, ..FunctionOptions::default() };
        })
        .await;
        proxy.set_upstream(local.dynamodb().to_owned());
        (local, proxy)
    }

    /// Starts the system with changed options.
    pub async fn start_with(change: impl FnOnce(&mut SystemOptions)) -> Self {
        let mut options = SystemOptions::new(template());
        change(&mut options);
        let running = system::start(options).await.unwrap_or_else(|error| panic!("{error:?}"));
        let dynamodb = DynamoDb::new(&fake_aws::config(&running.dynamodb).await);
        Self { running, dynamodb }
    }

    /// The WebSocket URL for clients.
    pub fn websocket(&self) -> &str {
        &self.running.websocket
    }

    /// The functions' processes.
    pub fn functions(&self) -> &Arc<Functions> {
        &self.running.functions
    }

    /// URL of DynamoDB itself, not of a proxy.
    pub fn dynamodb(&self) -> &str {
        &self.running.dynamodb
    }

    /// URL of the gateway itself, not of a proxy.
    pub fn gateway(&self) -> String {
        format!("http://{}", self.running.gateway.address())
    }

    /// All messages of a conversation, sorted by `seq`, read from DynamoDB itself.
    pub async fn messages(&self, conversation_id: &str) -> Vec<Value> {
        messages(self.dynamodb(), conversation_id).await
    }

    /// The items of a group and of its members, read from DynamoDB itself.
    pub async fn members(&self, conversation_id: &str) -> Vec<Value> {
        query(self.dynamodb(), "MembersTable", conversation_id).await
    }

    /// Every item of every table, as text to search in.
    pub async fn all_items(&self) -> String {
        let mut text = String::new();
        for table in ["ClientsTable", "MessagesTable", "ConversationsTable", "MembersTable"] {
            let items = self.dynamodb.scan().table_name(table).into_paginator().items().send();
            let items = items.try_collect().await.expect("the table answers");
            text.extend(items.iter().map(|item| format!("{item:?}\n")));
        }
        text
    }

    /// Every item of every table, read from DynamoDB itself.
    pub async fn items(&self) -> Vec<Value> {
        let mut items = Vec::new();
        for table in ["MessagesTable", "ConversationsTable", "ClientsTable", "MembersTable"] {
            let scan = self.dynamodb.scan().table_name(table).consistent_read(true).into_paginator().items().send();
            let rows = scan.try_collect().await.expect("the table answers");
            items.extend(serde_dynamo::from_items::<_, Value>(rows).expect("every item is JSON"));
        }
        items
    }

    /// Puts an item into the table of messages, in place of the one with the same key.
    pub async fn put_message(&self, item: Value) {
        let item = serde_dynamo::to_item(item).expect("every object is an item");
        let put = self.dynamodb.put_item().table_name("MessagesTable").set_item(Some(item));
        put.send().await.expect("the table answers");
    }

    /// Removes the messages of a conversation after `seq`, as if an earlier state of the table had been restored.
    pub async fn remove_messages_after(&self, conversation_id: &str, seq: u64) {
        for message in self.messages(conversation_id).await {
            let number = message["seq"].as_u64().expect("every row has a seq");
            if number <= seq {
                continue;
            }
            let delete = self.dynamodb.delete_item().table_name("MessagesTable");
            let delete = delete.key("conversationId", AttributeValue::S(conversation_id.to_owned()));
            delete.key("seq", AttributeValue::N(number.to_string())).send().await.expect("the table answers");
        }
    }

    /// URL of the page, with a trailing slash.
    pub fn page(&self) -> &str {
        &self.running.page
    }

    /// Connects a user in open mode.
    pub async fn connect(&self, user: &str) -> ChatClient {
        ChatClient::connect(self.websocket(), user).await.unwrap_or_else(|error| panic!("{user}: {error}"))
    }

    /// Adds a connection that is already closed, as if its `$disconnect` event had been
    /// lost.
    pub async fn remember_connection(&self, user: &str, connection_id: &str) {
        let row = [("connectedAt", 0), ("expiresAt", u32::MAX)];
        let row = row.map(|(name, value)| (name.to_owned(), AttributeValue::N(value.to_string()))).into();
        let update = self.dynamodb.update_item().table_name("ClientsTable");
        update
            .key("userId", AttributeValue::S(user.to_owned()))
            .update_expression("SET #connection = :row")
            .expression_attribute_names("#connection", format!("c:{connection_id}"))
            .expression_attribute_values(":row", AttributeValue::M(row))
            .send()
            .await
            .expect("the table takes the connection");
    }

    /// Waits until the table holds `count` connections of a user. It is needed because
    /// `$disconnect` runs after the close.
    pub async fn wait_for_connections(&self, user: &str, count: usize) {
        let get = self.dynamodb.get_item().table_name("ClientsTable");
        let get = get.key("userId", AttributeValue::S(user.to_owned()));
        let reached = async {
            loop {
                let item = get.clone().send().await.expect("the table answers").item.unwrap_or_default();
                if item.keys().filter(|name| name.starts_with("c:")).count() == count {
                    return;
                }
                // DynamoDB sends no notification, so poll.
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{user} never had {count} connections"));
    }

    /// Stops the system and its processes.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// Raises the limits of users and groups, for tests that send many messages or open many connections as one
/// user.
pub fn without_limits(options: &mut SystemOptions) {
    let limits =
        [("MaxConnections", "100"), ("MessageRate", "1000"), ("MessageBurst", "100000"), ("GroupRate", "1000")];
    for (name, most) in limits {
        options.parameters.insert(name.to_owned(), most.to_owned());
    }
}

/// All messages of a conversation, sorted by `seq`, read from DynamoDB at this endpoint.
pub async fn messages(dynamodb: &str, conversation_id: &str) -> Vec<Value> {
    query(dynamodb, "MessagesTable", conversation_id).await
}

/// All items of a conversation in a table.
async fn query(dynamodb: &str, table: &str, conversation_id: &str) -> Vec<Value> {
    let query = DynamoDb::new(&fake_aws::config(dynamodb).await).query().table_name(table).consistent_read(true);
    let rows = query
        .key_condition_expression("conversationId = :id")
        .expression_attribute_values(":id", AttributeValue::S(conversation_id.to_owned()))
        .into_paginator()
        .items()
        .send();
    let rows = rows.try_collect().await.expect("the table answers");
    serde_dynamo::from_items(rows).expect("every row is JSON")
}

/// The path of the project's `template.yaml`.
pub fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml")
}

/// Evaluates the project's template with these parameters, as for a deployment.
///
/// # Errors
/// Why the deployment is refused.
pub fn deploy(parameters: &[(&str, &str)]) -> Result<Stack, String> {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    template::load(&template(), &parameters).map_err(|error| error.to_string())
}

/// The project's template, with every parameter and intrinsic function resolved.
pub fn stack() -> Stack {
    let path = template();
    let parameters = samconfig::parameter_overrides(&path, None).unwrap_or_else(|error| panic!("{error}"));
    template::load(&path, &parameters).unwrap_or_else(|error| panic!("{error}"))
}
