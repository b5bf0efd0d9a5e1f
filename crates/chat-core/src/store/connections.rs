//! `Connections`: the repository of open connections, in the table `Clients`.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        error::{Error, chain},
        time::{Timestamp, UnixSeconds},
        user::UserId,
    },
    store::dynamodb::{DynamoDbClient, Item, call_error, from_item},
};

/// The repository of open connections. Every error is [`Error::Unavailable`] or [`Error::Internal`].
#[derive(Debug, Clone)]
pub struct Connections {
    dynamodb: Client,
    table: String,
}

/// One connection of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The partition key.
    pub user_id: UserId,
    /// The sort key. API Gateway never assigns an id twice.
    pub connection_id: String,
    /// When API Gateway received the upgrade.
    pub connected_at: Timestamp,
    /// When the token that the connection was opened with expires. Nothing is pushed from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<UnixSeconds>,
    /// Tells the clients of a user apart. A client that opens a new connection while it has one gives the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    /// When the connection is closed at the latest. DynamoDB's TTL deletes the item some time later.
    pub expires_at: UnixSeconds,
}

impl Connection {
    /// API Gateway closes a connection after two hours; ten minutes are for clocks that differ.
    const LIFETIME_SECONDS: i64 = (2 * 60 + 10) * 60;

    /// A connection that was opened at `connected_at`.
    pub fn new(
        user_id: UserId,
        connection_id: String,
        connected_at: Timestamp,
        token_expires_at: Option<UnixSeconds>,
        client: Option<ClientName>,
    ) -> Self {
        let expires_at = connected_at.unix_seconds().plus_secs(Self::LIFETIME_SECONDS);
        Self { user_id, connection_id, connected_at, token_expires_at, client, expires_at }
    }

    /// Whether the token that the connection was opened with has expired.
    pub fn token_has_expired(&self, now: Timestamp) -> bool {
        self.token_expires_at.is_some_and(|expires_at| expires_at <= now.unix_seconds())
    }
}

/// A client's name for itself on `$connect`: 1 to 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientName(String);

impl ClientName {
    /// # Errors
    /// [`Error::BadRequest`] if the name has another length.
    pub fn new(name: String) -> Result<Self, Error> {
        match name.len() {
            1..=64 => Ok(Self(name)),
            _ => Err(Error::bad_request("client: a client's name has 1 to 64 bytes")),
        }
    }
}

/// The maximum number of connections of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimit(u32);

impl ConnectionLimit {
    /// The largest limit. A message is pushed to each connection.
    pub const MAX: u32 = 1_000;

    /// A limit of `most` connections.
    ///
    /// # Panics
    /// If `most` is 0 or above [`ConnectionLimit::MAX`]. The configuration has refused such values before.
    pub fn new(most: u32) -> Self {
        assert!((1..=Self::MAX).contains(&most), "a limit of {most} connections");
        Self(most)
    }

    /// Those of a user's other connections that must be closed so that `new` is within the limit: first those of the same
    /// client, which `new` replaces, then the oldest.
    pub fn excess(self, new: &Connection, mut others: Vec<Connection>) -> Vec<Connection> {
        let is_of_another_client = |other: &Connection| new.client.is_none() || other.client != new.client;
        others.sort_by_cached_key(|it| (is_of_another_client(it), it.connected_at, it.connection_id.clone()));
        others.truncate((others.len() + 1).saturating_sub(self.0 as usize));
        others
    }
}

impl Connections {
    pub(crate) fn new(dynamodb: &DynamoDbClient, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table }
    }

    /// Stores a connection. Idempotent.
    ///
    /// # Errors
    /// If the connection is not stored.
    pub async fn add(&self, connection: &Connection) -> Result<(), Error> {
        let item = serde_dynamo::to_item(connection).map_err(|error| Error::Internal(error.into()))?;
        self.dynamodb.put_item().table_name(&self.table).set_item(Some(item)).send().await.map_err(call_error)?;
        Ok(())
    }

    /// Removes a connection. Idempotent, because `$disconnect` may come late, or twice.
    ///
    /// The delete needs no condition: the connection id is part of the key and never assigned twice, so no other connection
    /// of the user is affected.
    ///
    /// # Errors
    /// If the connection is not removed.
    pub async fn remove(&self, user: &UserId, connection_id: &str) -> Result<(), Error> {
        let key = Item::from([
            ("userId".to_owned(), AttributeValue::S(user.to_string())),
            ("connectionId".to_owned(), AttributeValue::S(connection_id.to_owned())),
        ]);
        self.dynamodb.delete_item().table_name(&self.table).set_key(Some(key)).send().await.map_err(call_error)?;
        Ok(())
    }

    /// Removes connections that are gone, concurrently. A failure is logged; the next push to such a connection tries
    /// again.
    pub async fn remove_gone(&self, gone: &[Connection]) {
        let removals = gone.iter().map(|connection| self.remove(&connection.user_id, &connection.connection_id));
        for error in join_all(removals).await.into_iter().filter_map(Result::err) {
            tracing::warn!(cause = chain(&error), "a gone connection could not be removed");
        }
    }

    /// The connections of a user that may be open at `now`. The read is strongly consistent, so it includes each one that
    /// was added before a message was stored.
    ///
    /// # Errors
    /// If the connections can't be read.
    pub async fn of_user(&self, user: &UserId, now: Timestamp) -> Result<Vec<Connection>, Error> {
        let mut items = self
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
        while let Some(item) = items.next().await {
            let connection: Connection = from_item(item.map_err(call_error)?)?;
            // TTL deletes an item up to days late.
            if connection.expires_at > now.unix_seconds() {
                connections.push(connection);
            }
        }
        Ok(connections)
    }
}
