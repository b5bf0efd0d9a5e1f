//! The table `Conversations`: each user's inbox, and how far they have read.
//!
//! A user has two kinds of entries in it. `at:HOUR:PEER` says that a conversation stands in this hour of their inbox; it
//! counts exactly where the conversation's newest message says the same hour ([`crate::tally::Tally`]), so one that was
//! left behind, or written for a message that never came, shows nothing. `read:PEER` says how far they have read. The
//! two never touch each other, so nothing that moves a conversation can forget a receipt.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, KeysAndAttributes, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};
use futures_util::future::try_join_all;
use serde::Deserialize;

use crate::{
    conversation::Seq,
    dynamodb::{DynamoDb, Item, failed, from_item, random_wait},
    error::Error,
    frames::Place,
    message::Draft,
    tally::Hour,
    user::UserId,
};

/// How many items one `BatchGetItem` may ask for.
const KEYS_AT_ONCE: usize = 100;
/// How often a receipt is written again at once that another device of the same user got in the way of.
const CONFLICTS: u32 = 8;

/// The repository of inboxes, and the only code that knows their table's keys.
#[derive(Debug, Clone)]
pub struct Conversations {
    dynamodb: Client,
    table: String,
}

/// How far users have read, each with one other user.
#[derive(Debug, Default)]
pub struct Marks(HashMap<(UserId, UserId), Seq>);

impl Marks {
    /// Up to where `reader` has marked what they and `peer` say to each other.
    pub fn of(&self, reader: &UserId, peer: &UserId) -> Seq {
        self.0.get(&(reader.clone(), peer.clone())).copied().unwrap_or_default()
    }
}

/// What became of a mark.
#[derive(Debug, PartialEq, Eq)]
pub enum Marked {
    /// It is stored.
    Moved,
    /// The user had read that far already, up to here.
    Already(Seq),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    user_id: UserId,
    peer_id: UserId,
    read_seq: Seq,
}

impl Conversations {
    /// The inboxes in this table.
    pub fn new(dynamodb: &DynamoDb, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table }
    }

    /// Puts a conversation into this hour of both inboxes. Doing it twice is harmless.
    ///
    /// # Errors
    /// Those of DynamoDB. One of the two may be there then.
    pub async fn list(&self, draft: &Draft, hour: Hour) -> Result<(), Error> {
        let puts = both(draft).map(async |(user, peer)| {
            let put = self.dynamodb.put_item().table_name(&self.table).set_item(Some(key(user, entry(hour, peer))));
            put.item("peerId", AttributeValue::S(peer.to_string())).send().await.map_err(failed)
        });
        try_join_all(puts).await?;
        Ok(())
    }

    /// Takes it out of an hour that it has left.
    ///
    /// # Errors
    /// Those of DynamoDB. What stays shows nothing, and costs a look in every listing that comes by.
    pub async fn unlist(&self, draft: &Draft, hour: Hour) -> Result<(), Error> {
        let removals = both(draft).map(async |(user, peer)| {
            let delete = self.dynamodb.delete_item().table_name(&self.table);
            delete.set_key(Some(key(user, entry(hour, peer)))).send().await.map_err(failed)
        });
        try_join_all(removals).await?;
        Ok(())
    }

    /// What stands in a user's inbox, the newest hour first: at most `limit`, and all of them after `place`.
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn places(&self, user: &UserId, after: Option<&Place>, limit: usize) -> Result<Vec<Place>, Error> {
        // The semicolon follows the colon: it bounds the hours, and keeps the marks out.
        let bound = after.map_or_else(|| "at;".to_owned(), |place| entry(place.listed, &place.peer_id));
        let answer = self
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
            .map_err(failed)?;
        answer.items.unwrap_or_default().into_iter().map(place).collect()
    }

    /// How far a user has read with each of these, and each of these with them.
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn marks(&self, user: &UserId, peers: impl IntoIterator<Item = &UserId>) -> Result<Marks, Error> {
        // No key twice, which DynamoDB refuses: an entry that was left behind names its peer again, and who talks to
        // themself is their own peer.
        let pairs: HashSet<_> = peers.into_iter().flat_map(|peer| [(user, peer), (peer, user)]).collect();
        let keys: Vec<_> = pairs.into_iter().map(|(reader, peer)| key(reader, mark(peer))).collect();
        let found = try_join_all(keys.chunks(KEYS_AT_ONCE).map(|keys| self.get_all(keys.to_vec()))).await?;
        let marks = found.into_iter().flatten().map(|item| {
            let mark: Mark = from_item(item)?;
            Ok(((mark.user_id, mark.peer_id), mark.read_seq))
        });
        Ok(Marks(marks.collect::<Result<_, Error>>()?))
    }

    /// Moves a user's mark forward to a message that exists, in one step with the proof that it does.
    ///
    /// # Errors
    /// [`Error::BadRequest`] where there is no such message, and those of DynamoDB.
    pub async fn mark_read(
        &self,
        user: &UserId,
        peer: &UserId,
        seq: Seq,
        exists: ConditionCheck,
    ) -> Result<Marked, Error> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(user, mark(peer))))
            .update_expression("SET peerId = :peer, readSeq = :seq")
            .condition_expression("attribute_not_exists(readSeq) OR readSeq < :seq")
            .expression_attribute_values(":peer", AttributeValue::S(peer.to_string()))
            .expression_attribute_values(":seq", AttributeValue::N(seq.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Error::Internal(error.into()))?;
        let mut attempts = 0;
        loop {
            let answer = self
                .dynamodb
                .transact_write_items()
                .transact_items(TransactWriteItem::builder().condition_check(exists.clone()).build())
                .transact_items(TransactWriteItem::builder().update(update.clone()).build())
                .send()
                .await;
            let Err(error) = answer else { return Ok(Marked::Moved) };
            attempts += 1;
            match cancelled(&error) {
                Some([exists, ..]) if failed_on(exists) => {
                    return Err(Error::bad_request(
                        "seq: the conversation has no such message; send the seq of one that you hold",
                    ));
                }
                Some([_, update]) if failed_on(update) => {
                    let mark: Mark = from_item(update.item.clone().unwrap_or_default())?;
                    return Ok(Marked::Already(mark.read_seq));
                }
                // Two devices at once: one of them has to come again.
                Some(reasons) if reasons.iter().any(|reason| reason.code() == Some("TransactionConflict")) => {
                    if attempts >= CONFLICTS {
                        return Err(Error::Unavailable(error.into()));
                    }
                }
                _ => return Err(failed(error)),
            }
            tokio::time::sleep(random_wait()).await;
        }
    }

    /// Items by their keys, at most [`KEYS_AT_ONCE`]. DynamoDB may leave some for another call.
    async fn get_all(&self, keys: Vec<Item>) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut wanted = keys_of(keys)?;
        loop {
            let answer =
                self.dynamodb.batch_get_item().request_items(&self.table, wanted).send().await.map_err(failed)?;
            items.extend(answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default());
            match answer.unprocessed_keys.unwrap_or_default().remove(&self.table) {
                Some(left) => wanted = left,
                None => return Ok(items),
            }
            tokio::time::sleep(random_wait()).await;
        }
    }
}

/// Each of the two with the other; once where somebody talks to themself.
fn both(draft: &Draft) -> impl Iterator<Item = (&UserId, &UserId)> {
    let (sender, recipient) = (draft.sender(), draft.recipient());
    let recipients = (sender != recipient).then_some((recipient, sender));
    [(sender, recipient)].into_iter().chain(recipients)
}

fn key(user: &UserId, entry: String) -> Item {
    [("userId", user.to_string()), ("entry", entry)]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .into()
}

/// Ten digits: all hours that there are, in the order of the numbers.
fn entry(hour: Hour, peer: &UserId) -> String {
    format!("at:{:010}:{peer}", hour.get())
}

fn mark(peer: &UserId) -> String {
    format!("read:{peer}")
}

/// Reads what [`entry`] writes.
fn place(item: Item) -> Result<Place, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        entry: String,
        peer_id: UserId,
    }

    let Row { entry, peer_id } = from_item(item)?;
    let hour = entry.split(':').nth(1).and_then(|hour| hour.parse().ok());
    let listed = hour.map(Hour::new).ok_or_else(|| Error::Internal("an entry of an inbox has no hour".into()))?;
    Ok(Place { listed, peer_id })
}

fn keys_of(keys: Vec<Item>) -> Result<KeysAndAttributes, Error> {
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true)
        .build()
        .map_err(|error| Error::Internal(error.into()))
}

/// Why a transaction was not done, for each of its parts.
fn cancelled(error: &SdkError<TransactWriteItemsError>) -> Option<&[CancellationReason]> {
    match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => Some(cancelled.cancellation_reasons()),
        _ => None,
    }
}

fn failed_on(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}
