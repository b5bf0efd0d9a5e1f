//! The table `Messages`: every message of every conversation, in one order.
//!
//! A message gets its place by a conditional put and by nothing else, which gives order, exactly-once and durability in
//! one write. Nothing removes or renumbers a message, and whoever appends looks at every item between what the client
//! has seen and the place it takes: a repeat is found even while the first attempt is still running.

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::put_item::PutItemError,
    types::{AttributeValue, ConditionCheck, ReturnValuesOnConditionCheckFailure},
};
use serde::Serialize;

use crate::{
    conversation::{ConversationId, Seq},
    conversations::Conversations,
    dynamodb::{DynamoDb, Item, failed, from_item, random_wait},
    error::Error,
    frames::{Cursor, Limit, PAGE_BYTES, Page, json_length},
    message::{Draft, Message, Trace},
    rate_limit::RateLimit,
    tally::{Hour, Newest, Tally},
};

/// How many messages after `lastSeq` a send is willing to look through for a repeat.
const MOST_UNSEEN: u64 = 1_000;
/// How many of the newest messages a send looks through where the client gives no `lastSeq`.
const UNSEEN_BY_DEFAULT: i32 = 25;
/// How many traces are asked for at once: more than a client that is nearly up to date needs, and at most 2.4 MB of
/// reading for one that is not.
const TRACES_AT_ONCE: i32 = 100;
/// Losses after which a send waits before it tries again. Simulated with 7.5 ms a call, fewer only add delay.
const LOSSES_AT_ONCE: u32 = 8;

/// The repository of messages, and the only code that knows their table's keys.
#[derive(Debug, Clone)]
pub struct Messages {
    dynamodb: Client,
    table: String,
}

/// Where a conversation stands, as a send must know it.
#[derive(Debug)]
pub enum Standing {
    /// Nothing between here and what the client has seen repeats the draft.
    New {
        /// The newest message; none where the conversation, or what was looked at of it, has none.
        newest: Option<Trace>,
        /// What the conversation comes to with the draft.
        tally: Tally,
    },
    /// The draft is stored already.
    Stored(Trace),
}

/// A message that is stored.
#[derive(Debug)]
pub struct Appended {
    /// As it is stored.
    pub message: Message,
    /// Whether an earlier attempt had stored it.
    pub duplicate: bool,
    /// How many puts it took; none for a repeat that was known before.
    pub attempts: u32,
    /// Out of which hour of the inboxes it took its conversation, if it did.
    pub moved_from: Option<Hour>,
}

/// Which part of a conversation a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest messages, newest first.
    Newest,
    /// What is older than this message, newest first.
    Before(Seq),
    /// What is newer than this message, oldest first.
    After(Seq),
}

/// One row: a message, and what its conversation had come to with it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    message: &'a Message,
    tally: Tally,
}

enum Put {
    Done,
    /// By the message that stands there.
    Taken(Item),
}

impl Messages {
    /// The messages in this table.
    pub fn new(dynamodb: &DynamoDb, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table }
    }

    /// Looks at everything that the client may not have seen: all after `last_seq`, or the newest few.
    ///
    /// # Errors
    /// [`Error::BadRequest`] where there is no message `last_seq`, [`Error::OutOfDate`] where more than 1,000 follow it
    /// and the draft could be among them, [`Error::RateLimited`] where its sender is past `limit` in this conversation,
    /// and those of DynamoDB.
    pub async fn standing(&self, draft: &Draft, last_seq: Option<Seq>, limit: RateLimit) -> Result<Standing, Error> {
        let standing = self.look(draft, last_seq, limit).await?;
        match (&standing, last_seq) {
            (Standing::New { newest, .. }, Some(last_seq)) if seq(newest) < last_seq => Err(Error::bad_request(
                "lastSeq: the conversation has no such message; send the newest seq that you hold, or 0",
            )),
            _ => Ok(standing),
        }
    }

    /// Stores the draft after the newest message, exactly once, and tries until nobody is faster.
    ///
    /// A conversation's first message, and its first one in another hour, has it put into that hour of both inboxes
    /// before: who finds the message then finds the entries, too.
    ///
    /// # Errors
    /// [`Error::RateLimited`] as from [`Messages::standing`], with nothing stored. Those of DynamoDB: after one, and where
    /// this is given up half-way, the message may or may not be stored; a repeat with the same `clientMessageId` will
    /// tell.
    pub async fn append(
        &self,
        draft: &Draft,
        standing: Standing,
        limit: RateLimit,
        conversations: &Conversations,
    ) -> Result<Appended, Error> {
        let mut standing = standing;
        let mut attempts = 0;
        loop {
            let (newest, tally) = match standing {
                Standing::Stored(trace) => return self.stored(draft, trace, attempts).await,
                Standing::New { newest, tally } => (newest, tally),
            };
            let slot = seq(&newest).next();
            let message = draft.at(slot);
            let before = Tally::listed(newest.as_ref());
            let moved_from = Some(before).filter(|before| *before != Hour::NONE && *before < tally.listed);
            if before < tally.listed {
                conversations.list(draft, tally.listed).await?;
            }
            attempts += 1;
            if let Put::Taken(item) = self.put(&message, tally).await? {
                let trace: Trace = from_item(item.clone())?;
                // An answer was lost, and the SDK repeated the put.
                if draft.became(&trace) {
                    return Ok(Appended { message, duplicate: false, attempts, moved_from });
                }
                if draft.repeats(&trace) {
                    return Ok(Appended { message: from_item(item)?, duplicate: true, attempts, moved_from: None });
                }
            } else {
                return Ok(Appended { message, duplicate: false, attempts, moved_from });
            }
            if attempts >= LOSSES_AT_ONCE {
                tokio::time::sleep(random_wait()).await;
            }
            standing = self.look(draft, Some(slot), limit).await?;
        }
    }

    /// One page, cut to what fits a frame.
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn page(&self, conversation: &ConversationId, range: Range, limit: Limit) -> Result<Page, Error> {
        let (condition, bound, newer) = match range {
            Range::Newest => ("conversationId = :id", None, false),
            Range::Before(seq) => ("conversationId = :id AND seq < :seq", Some(seq), false),
            Range::After(seq) => ("conversationId = :id AND seq > :seq", Some(seq), true),
        };
        let limit = limit.get();
        let answer = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(condition)
            .set_expression_attribute_values(bounded(conversation, bound))
            .scan_index_forward(newer)
            // One more than asked for tells whether more follow.
            .limit(limit as i32 + 1)
            .send()
            .await
            .map_err(failed)?;
        let cut_by_dynamodb = answer.last_evaluated_key.is_some();
        let items = answer.items.unwrap_or_default();
        let read = items.len();

        let mut messages = Vec::with_capacity(read.min(limit));
        let mut bytes = 0;
        for item in items.into_iter().take(limit) {
            let message: Message = from_item(item)?;
            bytes += json_length(&message) + 1;
            if bytes > PAGE_BYTES {
                break;
            }
            messages.push(message);
        }
        // DynamoDB cuts at 1 MB, far beyond what fits a page, and says so at the limit even where nothing follows.
        let more = messages.len() < read || (cut_by_dynamodb && read <= limit);
        let last_evaluated_key = messages.last().filter(|_| more).map(|last| Cursor {
            conversation_id: conversation.clone(),
            seq: last.seq,
            newer,
        });
        Ok(Page { conversation_id: conversation.clone(), messages, last_evaluated_key })
    }

    /// The newest message of a conversation; none where it has none.
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn newest(&self, conversation: &ConversationId) -> Result<Option<Newest>, Error> {
        let answer = self
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
            .map_err(failed)?;
        let Some(item) = answer.items.unwrap_or_default().pop() else { return Ok(None) };
        let Trace { tally, .. } = from_item(item.clone())?;
        Ok(Some(Newest { message: from_item(item)?, tally }))
    }

    /// What a transaction must check so that it is done only where there is this message.
    ///
    /// # Errors
    /// None, unless the SDK asks for more one day.
    pub fn existence(&self, conversation: &ConversationId, seq: Seq) -> Result<ConditionCheck, Error> {
        ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(conversation, seq)))
            .condition_expression("attribute_exists(seq)")
            .build()
            .map_err(|error| Error::Internal(error.into()))
    }

    /// Looks from `from` on (or at the newest few) for what the draft became or repeats, newest first.
    async fn look(&self, draft: &Draft, from: Option<Seq>, limit: RateLimit) -> Result<Standing, Error> {
        let at_once = match (draft.has_client_message_id(), from) {
            (false, _) => 1,
            (true, None) => UNSEEN_BY_DEFAULT,
            (true, Some(_)) => TRACES_AT_ONCE,
        };
        let mut newest: Option<Trace> = None;
        let mut start: Option<Item> = None;
        loop {
            let answer = self
                .dynamodb
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .projection_expression("seq, messageId, senderId, createdAt, clientMessageId, tally")
                .key_condition_expression(match from {
                    None => "conversationId = :id",
                    Some(_) => "conversationId = :id AND seq >= :seq",
                })
                .set_expression_attribute_values(bounded(draft.conversation(), from))
                .scan_index_forward(false)
                .limit(at_once)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(failed)?;
            for item in answer.items.unwrap_or_default() {
                let trace: Trace = from_item(item)?;
                if draft.became(&trace) || draft.repeats(&trace) {
                    return Ok(Standing::Stored(trace));
                }
                newest.get_or_insert(trace);
            }
            start = answer.last_evaluated_key;
            match from {
                // The newest one is enough where there is nothing to recognise, and the newest few where nothing is
                // known of the client.
                Some(from) if start.is_some() && draft.has_client_message_id() => {
                    if seq(&newest).since(from) > MOST_UNSEEN {
                        return Err(Error::OutOfDate);
                    }
                }
                _ => {
                    let tally = Tally::after(newest.as_ref(), draft, limit)?;
                    return Ok(Standing::New { newest, tally });
                }
            }
        }
    }

    async fn put(&self, message: &Message, tally: Tally) -> Result<Put, Error> {
        let item = serde_dynamo::to_item(Row { message, tally }).map_err(|error| Error::Internal(error.into()))?;
        let answer = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(seq)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Put::Done),
            Err(SdkError::ServiceError(answer)) if answer.err().is_conditional_check_failed_exception() => match answer
                .into_err()
            {
                PutItemError::ConditionalCheckFailedException(taken) => Ok(Put::Taken(taken.item.unwrap_or_default())),
                other => Err(Error::Internal(other.into())),
            },
            Err(error) => Err(failed(error)),
        }
    }

    /// The message of which `trace` was read, whole.
    async fn stored(&self, draft: &Draft, trace: Trace, attempts: u32) -> Result<Appended, Error> {
        let answer = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key(draft.conversation(), trace.seq)))
            .send()
            .await
            .map_err(failed)?;
        let message: Message = from_item(answer.item.unwrap_or_default())?;
        Ok(Appended { duplicate: !draft.became(&trace), message, attempts, moved_from: None })
    }
}

/// The number of the newest message, or [`Seq::NONE`].
fn seq(newest: &Option<Trace>) -> Seq {
    newest.as_ref().map_or(Seq::NONE, |newest| newest.seq)
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
