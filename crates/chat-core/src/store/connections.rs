//! `Connections`: the repository of open connections, in the table `Clients`.
//!
//! A user has one item. Each connection is an attribute of its own, `c:CONNECTION_ID`, and API Gateway never assigns a
//! connection id twice. So no update needs a condition, and none affects another connection, in whatever order updates
//! happen and however often.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, ReturnValue},
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        error::{Error, chain},
        time::{Timestamp, UnixSeconds},
        user::UserId,
    },
    protocol::replies::Presence,
    store::dynamodb::{Consistency, DynamoDbClient, Item, batch_get, call_error, from_item},
};

/// What the name of a connection's attribute begins with.
const ATTRIBUTE: &str = "c:";
/// How long an item is kept after the last connection of the user can have ended. It holds when the user was last seen.
const RETENTION_SECONDS: i64 = 30 * 24 * 60 * 60;

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
    /// In the table, the key of the item.
    #[serde(skip_serializing)]
    pub user_id: UserId,
    /// In the table, the name of the attribute.
    #[serde(skip_serializing)]
    pub connection_id: String,
    /// When API Gateway received the upgrade.
    pub connected_at: Timestamp,
    /// When the token that the connection was opened with expires. Nothing is pushed from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<UnixSeconds>,
    /// Tells the clients of a user apart. A client that opens a new connection while it has one gives the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    /// When the connection is closed at the latest. The user's next connection removes it.
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

    /// Whether the connection has ended by now, with or without `$disconnect`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now.unix_seconds()
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
    /// The largest limit. A message is pushed to each connection, and the item of a user with so many takes 15 KB.
    pub const MAX: u32 = 100;

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

    /// Stores a connection. Idempotent. Returns the user's other connections, of which some may have expired.
    ///
    /// # Errors
    /// If the connection is not stored, or the others can't be read.
    pub async fn add(&self, connection: &Connection) -> Result<Vec<Connection>, Error> {
        let row = serde_dynamo::to_item(connection).map_err(|error| Error::Internal(error.into()))?;
        let response = self
            .update(&connection.user_id)
            .update_expression("SET #connection = :connection, expiresAt = :expiresAt")
            .expression_attribute_names("#connection", attribute(&connection.connection_id))
            .expression_attribute_values(":connection", AttributeValue::M(row))
            .expression_attribute_values(":expiresAt", item_expires_at(connection.expires_at))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(call_error)?;
        let mut connections = connections(response.attributes.unwrap_or_default())?;
        connections.retain(|other| other.connection_id != connection.connection_id);
        Ok(connections)
    }

    /// Removes a connection that was closed at `closed_at`, and stores that the user was seen then. Idempotent, because
    /// `$disconnect` may come late, or twice. If the events of two connections come in the wrong order, the user was seen at
    /// the earlier time.
    ///
    /// # Errors
    /// If the connection is not removed.
    pub async fn remove_closed(&self, user: &UserId, connection_id: &str, closed_at: Timestamp) -> Result<(), Error> {
        self.update(user)
            // The update may make the item anew, which then needs an expiry.
            .update_expression(
                "REMOVE #connection SET lastSeenAt = :at, expiresAt = if_not_exists(expiresAt, :expiresAt)",
            )
            .expression_attribute_names("#connection", attribute(connection_id))
            .expression_attribute_values(":at", AttributeValue::N(closed_at.as_millis().to_string()))
            .expression_attribute_values(":expiresAt", item_expires_at(closed_at.unix_seconds()))
            .send()
            .await
            .map_err(call_error)?;
        Ok(())
    }

    /// Removes connections that have ended, with one call per user. A failure is logged; the next push to such a
    /// connection, or the user's next connection, tries again.
    pub async fn remove_ended(&self, ended: &[Connection]) {
        let mut by_user = BTreeMap::<_, Vec<_>>::new();
        for connection in ended {
            by_user.entry(&connection.user_id).or_default().push(attribute(&connection.connection_id));
        }
        // In parts, because an update expression has at most 4 KB.
        let updates = by_user.iter().flat_map(|(user, names)| names.chunks(100).map(|names| self.remove(user, names)));
        for error in join_all(updates).await.into_iter().filter_map(Result::err) {
            tracing::warn!(cause = chain(&error), "connections that have ended could not be removed");
        }
    }

    /// The connections of these users that may be open at `now`. The read is strongly consistent, so it includes each one
    /// that was added before a message was stored.
    ///
    /// # Errors
    /// If the connections can't be read.
    pub async fn of_users(
        &self,
        users: impl IntoIterator<Item = &UserId>,
        now: Timestamp,
    ) -> Result<Vec<Connection>, Error> {
        // A set, because a user can be their own peer.
        let users: BTreeSet<_> = users.into_iter().collect();
        let keys: Vec<_> = users.into_iter().map(key).collect();
        let mut open = Vec::new();
        for item in batch_get(&self.dynamodb, &self.table, &keys, Consistency::Strong).await? {
            open.extend(connections(item)?.into_iter().filter(|connection| !connection.has_expired(now)));
        }
        Ok(open)
    }

    /// Whether these users are online at `now`, sorted by user. The read is eventually consistent, because no guarantee depends
    /// on it. A connection whose `$disconnect` never came counts until it has expired.
    ///
    /// # Errors
    /// If the users can't be read.
    pub async fn presence(&self, users: &BTreeSet<UserId>, now: Timestamp) -> Result<Vec<Presence>, Error> {
        let keys: Vec<_> = users.iter().map(key).collect();
        let mut items = HashMap::new();
        for item in batch_get(&self.dynamodb, &self.table, &keys, Consistency::Eventual).await? {
            let SeenRow { user_id, last_seen_at } = from_item(item.clone())?;
            items.insert(user_id, (last_seen_at, connections(item)?));
        }
        let presence = users.iter().map(|user| {
            let (last_seen_at, connections) = items.remove(user).unwrap_or_default();
            let online = connections.iter().any(|connection| !connection.has_expired(now));
            let ends = connections.iter().map(|connection| connection.expires_at.into());
            let last_seen_at = last_seen_at.into_iter().chain(ends).max().filter(|_| !online);
            Presence { user_id: user.clone(), online, last_seen_at }
        });
        Ok(presence.collect())
    }

    async fn remove(&self, user: &UserId, names: &[String]) -> Result<(), Error> {
        let placeholders: Vec<_> = (0..names.len()).map(|number| format!("#{number}")).collect();
        self.update(user)
            .update_expression(format!("REMOVE {}", placeholders.join(", ")))
            .set_expression_attribute_names(Some(placeholders.into_iter().zip(names.iter().cloned()).collect()))
            .send()
            .await
            .map_err(call_error)?;
        Ok(())
    }

    fn update(&self, user: &UserId) -> UpdateItemFluentBuilder {
        self.dynamodb.update_item().table_name(&self.table).set_key(Some(key(user)))
    }
}

/// What is stored about a user beside the connections.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenRow {
    user_id: UserId,
    last_seen_at: Option<Timestamp>,
}

/// The connections in a user's item.
fn connections(mut item: Item) -> Result<Vec<Connection>, Error> {
    let Some(user) = item.remove("userId") else { return Err(Error::Internal("an item has no userId".into())) };
    let connections = item.into_iter().filter_map(|(name, value)| {
        let id = AttributeValue::S(name.strip_prefix(ATTRIBUTE)?.to_owned());
        let AttributeValue::M(mut row) = value else {
            return Some(Err(Error::Internal(format!("{name} is not a map").into())));
        };
        row.extend([("userId".to_owned(), user.clone()), ("connectionId".to_owned(), id)]);
        Some(from_item(row))
    });
    connections.collect()
}

fn key(user: &UserId) -> Item {
    [("userId".to_owned(), AttributeValue::S(user.to_string()))].into()
}

/// The name of a connection's attribute.
fn attribute(connection_id: &str) -> String {
    format!("{ATTRIBUTE}{connection_id}")
}

/// When TTL deletes the item of a user whose last connection ends at `last_end`.
fn item_expires_at(last_end: UnixSeconds) -> AttributeValue {
    AttributeValue::N(last_end.plus_secs(RETENTION_SECONDS).as_secs().to_string())
}
