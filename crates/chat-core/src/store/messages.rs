//! `Messages`: the repository of messages, in the table of that name.
//!
//! A message gets its sequence number by a conditional put and by nothing else. No message is ever removed or renumbered.

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use serde::Serialize;

use crate::{
    model::{
        conversation::{ConversationId, Seq},
        error::Error,
        json::json_length,
        message::{Message, MessageHeader, StoredMessage},
        state::ConversationState,
    },
    protocol::{
        replies::{PAGE_BYTES, Page},
        requests::{Cursor, Limit},
    },
    store::dynamodb::{DynamoDbClient, Item, call_error, from_item},
};

/// The repository of messages. All reads are strongly consistent. Every error is [`Error::Unavailable`] or
/// [`Error::Internal`].
#[derive(Debug, Clone)]
pub struct Messages {
    dynamodb: Client,
    table: String,
}

/// The messages of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest messages, newest first.
    Newest,
    /// The messages before this one, newest first.
    Before(Seq),
    /// The messages after this one, oldest first.
    After(Seq),
}

/// A page, and whether it reaches the end of its conversation.
#[derive(Debug)]
pub struct PageRead {
    /// Without a position.
    pub page: Page,
    /// The state of the conversation as of the newest message of the page, if no newer one follows.
    pub state_at_end: Option<ConversationState>,
}

/// A part of a conversation, newest first.
#[derive(Debug)]
pub struct HeaderPage {
    /// Newest first.
    pub headers: Vec<MessageHeader>,
    /// The last message that was read, if older ones may follow.
    pub more_before: Option<Seq>,
}

/// The result of a conditional put.
#[derive(Debug)]
pub enum PutOutcome {
    /// The slot was vacant; the message is stored.
    Stored,
    /// The slot holds this message; nothing is stored.
    Occupied(Box<StoredMessage>),
    /// A transaction was using the slot, which may be vacant or occupied; nothing is stored.
    Contended,
}

/// The attribute that holds the state of the conversation.
const STATE: &str = "tally";

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    message: &'a Message,
    #[serde(rename = "tally")]
    state: ConversationState,
}

impl Messages {
    pub(crate) fn new(dynamodb: &DynamoDbClient, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table }
    }

    /// Stores a message, with the state of its conversation, unless its slot is occupied.
    ///
    /// # Errors
    /// After an error the message may be stored, because the response may have been lost.
    pub async fn put_if_vacant(&self, message: &Message, state: ConversationState) -> Result<PutOutcome, Error> {
        let item = serde_dynamo::to_item(Row { message, state }).map_err(|error| Error::Internal(error.into()))?;
        let result = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(seq)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(PutOutcome::Stored),
            Err(SdkError::ServiceError(failure)) if failure.err().is_conditional_check_failed_exception() => {
                match failure.into_err() {
                    PutItemError::ConditionalCheckFailedException(occupied) => {
                        Ok(PutOutcome::Occupied(Box::new(stored(occupied.item.unwrap_or_default())?)))
                    }
                    other => Err(Error::Internal(other.into())),
                }
            }
            Err(SdkError::ServiceError(failure)) if failure.err().is_transaction_conflict_exception() => {
                Ok(PutOutcome::Contended)
            }
            Err(error) => Err(call_error(error)),
        }
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

        let mut messages = Vec::with_capacity(read.min(limit));
        let mut states = Vec::with_capacity(read.min(limit));
        let mut bytes = 0;
        for mut item in items.into_iter().take(limit) {
            let state = item.remove(STATE);
            let message: Message = from_item(item)?;
            bytes += json_length(&message) + 1;
            if bytes > PAGE_BYTES {
                break;
            }
            messages.push(message);
            states.push(state);
        }
        // DynamoDB cuts at 1 MB, far more than a page holds. At the limit it reports a cut even if nothing follows.
        let more = messages.len() < read || (cut_by_dynamodb && read <= limit);
        let last_evaluated_key = messages.last().filter(|_| more).map(|last| Cursor {
            conversation_id: conversation.clone(),
            seq: last.seq,
            newer,
        });
        let state_at_end = match range {
            Range::Newest => states.into_iter().next(),
            Range::After(_) if !more => states.pop(),
            Range::Before(_) | Range::After(_) => None,
        };
        let state_at_end = state_at_end.flatten().map(serde_dynamo::from_attribute_value).transpose();
        let state_at_end = state_at_end.map_err(|error| Error::Internal(error.into()))?;
        let conversation_id = conversation.clone();
        Ok(PageRead { page: Page { conversation_id, messages, last_evaluated_key, position: None }, state_at_end })
    }

    /// The newest message of a conversation; none if the conversation has none.
    ///
    /// # Errors
    /// If the message can't be read.
    pub async fn newest(&self, conversation: &ConversationId) -> Result<Option<StoredMessage>, Error> {
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
        response.items.unwrap_or_default().pop().map(stored).transpose()
    }

    /// Whether the message exists.
    ///
    /// # Errors
    /// If the message can't be read.
    pub async fn exists(&self, conversation: &ConversationId, seq: Seq) -> Result<bool, Error> {
        let get = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(key(conversation, seq))).projection_expression("seq");
        Ok(get.send().await.map_err(call_error)?.item.is_some())
    }

    /// One message that is known to exist.
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not exist.
    pub async fn get(&self, conversation: &ConversationId, seq: Seq) -> Result<Message, Error> {
        let response = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key(conversation, seq)))
            .send()
            .await
            .map_err(call_error)?;
        from_item(response.item.unwrap_or_default())
    }

    /// Up to `limit` messages without their content, newest first: those from `from` on, or all; and of these the ones
    /// before `before`, or all.
    ///
    /// # Errors
    /// If the messages can't be read.
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
            .projection_expression("seq, messageId, senderId, clientMessageId, createdAt, tally")
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
        let headers: Vec<MessageHeader> =
            response.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_, _>>()?;
        let more_before = response.last_evaluated_key.and(headers.last()).map(|last| last.seq);
        Ok(HeaderPage { headers, more_before })
    }
}

fn stored(item: Item) -> Result<StoredMessage, Error> {
    let MessageHeader { state, .. } = from_item(item.clone())?;
    Ok(StoredMessage { message: from_item(item)?, state })
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
