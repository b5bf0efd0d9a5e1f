//! `Inboxes`: the repository of inbox entries and read positions, in the table `Conversations`.
//!
//! A user has three kinds of items. Because they are separate, no write of one can lose another.
//!
//! - An inbox entry `at:HOUR:PEER` lists a conversation under an hour. It is valid only if the conversation's newest entry
//!   carries the same hour ([`ConversationState`](crate::model::state::ConversationState)). So an entry of an earlier hour,
//!   or one for a message that was never stored, is ignored.
//! - An inbox entry `at:HOUR:PEER\n` lists a group that the user was removed from, under the hour of the removal. It is valid
//!   only for the last removal, and only while the user is not a member. If a sender who does not know of the removal writes
//!   `at:HOUR:PEER` late, this item stays.
//! - A read position `read:PEER` holds how far the user has read.
//!
//! PEER is the id of the other user, or a line feed and the id of a group. No user id has a control character.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, DeleteRequest, PutRequest, ReturnValuesOnConditionCheckFailure, WriteRequest},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{
        conversation::{ConversationId, Recipient, Seq},
        error::Error,
        group::{Group, GroupName},
        state::{InboxHour, ReadPosition},
        time::Timestamp,
        user::UserId,
    },
    store::dynamodb::{Consistency, DynamoDbClient, Item, Writes, batch_get, batch_write, call_error, from_item},
};

/// The repository of inbox entries and read positions. Every error is [`Error::Unavailable`] or [`Error::Internal`].
#[derive(Debug, Clone)]
pub struct Inboxes {
    dynamodb: Client,
    table: String,
}

/// An inbox entry: a conversation, and an hour in which it moved up in the inbox. Only the repository makes one, because it
/// names a conversation that its user may read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxEntry {
    /// When the conversation moved up.
    pub hour: InboxHour,
    /// The other user of the conversation, or the group.
    pub recipient: Recipient,
    /// What the user sees of a group that they were removed from.
    pub left: Option<LeftGroup>,
}

/// A group as of the entry that removed a user from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftGroup {
    /// The entry that removed the user.
    pub to: Seq,
    /// The time of that entry.
    pub listed_at: Timestamp,
    /// The name that members saw.
    pub name: GroupName,
    /// The count of the members who remained.
    pub members: usize,
}

/// A user and one of their conversations.
pub type Listing = (UserId, Recipient);

impl InboxEntry {
    /// The conversation. An inbox lists only conversations of its user.
    pub fn conversation(&self, user: &UserId) -> ConversationId {
        ConversationId::of(user, &self.recipient)
    }
}

/// Where a read of inbox entries begins. It goes from the newest hour to the oldest, and within an hour from the largest
/// peer to the smallest.
#[derive(Debug, Clone)]
pub enum EntriesFrom {
    /// At the newest hour.
    Start,
    /// At the first entry of this hour.
    Hour(InboxHour),
    /// After the entries of this conversation in this hour.
    After(InboxHour, Recipient),
    /// After this entry.
    AfterEntry(InboxEntry),
}

/// The read positions of users.
#[derive(Debug, Default)]
pub struct ReadPositions(HashMap<Listing, ReadPosition>);

impl ReadPositions {
    /// How far `reader` has marked the conversation with `recipient` as read.
    pub fn of(&self, reader: &UserId, recipient: &Recipient) -> ReadPosition {
        self.0.get(&(reader.clone(), recipient.clone())).copied().unwrap_or_default()
    }
}

/// The result of moving a read position.
#[derive(Debug, PartialEq, Eq)]
pub enum MarkOutcome {
    /// It moved to the requested entry.
    Advanced,
    /// It stays at this entry, because the user had read that far before.
    Unchanged(Seq),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadPositionRow {
    user_id: UserId,
    #[serde(flatten)]
    recipient: Recipient,
    read_seq: Seq,
    /// The count of messages up to there. In items without it, all entries up to there are messages.
    read_count: Option<u64>,
    /// The attempt that moved it there.
    attempt: Option<Uuid>,
}

impl Inboxes {
    pub(crate) fn new(dynamodb: &DynamoDbClient, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table }
    }

    /// Lists the conversations of these users under `hour`. Idempotent.
    ///
    /// # Errors
    /// After an error, some of the entries may be stored.
    pub async fn add_entries(&self, listings: &[Listing], hour: InboxHour) -> Result<(), Error> {
        let puts = listings.iter().map(|(user, recipient)| {
            let put =
                PutRequest::builder().set_item(Some(item(user, entry_sort_key(hour, recipient), recipient))).build();
            let put = put.map_err(|error| Error::Internal(error.into()))?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        batch_write(&self.dynamodb, &self.table, puts.collect::<Result<_, Error>>()?).await
    }

    /// Removes the conversations of these users from `hour`. Idempotent.
    ///
    /// # Errors
    /// An entry that stays is ignored, at the cost of one read in each listing that passes it.
    pub async fn remove_entries(&self, listings: &[Listing], hour: InboxHour) -> Result<(), Error> {
        let deletes = listings.iter().map(|(user, recipient)| {
            let delete = DeleteRequest::builder().set_key(Some(key(user, entry_sort_key(hour, recipient)))).build();
            let delete = delete.map_err(|error| Error::Internal(error.into()))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        });
        batch_write(&self.dynamodb, &self.table, deletes.collect::<Result<_, Error>>()?).await
    }

    /// What must be stored with the entry that makes the group `after` of the group `before`: an inbox entry for each user who
    /// becomes a member, and another one for each who is removed. Inboxes list the group under `hour`.
    ///
    /// # Errors
    /// [`Error::Internal`] if an item can't be built.
    pub fn writes(
        &self,
        before: Option<&Group>,
        after: &Group,
        hour: InboxHour,
        listed_at: Timestamp,
    ) -> Result<Writes, Error> {
        let recipient = Recipient::Group(after.id);
        let mut writes = Writes::default();
        for user in after.members.keys() {
            if before.is_none_or(|before| !before.members.contains_key(user)) {
                writes.add_put(&self.table, item(user, entry_sort_key(hour, &recipient), &recipient))?;
            }
        }
        for (user, to) in after.departed.iter().filter(|(_, to)| **to == after.version) {
            let (name, members) = (after.settings.name.clone(), after.members.len());
            let left = LeftGroup { to: *to, listed_at, name, members };
            writes.add_put(&self.table, left_item(user, hour, &recipient, &left)?)?;
        }
        Ok(writes)
    }

    /// Up to `limit` entries of a user's inbox; fewer only if no more follow.
    ///
    /// # Errors
    /// If the entries can't be read.
    pub async fn entries(&self, user: &UserId, from: &EntriesFrom, limit: usize) -> Result<Vec<InboxEntry>, Error> {
        // The semicolon follows the colon in ASCII: the first bound is above all hours and below the read positions, the
        // second above all entries of its hour.
        let bound = match from {
            EntriesFrom::Start => "at;".to_owned(),
            EntriesFrom::Hour(hour) => format!("at:{:010};", hour.number()),
            EntriesFrom::After(hour, recipient) => entry_sort_key(*hour, recipient),
            EntriesFrom::AfterEntry(InboxEntry { hour, recipient, left: None }) => entry_sort_key(*hour, recipient),
            EntriesFrom::AfterEntry(InboxEntry { hour, recipient, left: Some(_) }) => left_sort_key(*hour, recipient),
        };
        let response = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("userId = :user AND entry < :bound")
            .expression_attribute_values(":user", AttributeValue::S(user.to_string()))
            .expression_attribute_values(":bound", AttributeValue::S(bound))
            .scan_index_forward(false)
            .limit(limit as i32)
            .send()
            .await
            .map_err(call_error)?;
        response.items.unwrap_or_default().into_iter().map(entry).collect()
    }

    /// How far users have read.
    ///
    /// # Errors
    /// If the read positions can't be read.
    pub async fn read_positions(&self, listings: impl IntoIterator<Item = Listing>) -> Result<ReadPositions, Error> {
        // A set, because DynamoDB refuses a batch with the same key twice: two entries can name the same peer, and a user
        // can be their own peer.
        let listings: HashSet<_> = listings.into_iter().collect();
        let keys: Vec<_> = listings.iter().map(|(reader, recipient)| key(reader, read_sort_key(recipient))).collect();
        let items = batch_get(&self.dynamodb, &self.table, &keys, Consistency::Strong).await?;
        let positions = items.into_iter().map(|item| {
            let row: ReadPositionRow = from_item(item)?;
            let position = match row.read_count {
                Some(messages) => ReadPosition { seq: row.read_seq, messages },
                None => ReadPosition::at(row.read_seq, 0),
            };
            Ok(((row.user_id, row.recipient), position))
        });
        Ok(ReadPositions(positions.collect::<Result<_, Error>>()?))
    }

    /// Moves the read position of `user` in the conversation with `recipient` forward to `position`, an entry that must exist.
    ///
    /// # Errors
    /// After an error, the position may have moved.
    pub async fn mark_read(
        &self,
        user: &UserId,
        recipient: &Recipient,
        position: ReadPosition,
    ) -> Result<MarkOutcome, Error> {
        let ReadPosition { seq, messages } = position;
        let (attempt, peer) = (Uuid::new_v4(), peer(recipient));
        let result = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(user, read_sort_key(recipient))))
            .update_expression("SET #peer = :peer, readSeq = :seq, readCount = :count, attempt = :attempt")
            .condition_expression("attribute_not_exists(readSeq) OR readSeq < :seq")
            .expression_attribute_names("#peer", peer.0)
            .expression_attribute_values(":peer", peer.1)
            .expression_attribute_values(":seq", AttributeValue::N(seq.to_string()))
            .expression_attribute_values(":count", AttributeValue::N(messages.to_string()))
            .expression_attribute_values(":attempt", AttributeValue::S(attempt.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(MarkOutcome::Advanced),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    let row: ReadPositionRow = from_item(refused.item.clone().unwrap_or_default())?;
                    // The response to the update was lost, and the SDK repeated it.
                    let is_own = row.attempt == Some(attempt);
                    Ok(if is_own { MarkOutcome::Advanced } else { MarkOutcome::Unchanged(row.read_seq) })
                }
                _ => Err(call_error(error)),
            },
        }
    }
}

fn key(user: &UserId, sort_key: String) -> Item {
    [("userId", user.to_string()), ("entry", sort_key)]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .into()
}

/// An inbox entry as an item.
fn item(user: &UserId, sort_key: String, recipient: &Recipient) -> Item {
    let mut item = key(user, sort_key);
    let (name, value) = peer(recipient);
    item.insert(name.to_owned(), value);
    item
}

/// The inbox entry of a group that the user was removed from, as an item.
fn left_item(user: &UserId, hour: InboxHour, recipient: &Recipient, left: &LeftGroup) -> Result<Item, Error> {
    let mut item = item(user, left_sort_key(hour, recipient), recipient);
    let left: Item = serde_dynamo::to_item(left).map_err(|error| Error::Internal(error.into()))?;
    item.extend(left);
    Ok(item)
}

/// The attribute that names the other user or the group.
fn peer(recipient: &Recipient) -> (&'static str, AttributeValue) {
    match recipient {
        Recipient::User(user) => ("peerId", AttributeValue::S(user.to_string())),
        Recipient::Group(group) => ("groupId", AttributeValue::S(group.to_string())),
    }
}

/// The last part of a sort key. Keys of groups sort before those of users, as [`Recipient`] does.
fn key_part(recipient: &Recipient) -> String {
    match recipient {
        Recipient::User(user) => user.to_string(),
        Recipient::Group(group) => format!("\n{group}"),
    }
}

/// Ten digits hold every hour, so the entries sort like the numbers.
fn entry_sort_key(hour: InboxHour, recipient: &Recipient) -> String {
    format!("at:{:010}:{}", hour.number(), key_part(recipient))
}

/// Directly above the other key of the group in this hour, so that it is read just before that.
fn left_sort_key(hour: InboxHour, recipient: &Recipient) -> String {
    format!("{}\n", entry_sort_key(hour, recipient))
}

fn read_sort_key(recipient: &Recipient) -> String {
    format!("read:{}", key_part(recipient))
}

/// The inverse of [`item`] and [`left_item`].
fn entry(item: Item) -> Result<InboxEntry, Error> {
    #[derive(Deserialize)]
    struct Row {
        entry: String,
        #[serde(flatten)]
        recipient: Recipient,
    }

    let left = item.contains_key("to").then(|| from_item(item.clone())).transpose()?;
    let Row { entry, recipient } = from_item(item)?;
    let hour = entry.split(':').nth(1).and_then(|hour| hour.parse().ok());
    let hour = hour.map(InboxHour::from_number).ok_or_else(|| Error::Internal("an inbox entry has no hour".into()))?;
    Ok(InboxEntry { hour, recipient, left })
}
