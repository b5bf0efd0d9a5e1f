//! The table `Clients`: who is connected, and where.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::{
    dynamodb::{DynamoDb, failed, from_item},
    error::{Error, chain},
    user::UserId,
};

/// The repository of connections, and the only code that knows their table's keys.
#[derive(Debug, Clone)]
pub struct Clients {
    dynamodb: Client,
    table: String,
}

/// One row: a connection of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Whose it is.
    pub user_id: UserId,
    /// API Gateway's id for it, never given twice.
    pub connection_id: String,
    /// In milliseconds since 1970.
    pub connected_at: i64,
    /// In seconds since 1970: when the token that it was opened with loses its force. It is pushed nothing from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<i64>,
    /// In seconds since 1970: when it can't exist any more. DynamoDB removes the row some time after.
    pub expires_at: i64,
}

impl Connection {
    /// API Gateway ends a connection after two hours; ten minutes are for clocks that differ.
    const LIFETIME_SECONDS: i64 = (2 * 60 + 10) * 60;

    /// A connection that began at `connected_at`, in milliseconds since 1970.
    pub fn new(user_id: UserId, connection_id: String, connected_at: i64, token_expires_at: Option<i64>) -> Self {
        let expires_at = connected_at / 1000 + Self::LIFETIME_SECONDS;
        Self { user_id, connection_id, connected_at, token_expires_at, expires_at }
    }

    /// Whether its token has lost its force at `now`, in milliseconds since 1970.
    pub fn token_has_expired(&self, now: i64) -> bool {
        self.token_expires_at.is_some_and(|seconds| seconds <= now / 1000)
    }
}

/// How many connections a user may have at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimit(u32);

impl ConnectionLimit {
    /// The most that can be asked for: a message is pushed to each of them.
    pub const MAX: u32 = 1_000;

    /// At most so many; what is 0 or past the maximum is taken as 1 or the maximum.
    pub fn new(most: u32) -> Self {
        Self(most.clamp(1, Self::MAX))
    }

    /// The oldest of a user's connections, as many as have to go so that there is room for one more.
    pub fn excess(self, mut connections: Vec<Connection>) -> Vec<Connection> {
        connections.sort_by(|one, other| {
            (one.connected_at, &one.connection_id).cmp(&(other.connected_at, &other.connection_id))
        });
        connections.truncate((connections.len() + 1).saturating_sub(self.0 as usize));
        connections
    }
}

impl Clients {
    /// The connections in this table.
    pub fn new(dynamodb: &DynamoDb, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table }
    }

    /// Remembers a connection. Doing it twice is harmless.
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn add(&self, connection: &Connection) -> Result<(), Error> {
        let item = serde_dynamo::to_item(connection).map_err(|error| Error::Internal(error.into()))?;
        self.dynamodb.put_item().table_name(&self.table).set_item(Some(item)).send().await.map_err(failed)?;
        Ok(())
    }

    /// Forgets a connection. Forgetting one that is not known is no error: `$disconnect` may come late, or twice.
    ///
    /// No condition is needed for it to be this connection and no other: its id is part of the row's key, and API Gateway
    /// never gives an id twice. Another connection of the same user is another row.
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn remove(&self, user: &UserId, connection_id: &str) -> Result<(), Error> {
        self.dynamodb
            .delete_item()
            .table_name(&self.table)
            .key("userId", AttributeValue::S(user.to_string()))
            .key("connectionId", AttributeValue::S(connection_id.to_owned()))
            .send()
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Forgets connections that turned out to be gone, all at once. Where one can't be forgotten, the next one who finds
    /// it gone will try again.
    pub async fn forget(&self, gone: &[Connection]) {
        let removals = gone.iter().map(|connection| self.remove(&connection.user_id, &connection.connection_id));
        for error in join_all(removals).await.into_iter().filter_map(Result::err) {
            tracing::warn!(cause = chain(&error), "a connection that is gone could not be forgotten");
        }
    }

    /// Every connection of a user that may exist at `now` (milliseconds since 1970).
    ///
    /// The read is strongly consistent: who has connected before a message was stored is among them.
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn of(&self, user: &UserId, now: i64) -> Result<Vec<Connection>, Error> {
        let mut pages = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("userId = :user")
            .expression_attribute_values(":user", AttributeValue::S(user.to_string()))
            .into_paginator()
            .items()
            .send();
        let mut connections = Vec::new();
        while let Some(item) = pages.next().await {
            let connection: Connection = from_item(item.map_err(failed)?)?;
            // TTL removes rows late, by days at worst.
            if connection.expires_at > now / 1000 {
                connections.push(connection);
            }
        }
        Ok(connections)
    }
}
