//! `Messages`: the repository of the entries of conversations, in the table of that name.
//!
//! An entry gets its sequence number by a conditional put and by nothing else. No entry is ever removed or renumbered. A
//! message is replaced only in the transaction that puts the entry that announces it.

pub mod pages;
pub mod puts;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures_util::future::try_join_all;

use crate::{
    model::{
        conversation::{ConversationId, Seq},
        entry::{End, Entry, EntryHeader, StoredEntry},
        error::Error,
        message::Message,
        user::UserId,
    },
    store::dynamodb::{DynamoDbClient, Item, call_error, from_item},
};

/// The repository of entries. All reads are strongly consistent. Every error is [`Error::Unavailable`] or
/// [`Error::Internal`].
#[derive(Debug, Clone)]
pub struct Messages {
    dynamodb: Client,
    table: String,
}

/// A part of a conversation, newest first.
#[derive(Debug)]
pub struct HeaderPage {
    /// Newest first.
    pub headers: Vec<EntryHeader>,
    /// The last entry that was read, if older ones may follow.
    pub more_before: Option<Seq>,
}

/// The newest entry of a conversation and its newest message.
#[derive(Debug)]
pub struct Newest {
    /// The newest entry.
    pub end: End,
    /// The newest message, which the newest entry may be; none if a group has none yet.
    pub message: Option<Message>,
}

/// The attribute that holds the state of the conversation.
const STATE: &str = "tally";
/// The attribute that tells other entries from messages.
const KIND: &str = "kind";
/// The attributes of an [`EntryHeader`].
const HEADER: &str = "seq, messageId, senderId, clientMessageId, createdAt, tally";

impl Messages {
    pub(crate) fn new(dynamodb: &DynamoDbClient, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table }
    }

    /// The newest entry and the newest message of a conversation, up to entry `to` or all; none if there is none. One call;
    /// two if the newest entry is not a message.
    ///
    /// # Errors
    /// If an entry can't be read.
    pub async fn newest(&self, conversation: &ConversationId, to: Option<Seq>) -> Result<Option<Newest>, Error> {
        let response = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(match to {
                None => "conversationId = :id",
                Some(_) => "conversationId = :id AND seq <= :seq",
            })
            .set_expression_attribute_values(bounded(conversation, to))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(call_error)?;
        let Some(item) = response.items.unwrap_or_default().pop() else { return Ok(None) };
        let stored = stored(item)?;
        let end = End::from(stored.header());
        let seq = end.newest_message();
        let message = match stored.entry {
            Entry::Message(message) => Some(message),
            Entry::Change(_) | Entry::Group(_) if seq == Seq::NONE => None,
            other => {
                let version = Some(*other.seq()).filter(|_| other.target() == Some(seq));
                let message = self.changed(conversation, &[(seq, version)].into()).await?.remove(&seq);
                Some(message.ok_or_else(|| Error::Internal("the newest message of a conversation is missing".into()))?)
            }
        };
        Ok(Some(Newest { end, message }))
    }

    /// Whether the conversation has any entry.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn has_any(&self, conversation: &ConversationId) -> Result<bool, Error> {
        Ok(!self.headers(conversation, None, None, 1).await?.headers.is_empty())
    }

    /// Those of `others` that `user` has a direct conversation with, by one call each.
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

fn entry(item: Item) -> Result<Entry, Error> {
    match item.get(KIND).map(AttributeValue::as_s) {
        None => from_item(item).map(Entry::Message),
        Some(Ok(kind)) if kind == "change" => from_item(item).map(Entry::Change),
        Some(Ok(kind)) if kind == "group" => from_item(item).map(Entry::Group),
        Some(_) => Err(Error::Internal("an entry is of no known kind".into())),
    }
}

fn stored(item: Item) -> Result<StoredEntry, Error> {
    let EntryHeader { state, .. } = from_item(item.clone())?;
    Ok(StoredEntry { entry: entry(item)?, state })
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
