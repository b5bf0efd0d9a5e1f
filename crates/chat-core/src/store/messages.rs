//! `Messages`: the repository of the entries of conversations, in the table of that name.
//!
//! An entry gets its sequence number by a conditional put and by nothing else. No entry is ever removed or renumbered. A
//! message is replaced only in the transaction that puts the entry that announces it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    types::{AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::{
    model::{
        conversation::{ConversationId, Seq},
        entry::{End, Entry, EntryHeader, StoredEntry},
        error::Error,
        json::json_length,
        message::Message,
        state::ConversationState,
        user::UserId,
    },
    protocol::{
        replies::{PAGE_BYTES, Page},
        requests::{Cursor, Limit},
    },
    store::dynamodb::{ATTEMPTS, Consistency, DynamoDbClient, Item, batch_get, call_error, from_item, random_wait},
};

/// The repository of entries. All reads are strongly consistent. Every error is [`Error::Unavailable`] or
/// [`Error::Internal`].
#[derive(Debug, Clone)]
pub struct Messages {
    dynamodb: Client,
    table: String,
}

/// The entries of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest entries, newest first.
    Newest,
    /// The entries before this one, newest first.
    Before(Seq),
    /// The entries after this one, oldest first.
    After(Seq),
}

/// A page, and whether it reaches the end of its conversation.
#[derive(Debug)]
pub struct PageRead {
    /// Without a position.
    pub page: Page,
    /// The state of the conversation as of the newest entry of the page, if no newer one follows.
    pub state_at_end: Option<ConversationState>,
}

/// A part of a conversation, newest first.
#[derive(Debug)]
pub struct HeaderPage {
    /// Newest first.
    pub headers: Vec<EntryHeader>,
    /// The last entry that was read, if older ones may follow.
    pub more_before: Option<Seq>,
}

/// The result of a conditional put.
#[derive(Debug)]
pub enum PutOutcome {
    /// The slot was vacant; the entry is stored.
    Stored,
    /// The slot holds this entry; nothing is stored.
    Occupied(Box<StoredEntry>),
    /// A transaction was using the slot, which may be vacant or occupied; nothing is stored. Or the message that the entry
    /// is about has changed since it was read.
    Contended,
}

/// A message that an entry replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// What is stored, with its state, which stays.
    pub before: StoredEntry,
    /// What is stored in its place.
    pub after: Message,
}

/// The newest entry of a conversation and its newest message.
#[derive(Debug)]
pub struct Newest {
    /// The newest entry.
    pub end: End,
    /// The newest message, which the newest entry may be.
    pub message: Message,
}

/// The attribute that holds the state of the conversation.
const STATE: &str = "tally";
/// The parts of the state that are stored only if they are not 0, so that an item is no larger than before there were
/// changes, until a message of its conversation changes.
const COUNTS: [&str; 3] = ["changes", "theirChanges", "trailing"];
/// The attribute that tells other entries from messages.
const KIND: &str = "kind";
/// The attributes of an [`EntryHeader`].
const HEADER: &str = "seq, messageId, senderId, clientMessageId, createdAt, tally";
/// The condition on which an entry is put.
const SLOT_IS_VACANT: &str = "attribute_not_exists(seq)";

#[derive(Serialize)]
struct Row<'a, E> {
    #[serde(flatten)]
    entry: &'a E,
    #[serde(rename = "tally")]
    state: ConversationState,
}

impl<E: Serialize> Row<'_, E> {
    fn item(&self) -> Result<Item, Error> {
        let mut item: Item = serde_dynamo::to_item(self).map_err(|error| Error::Internal(error.into()))?;
        if let Some(AttributeValue::M(state)) = item.get_mut(STATE) {
            let zero = AttributeValue::N("0".to_owned());
            state.retain(|name, value| !(COUNTS.contains(&name.as_str()) && *value == zero));
        }
        Ok(item)
    }
}

impl Messages {
    pub(crate) fn new(dynamodb: &DynamoDbClient, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table }
    }

    /// Stores an entry, with the state of its conversation, unless its slot is occupied; with a replacement, both or nothing.
    ///
    /// # Errors
    /// After an error the entry may be stored, because the response may have been lost.
    pub async fn put_if_vacant(
        &self,
        entry: &Entry,
        state: ConversationState,
        replacement: Option<&Replacement>,
    ) -> Result<PutOutcome, Error> {
        let item = Row { entry, state }.item()?;
        match replacement {
            None => self.put(item).await,
            Some(replacement) => self.put_and_replace(item, replacement).await,
        }
    }

    async fn put(&self, item: Item) -> Result<PutOutcome, Error> {
        let result = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(SLOT_IS_VACANT)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(PutOutcome::Stored),
            Err(SdkError::ServiceError(failure)) if failure.err().is_conditional_check_failed_exception() => {
                match failure.into_err() {
                    PutItemError::ConditionalCheckFailedException(occupied) => occupied_by(occupied.item),
                    other => Err(Error::Internal(other.into())),
                }
            }
            Err(SdkError::ServiceError(failure)) if failure.err().is_transaction_conflict_exception() => {
                Ok(PutOutcome::Contended)
            }
            Err(error) => Err(call_error(error)),
        }
    }

    /// The SDK repeats a lost transaction with the same token, so that a repeat of one that took effect succeeds.
    async fn put_and_replace(
        &self,
        item: Item,
        Replacement { before, after }: &Replacement,
    ) -> Result<PutOutcome, Error> {
        let put = |item, condition: &str| {
            let put = Put::builder().table_name(&self.table).set_item(Some(item)).condition_expression(condition);
            put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        };
        let entry = put(item, SLOT_IS_VACANT);
        let target = Row { entry: after, state: before.state }.item()?;
        let target = match before.entry.version() {
            None => put(target, "attribute_exists(seq) AND attribute_not_exists(version)"),
            Some(version) => put(target, "version = :version")
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        let mut transaction = self.dynamodb.transact_write_items();
        for put in [entry, target] {
            let put = put.build().map_err(|error| Error::Internal(error.into()))?;
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        for attempt in 1.. {
            let error = match transaction.clone().send().await {
                Ok(_) => return Ok(PutOutcome::Stored),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let reasons = canceled.cancellation_reasons();
                    match reasons.first() {
                        Some(slot) if is_condition(slot) => return occupied_by(slot.item.clone()),
                        _ if reasons.iter().any(|reason| is_condition(reason) || is_conflict(reason)) => break,
                        _ if reasons.iter().all(is_temporary) => {}
                        _ => return Err(Error::Internal(error.into())),
                    }
                    // The SDK repeats throttled calls, and does not count this one among them.
                    if attempt == ATTEMPTS {
                        return Err(Error::Unavailable(error.into()));
                    }
                    tokio::time::sleep(random_wait()).await;
                }
                // The SDK repeated a transaction that is still running.
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => break,
                _ => return Err(call_error(error)),
            }
        }
        Ok(PutOutcome::Contended)
    }

    /// One page, cut to at most [`PAGE_BYTES`] as JSON.
    ///
    /// # Errors
    /// If the page can't be read.
    pub async fn page(&self, conversation: &ConversationId, range: Range, limit: Limit) -> Result<PageRead, Error> {
        let (condition, bound, newer) = match range {
            Range::Newest => ("conversationId = :id", None, false),
            Range::Before(seq) => ("conversationId = :id AND seq < :seq", Some(seq), false),
            Range::After(seq) => ("conversationId = :id AND seq > :seq", Some(seq), true),
        };
        let limit = limit.get();
        let response = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(condition)
            .set_expression_attribute_values(bounded(conversation, bound))
            .scan_index_forward(newer)
            // One more than requested shows whether more follow.
            .limit(limit as i32 + 1)
            .send()
            .await
            .map_err(call_error)?;
        let cut_by_dynamodb = response.last_evaluated_key.is_some();
        let items = response.items.unwrap_or_default();
        let read = items.len();

        let mut entries = Vec::with_capacity(read.min(limit));
        for mut item in items.into_iter().take(limit) {
            let state = item.remove(STATE);
            entries.push((entry(item)?, state));
        }
        let needed = needed_versions(entries.iter().map(|(entry, _)| entry), newer);
        let mut changed = self.changed(conversation, &needed).await?;
        for (entry, _) in &mut entries {
            if let Some(message) = changed.remove(entry.seq()) {
                *entry = Entry::Message(message);
            }
        }
        let mut page = Page {
            conversation_id: conversation.clone(),
            messages: Vec::with_capacity(entries.len()),
            changed: Vec::new(),
            last_evaluated_key: None,
            position: None,
        };
        let mut states = Vec::with_capacity(entries.len());
        let mut bytes = 0;
        for (entry, state) in entries {
            let target = entry.target().and_then(|target| changed.remove(&target));
            bytes += json_length(&entry) + 1 + target.as_ref().map_or(0, |target| json_length(target) + 1);
            if bytes > PAGE_BYTES {
                break;
            }
            page.messages.push(entry);
            page.changed.extend(target);
            states.push(state);
        }
        // DynamoDB cuts at 1 MB, far more than a page holds. At the limit it reports a cut even if nothing follows.
        let more = page.messages.len() < read || (cut_by_dynamodb && read <= limit);
        page.last_evaluated_key = page.messages.last().filter(|_| more).map(|last| Cursor {
            conversation_id: conversation.clone(),
            seq: *last.seq(),
            newer,
        });
        let state_at_end = match range {
            Range::Newest => states.into_iter().next(),
            Range::After(_) if !more => states.pop(),
            Range::Before(_) | Range::After(_) => None,
        };
        let state_at_end = state_at_end.flatten().map(serde_dynamo::from_attribute_value).transpose();
        let state_at_end = state_at_end.map_err(|error| Error::Internal(error.into()))?;
        Ok(PageRead { page, state_at_end })
    }

    /// Messages as they are now, each with at least the version that is needed, if any.
    ///
    /// While DynamoDB applies a transaction, one of its items can be new and another one still old. So a change can be read for
    /// a moment before the message is.
    async fn changed(
        &self,
        conversation: &ConversationId,
        needed: &BTreeMap<Seq, Option<Seq>>,
    ) -> Result<BTreeMap<Seq, Message>, Error> {
        if needed.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keys: Vec<_> = needed.keys().map(|target| key(conversation, *target)).collect();
        for _ in 0..ATTEMPTS {
            let items = batch_get(&self.dynamodb, &self.table, &keys, Consistency::Strong).await?;
            let messages = items.into_iter().map(from_item::<Message>).collect::<Result<Vec<_>, _>>()?;
            if messages.iter().all(|message| message.version >= needed[&message.seq]) {
                return Ok(messages.into_iter().map(|message| (message.seq, message)).collect());
            }
            tokio::time::sleep(random_wait()).await;
        }
        Err(Error::Unavailable("a message is older than its change".into()))
    }

    /// The newest entry and the newest message of a conversation; none if the conversation has none. One call; two if the
    /// newest entry is not a message.
    ///
    /// # Errors
    /// If an entry can't be read.
    pub async fn newest(&self, conversation: &ConversationId) -> Result<Option<Newest>, Error> {
        let response = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("conversationId = :id")
            .set_expression_attribute_values(bounded(conversation, None))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(call_error)?;
        let Some(item) = response.items.unwrap_or_default().pop() else { return Ok(None) };
        let stored = stored(item)?;
        let end = End::from(stored.header());
        let message = match stored.entry {
            Entry::Message(message) => Some(message),
            Entry::Change(change) => {
                let seq = end.newest_message();
                let version = Some(change.seq).filter(|_| change.target == seq);
                self.changed(conversation, &[(seq, version)].into()).await?.remove(&seq)
            }
        };
        let message =
            message.ok_or_else(|| Error::Internal("the newest message of a conversation is missing".into()))?;
        Ok(Some(Newest { end, message }))
    }

    /// Whether the conversation has any entry.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn has_any(&self, conversation: &ConversationId) -> Result<bool, Error> {
        Ok(!self.headers(conversation, None, None, 1).await?.headers.is_empty())
    }

    /// Those of `others` with whom `user` has a conversation, by one call each.
    ///
    /// # Errors
    /// If one of the conversations can't be read.
    pub async fn with_conversation(&self, user: &UserId, others: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>, Error> {
        let found = try_join_all(others.iter().map(async |other| {
            let exists = self.has_any(&ConversationId::between(user, other)).await?;
            Ok::<_, Error>(exists.then(|| other.clone()))
        }));
        Ok(found.await?.into_iter().flatten().collect())
    }

    /// The end that the conversation had when this was its newest entry; none if there is no such entry.
    ///
    /// # Errors
    /// If the entry can't be read.
    pub async fn end_at(&self, conversation: &ConversationId, seq: Seq) -> Result<Option<End>, Error> {
        let get = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(key(conversation, seq))).projection_expression(HEADER);
        let item = get.send().await.map_err(call_error)?.item;
        item.map(|item| from_item::<EntryHeader>(item).map(End::from)).transpose()
    }

    /// An entry; none if there is no such entry.
    ///
    /// # Errors
    /// If the entry can't be read.
    pub async fn get(&self, conversation: &ConversationId, seq: Seq) -> Result<Option<StoredEntry>, Error> {
        let response = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key(conversation, seq)))
            .send()
            .await
            .map_err(call_error)?;
        response.item.map(stored).transpose()
    }

    /// Up to `limit` entries without what they say, newest first: those from `from` on, or all; and of these the ones
    /// before `before`, or all.
    ///
    /// # Errors
    /// If the entries can't be read.
    pub async fn headers(
        &self,
        conversation: &ConversationId,
        from: Option<Seq>,
        before: Option<Seq>,
        limit: u16,
    ) -> Result<HeaderPage, Error> {
        let response = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .projection_expression(HEADER)
            .key_condition_expression(match from {
                None => "conversationId = :id",
                Some(_) => "conversationId = :id AND seq >= :seq",
            })
            .set_expression_attribute_values(bounded(conversation, from))
            .scan_index_forward(false)
            .limit(limit.into())
            .set_exclusive_start_key(before.map(|seq| key(conversation, seq)))
            .send()
            .await
            .map_err(call_error)?;
        let headers: Vec<EntryHeader> =
            response.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_, _>>()?;
        let more_before = response.last_evaluated_key.and(headers.last()).map(|last| last.seq);
        Ok(HeaderPage { headers, more_before })
    }
}

/// The messages that these entries change, each with its newest change, without those among the entries that are at least as
/// new: a query is no transaction, and can read a message, and then the entry of a change that was made in between. Those that
/// are not among the entries are left out unless `with_others`.
fn needed_versions<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    with_others: bool,
) -> BTreeMap<Seq, Option<Seq>> {
    let read: BTreeMap<_, _> = entries.clone().map(|entry| (*entry.seq(), entry.version())).collect();
    let mut needed = BTreeMap::new();
    for change in entries {
        let Some(target) = change.target() else { continue };
        let is_missing = read.get(&target).map_or(with_others, |version| *version < Some(*change.seq()));
        if is_missing {
            let newest: &mut Option<Seq> = needed.entry(target).or_default();
            *newest = (*newest).max(Some(*change.seq()));
        }
    }
    needed
}

fn entry(item: Item) -> Result<Entry, Error> {
    match item.contains_key(KIND) {
        false => from_item(item).map(Entry::Message),
        true => from_item(item).map(Entry::Change),
    }
}

fn stored(item: Item) -> Result<StoredEntry, Error> {
    let EntryHeader { state, .. } = from_item(item.clone())?;
    Ok(StoredEntry { entry: entry(item)?, state })
}

fn occupied_by(item: Option<Item>) -> Result<PutOutcome, Error> {
    Ok(PutOutcome::Occupied(Box::new(stored(item.unwrap_or_default())?)))
}

/// The codes of <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
fn is_condition(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

fn is_conflict(reason: &CancellationReason) -> bool {
    reason.code() == Some("TransactionConflict")
}

fn is_temporary(reason: &CancellationReason) -> bool {
    const TEMPORARY: [&str; 4] = ["None", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];
    TEMPORARY.contains(&reason.code().unwrap_or("None"))
}

fn key(conversation: &ConversationId, seq: Seq) -> Item {
    let id = ("conversationId".to_owned(), AttributeValue::S(conversation.as_str().to_owned()));
    [id, ("seq".to_owned(), AttributeValue::N(seq.to_string()))].into()
}

fn bounded(conversation: &ConversationId, seq: Option<Seq>) -> Option<Item> {
    let id = (":id".to_owned(), AttributeValue::S(conversation.as_str().to_owned()));
    let seq = seq.map(|seq| (":seq".to_owned(), AttributeValue::N(seq.to_string())));
    Some([id].into_iter().chain(seq).collect())
}
