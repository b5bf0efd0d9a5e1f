//! `Inboxes`: the repository of inbox entries and read positions, in the table `Conversations`.
//!
//! A user has two kinds of items. An inbox entry `at:HOUR:PEER` lists a conversation under an hour. It is valid only if the
//! conversation's newest message carries the same hour ([`ConversationState`](crate::model::state::ConversationState)), so
//! an entry of an earlier hour, or one for a message that was never stored, is ignored. A read position `read:PEER` holds
//! how far the user has read. Because these are separate items, no change of an entry can lose a read position.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use futures_util::future::try_join_all;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    model::{
        conversation::Seq,
        draft::Draft,
        error::Error,
        state::{InboxHour, ReadPosition},
        user::UserId,
    },
    store::dynamodb::{Consistency, DynamoDbClient, Item, batch_get, call_error, from_item},
};

/// The repository of inbox entries and read positions. Every error is [`Error::Unavailable`] or [`Error::Internal`].
#[derive(Debug, Clone)]
pub struct Inboxes {
    dynamodb: Client,
    table: String,
}

/// An inbox entry: a conversation that had a message in this hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// The first part of the sort key.
    pub hour: InboxHour,
    /// The second part of the sort key: the other user of the conversation.
    pub peer_id: UserId,
}

/// Where a read of inbox entries begins. It goes from the newest hour to the oldest, and within an hour from the largest
/// user id to the smallest.
#[derive(Debug, Clone)]
pub enum EntriesFrom {
    /// At the newest hour.
    Start,
    /// At the first entry of this hour.
    Hour(InboxHour),
    /// After this entry.
    After(InboxEntry),
}

/// The read positions of users, by reader and peer.
#[derive(Debug, Default)]
pub struct ReadPositions(HashMap<(UserId, UserId), ReadPosition>);

impl ReadPositions {
    /// How far `reader` has marked the conversation with `peer` as read.
    pub fn of(&self, reader: &UserId, peer: &UserId) -> ReadPosition {
        self.0.get(&(reader.clone(), peer.clone())).copied().unwrap_or_default()
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
    peer_id: UserId,
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

    /// Puts the entries of the draft's conversation for `hour` into the inboxes of both users. Idempotent.
    ///
    /// # Errors
    /// After an error, one of the two entries may be stored.
    pub async fn add_entries(&self, draft: &Draft, hour: InboxHour) -> Result<(), Error> {
        let puts = both(draft).map(async |(user, peer)| {
            let put = self.dynamodb.put_item().table_name(&self.table);
            let put = put.set_item(Some(key(user, entry_sort_key(hour, peer))));
            put.item("peerId", AttributeValue::S(peer.to_string())).send().await.map_err(call_error)
        });
        try_join_all(puts).await?;
        Ok(())
    }

    /// Removes the entries of the draft's conversation for `hour` from the inboxes of both users. Idempotent.
    ///
    /// # Errors
    /// An entry that stays is ignored, at the cost of one read in each listing that passes it.
    pub async fn remove_entries(&self, draft: &Draft, hour: InboxHour) -> Result<(), Error> {
        let deletes = both(draft).map(async |(user, peer)| {
            let delete = self.dynamodb.delete_item().table_name(&self.table);
            delete.set_key(Some(key(user, entry_sort_key(hour, peer)))).send().await.map_err(call_error)
        });
        try_join_all(deletes).await?;
        Ok(())
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
            EntriesFrom::After(InboxEntry { hour, peer_id }) => entry_sort_key(*hour, peer_id),
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

    /// How far `user` has read in the conversations with `peers`, and how far the peers have.
    ///
    /// # Errors
    /// If the read positions can't be read.
    pub async fn read_positions(
        &self,
        user: &UserId,
        peers: impl IntoIterator<Item = &UserId>,
    ) -> Result<ReadPositions, Error> {
        // A set, because DynamoDB refuses a batch with the same key twice: two entries can name the same peer, and a user
        // can be their own peer.
        let pairs: HashSet<_> = peers.into_iter().flat_map(|peer| [(user, peer), (peer, user)]).collect();
        let keys: Vec<_> = pairs.into_iter().map(|(reader, peer)| key(reader, read_sort_key(peer))).collect();
        let items = batch_get(&self.dynamodb, &self.table, &keys, Consistency::Strong).await?;
        let positions = items.into_iter().map(|item| {
            let row: ReadPositionRow = from_item(item)?;
            let position = match row.read_count {
                Some(messages) => ReadPosition { seq: row.read_seq, messages },
                None => ReadPosition::at(row.read_seq, 0),
            };
            Ok(((row.user_id, row.peer_id), position))
        });
        Ok(ReadPositions(positions.collect::<Result<_, Error>>()?))
    }

    /// Moves the read position of `user` in the conversation with `peer` forward to `position`, an entry that must exist.
    ///
    /// # Errors
    /// After an error, the position may have moved.
    pub async fn mark_read(&self, user: &UserId, peer: &UserId, position: ReadPosition) -> Result<MarkOutcome, Error> {
        let ReadPosition { seq, messages } = position;
        let attempt = Uuid::new_v4();
        let result = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(user, read_sort_key(peer))))
            .update_expression("SET peerId = :peer, readSeq = :seq, readCount = :count, attempt = :attempt")
            .condition_expression("attribute_not_exists(readSeq) OR readSeq < :seq")
            .expression_attribute_values(":peer", AttributeValue::S(peer.to_string()))
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

/// Each user with their peer; one pair for a message to oneself.
fn both(draft: &Draft) -> impl Iterator<Item = (&UserId, &UserId)> {
    let (sender, recipient) = (draft.sender(), draft.recipient());
    let recipients = (sender != recipient).then_some((recipient, sender));
    [(sender, recipient)].into_iter().chain(recipients)
}

fn key(user: &UserId, sort_key: String) -> Item {
    [("userId", user.to_string()), ("entry", sort_key)]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .into()
}

/// Ten digits hold every hour, so the entries sort like the numbers.
fn entry_sort_key(hour: InboxHour, peer: &UserId) -> String {
    format!("at:{:010}:{peer}", hour.number())
}

fn read_sort_key(peer: &UserId) -> String {
    format!("read:{peer}")
}

/// The inverse of [`entry_sort_key`].
fn entry(item: Item) -> Result<InboxEntry, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        entry: String,
        peer_id: UserId,
    }

    let Row { entry, peer_id } = from_item(item)?;
    let hour = entry.split(':').nth(1).and_then(|hour| hour.parse().ok());
    let hour = hour.map(InboxHour::from_number).ok_or_else(|| Error::Internal("an inbox entry has no hour".into()))?;
    Ok(InboxEntry { hour, peer_id })
}
