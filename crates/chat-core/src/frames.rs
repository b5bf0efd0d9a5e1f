//! The frames of the protocol, version 1: what a client sends and what it gets.

use std::{fmt, io};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Unexpected, Visitor},
};
use uuid::Uuid;

use crate::{
    conversation::{ConversationId, Seq},
    error::Error,
    message::{ClientMessageId, Message},
    tally::Hour,
    user::UserId,
};

/// The most that what a page lists may have as JSON, in bytes, so that with the frame around it (two ids of at most 530
/// bytes each, and a `ref`) it stays under 30,000: one WebSocket frame, and one billing unit of 32 KB.
pub const PAGE_BYTES: usize = 28_000;

/// `sendMessage`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct SendMessage {
    /// For whom.
    pub recipient_id: UserId,
    /// The text, not yet checked: [`crate::message::Content::new`].
    pub content: String,
    /// By which a repeat is recognised.
    pub client_message_id: Option<ClientMessageId>,
    /// The newest message of this conversation that the client holds; 0 for none.
    pub last_seq: Option<Seq>,
}

/// `getMessages`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct GetMessages {
    /// The other one.
    pub target_id: UserId,
    /// How many messages at the most.
    pub limit: Option<Limit>,
    /// Where the page before ended.
    pub start_key: Option<Cursor>,
    /// The newest message that the client holds; 0 for none.
    pub after: Option<Seq>,
}

/// `getConversations`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct GetConversations {
    /// How many conversations at the most.
    pub limit: Option<Limit>,
    /// Where the page before ended.
    pub start_key: Option<Place>,
}

/// `markRead`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct MarkRead {
    /// The other one.
    pub target_id: UserId,
    /// The newest message that the user has read.
    pub seq: Seq,
}

/// How much a page may hold: 1 to 100, 50 unless said otherwise. More than 100 is taken as 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u8);

impl Limit {
    const MAX: u8 = 100;

    /// The number.
    pub fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;

        impl Visitor<'_> for LimitVisitor {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 1 to 100")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Limit, E> {
                match u8::try_from(number).unwrap_or(Limit::MAX).min(Limit::MAX) {
                    0 => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                    limit => Ok(Limit(limit)),
                }
            }
        }

        deserializer.deserialize_u64(LimitVisitor)
    }
}

/// The end of a page, which the next one goes on from. Clients hand it back unread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the lastEvaluatedKey of a page, as it came")]
pub struct Cursor {
    /// Whose page it was; a cursor serves no other conversation.
    pub conversation_id: ConversationId,
    /// The last message of that page.
    pub seq: Seq,
    /// Whether the page was read towards newer messages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newer: bool,
}

/// Where a conversation stands in an inbox, and where the next page of one goes on. Clients hand it back unread. It names
/// no user: it is a place in the caller's own inbox, whoever it was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the lastEvaluatedKey of a page, as it came")]
pub struct Place {
    /// As in [`crate::tally::Tally`].
    pub listed: Hour,
    /// The other one.
    pub peer_id: UserId,
}

/// What a route answers its caller.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// Nothing to say: the answer of a route whose answer no one sees.
    Nothing,
    /// `$connect` is granted, in this subprotocol where the client offered it.
    Connected(Option<&'static str>),
    /// `pong`
    Pong,
    /// `sent`
    Sent(Sent),
    /// `messages`
    Messages(Page),
    /// `conversations`
    Conversations(Inbox),
    /// `read`
    Read(Receipt),
}

/// `sent`: the message is stored.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// As in [`Message`].
    pub message_id: Uuid,
    /// As in [`Message`].
    pub conversation_id: ConversationId,
    /// As in [`Message`].
    pub seq: Seq,
    /// As in [`Message`].
    pub created_at: i64,
    /// As in [`Message`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<ClientMessageId>,
    /// Whether an earlier attempt had stored it.
    pub duplicate: bool,
}

impl Sent {
    /// Tells the sender where the message is stored.
    pub fn new(message: Message, duplicate: bool) -> Self {
        let Message { message_id, conversation_id, seq, created_at, client_message_id, .. } = message;
        Self { message_id, conversation_id, seq, created_at, client_message_id, duplicate }
    }
}

/// `messages`: one page of a conversation.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// Which one.
    pub conversation_id: ConversationId,
    /// Newest first, or oldest first where the client asked for what comes after a message.
    pub messages: Vec<Message>,
    /// There exactly when more follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluated_key: Option<Cursor>,
}

/// `conversations`: one page of an inbox.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inbox {
    /// By their newest messages, newest first.
    pub conversations: Vec<Summary>,
    /// There exactly when more follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluated_key: Option<Place>,
}

/// A conversation as one of the two sees it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Which one.
    pub conversation_id: ConversationId,
    /// The other one.
    pub peer_id: UserId,
    /// The newest one.
    pub last_message: Message,
    /// Up to where the caller has read: what they marked, or wrote themself.
    pub read_seq: Seq,
    /// Up to where the other one has.
    pub peer_read_seq: Seq,
    /// How many messages of the other one the caller has not read.
    pub unread: u64,
}

/// `read`: a user has read a conversation up to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Which one.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
    /// Up to where.
    pub seq: Seq,
}

/// A caller's own name for a request, at most 64 bytes, that comes back with the reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Ref(String);

impl TryFrom<String> for Ref {
    type Error = RefTooLong;

    fn try_from(name: String) -> Result<Self, RefTooLong> {
        if name.len() <= 64 { Ok(Self(name)) } else { Err(RefTooLong) }
    }
}

/// Longer than 64 bytes.
#[derive(Debug, thiserror::Error)]
#[error("a ref has at most 64 bytes")]
pub struct RefTooLong;

/// What stands in every frame of a client, whatever its action.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a JSON object")]
pub struct Envelope {
    /// Comes back with the reply.
    #[serde(rename = "ref")]
    pub reference: Option<Ref>,
}

/// Reads a client's frame.
///
/// # Errors
/// [`Error::BadRequest`], naming the field and what is wrong with it.
pub fn parse<'de, T: Deserialize<'de>>(frame: &'de str) -> Result<T, Error> {
    // A derived struct would also take an array of its fields.
    if !frame.trim_start().starts_with('{') {
        return Err(Error::bad_request("a frame is one JSON object, such as {\"action\":\"ping\"}"));
    }
    let mut json = serde_json::Deserializer::from_str(frame);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let cause = error.inner().to_string();
        let named = !matches!(error.path().iter().next(), None | Some(serde_path_to_error::Segment::Unknown));
        Error::bad_request(if named { format!("{}: {cause}", error.path()) } else { cause })
    })?;
    json.end().map_err(|error| Error::bad_request(error.to_string()))?;
    Ok(parsed)
}

/// The frame that answers a caller; none where there is nothing to say.
pub fn answer(reply: &Result<Reply, Error>, reference: Option<&Ref>) -> Option<String> {
    #[derive(Serialize)]
    struct Frame<'a, V> {
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<V>,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a Ref>,
    }

    Some(match reply {
        Ok(Reply::Nothing | Reply::Connected(_)) => return None,
        Ok(Reply::Pong) => json(&Frame::<()> { r#type: "pong", value: None, reference }),
        Ok(Reply::Sent(sent)) => json(&Frame { r#type: "sent", value: Some(sent), reference }),
        Ok(Reply::Messages(page)) => json(&Frame { r#type: "messages", value: Some(page), reference }),
        Ok(Reply::Conversations(inbox)) => json(&Frame { r#type: "conversations", value: Some(inbox), reference }),
        Ok(Reply::Read(receipt)) => json(&Frame { r#type: "read", value: Some(receipt), reference }),
        Err(failure) => error(failure, reference),
    })
}

/// The frame that tells of an error.
pub fn error(error: &Error, reference: Option<&Ref>) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        code: &'static str,
        message: &'a str,
        #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
        retry_after: Option<i64>,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a Ref>,
    }

    let (code, message, retry_after) = (error.code(), &*error.message(), error.retry_after());
    json(&Frame { r#type: "error", code, message, retry_after, reference })
}

/// The frame that brings a message to a connection that did not ask.
pub fn push(message: &Message) -> String {
    unasked("message", message)
}

/// The frame that brings a receipt to a connection that did not ask.
pub fn push_receipt(receipt: &Receipt) -> String {
    unasked("read", receipt)
}

fn unasked(r#type: &'static str, value: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Push<'a, V> {
        r#type: &'static str,
        value: &'a V,
    }

    json(&Push { r#type, value })
}

fn json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("a frame holds strings and numbers, which are always JSON")
}

/// How many bytes a value has as JSON.
pub fn json_length(value: &impl Serialize) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("a value of the protocol is always JSON, and counting can't fail");
    count.0
}
