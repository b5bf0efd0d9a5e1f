//! The whole chat on this machine.

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
    system::{self, RunningSystem, SystemOptions},
};

use chat_client::Client;

use crate::{DynamoDbProxy, fake_aws};

/// How long the tables may take to show what a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The project's template, run by `ws-local` with the real functions as processes.
pub struct Local {
    running: RunningSystem,
    dynamodb: DynamoDb,
}

impl Local {
    /// Starts it with empty tables in memory, on free ports.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts it with the tables in this folder.
    pub async fn start_in(folder: &Path) -> Self {
        Self::start_with(|options| options.storage = Storage::Directory(folder.to_owned())).await
    }

    /// Starts it with a wire between the functions and DynamoDB.
    pub async fn start_with_proxy() -> (Self, DynamoDbProxy) {
        let wire = DynamoDbProxy::unbound().await;
        let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), wire.url().to_owned());
        let local = Self::start_with(|options| {
            let environment = BTreeMap::from([endpoint]);
            options.functions = FunctionOptions { environment, ..FunctionOptions::default() };
        })
        .await;
        wire.set_upstream(local.dynamodb().to_owned());
        (local, wire)
    }

    /// Starts it with changed options.
    pub async fn start_with(change: impl FnOnce(&mut SystemOptions)) -> Self {
        let mut options = SystemOptions::new(template());
        change(&mut options);
        let running = system::start(options).await.unwrap_or_else(|error| panic!("{error:?}"));
        let dynamodb = DynamoDb::new(&fake_aws::config(&running.dynamodb).await);
        Self { running, dynamodb }
    }

    /// Where clients connect.
    pub fn websocket(&self) -> &str {
        &self.running.websocket
    }

    /// The functions' processes.
    pub fn functions(&self) -> &Arc<Functions> {
        &self.running.functions
    }

    /// Where DynamoDB is, past any proxy.
    pub fn dynamodb(&self) -> &str {
        &self.running.dynamodb
    }

    /// Where `@connections` is, past any proxy.
    pub fn gateway(&self) -> String {
        format!("http://{}", self.running.gateway.address())
    }

    /// Every row of a conversation, in its order, past any proxy.
    pub async fn messages(&self, conversation_id: &str) -> Vec<Value> {
        messages(self.dynamodb(), conversation_id).await
    }

    /// Where the page is, with a slash at its end.
    pub fn page(&self) -> &str {
        &self.running.page
    }

    /// Connects a user.
    pub async fn connect(&self, user: &str) -> Client {
        Client::connect(self.websocket(), user).await.unwrap_or_else(|error| panic!("{user}: {error}"))
    }

    /// Adds a connection to the table that does not exist, as one does whose `$disconnect` never came.
    pub async fn remember_connection(&self, user: &str, connection_id: &str) {
        let put = self.dynamodb.put_item().table_name("ClientsTable");
        put.item("userId", AttributeValue::S(user.to_owned()))
            .item("connectionId", AttributeValue::S(connection_id.to_owned()))
            .item("connectedAt", AttributeValue::N("0".to_owned()))
            .item("expiresAt", AttributeValue::N(u32::MAX.to_string()))
            .send()
            .await
            .expect("the table takes the row");
    }

    /// Waits until the table holds this many connections of a user: a `$disconnect` comes some time after the close.
    pub async fn until_connections(&self, user: &str, count: usize) {
        let query = self.dynamodb.query().table_name("ClientsTable").key_condition_expression("userId = :user");
        let query = query.expression_attribute_values(":user", AttributeValue::S(user.to_owned()));
        let reached = async {
            while query.clone().send().await.expect("the table answers").count as usize != count {
                // Nothing tells when a row goes; ask again.
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{user} never had {count} connections"));
    }

    /// Stops it, in good order.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// Lets a test send and connect as much as it likes, in one user's name.
pub fn without_limits(options: &mut SystemOptions) {
    for (name, most) in [("MaxConnections", "1000"), ("MessageRate", "1000"), ("MessageBurst", "100000")] {
        options.parameters.insert(name.to_owned(), most.to_owned());
    }
}

/// Every row of a conversation in the tables of this DynamoDB, in its order.
pub async fn messages(dynamodb: &str, conversation_id: &str) -> Vec<Value> {
    let query =
        DynamoDb::new(&fake_aws::config(dynamodb).await).query().table_name("MessagesTable").consistent_read(true);
    let rows = query
        .key_condition_expression("conversationId = :id")
        .expression_attribute_values(":id", AttributeValue::S(conversation_id.to_owned()))
        .into_paginator()
        .items()
        .send();
    let rows = rows.try_collect().await.expect("the table answers");
    serde_dynamo::from_items(rows).expect("every row is JSON")
}

/// The project's template.
pub fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml")
}
