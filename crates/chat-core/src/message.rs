//! What one user says to another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    conversation::{ConversationId, Seq},
    error::Error,
    frames::json_length,
    tally::Tally,
    user::UserId,
};

/// The largest message as JSON, in bytes; with the rest of a page it fits one 32 KB WebSocket frame.
pub const MAX_MESSAGE_BYTES: usize = 24_000;

/// A message as it is stored, pushed and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Made by the server, once for each attempt to store.
    pub message_id: Uuid,
    /// Where it belongs.
    pub conversation_id: ConversationId,
    /// Its place there.
    pub seq: Seq,
    /// Who wrote it: the caller that the authorizer proved.
    pub sender_id: UserId,
    /// For whom.
    pub recipient_id: UserId,
    /// The text as it came.
    pub content: Content,
    /// When API Gateway received it, in milliseconds since 1970.
    pub created_at: i64,
    /// The sender's own name for it, by which a repeat is recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<ClientMessageId>,
}

/// A message that has no place yet.
#[derive(Debug, Clone)]
pub struct Draft(Message);

impl Draft {
    /// Writes a message from `sender` to `recipient`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the message would have more than [`MAX_MESSAGE_BYTES`] as JSON: text within the limit
    /// of [`Content`] can grow past it by escapes (`\u0001` is six bytes).
    pub fn new(
        sender: UserId,
        recipient: UserId,
        content: Content,
        created_at: i64,
        client_message_id: Option<ClientMessageId>,
    ) -> Result<Self, Error> {
        let draft = Message {
            message_id: Uuid::new_v4(),
            conversation_id: ConversationId::between(&sender, &recipient),
            // The widest number, so that a repeat is judged like the first attempt.
            seq: Seq::MAX,
            sender_id: sender,
            recipient_id: recipient,
            content,
            created_at,
            client_message_id,
        };
        match json_length(&draft) {
            0..=MAX_MESSAGE_BYTES => Ok(Self(draft)),
            _ => Err(Error::TooLarge("the message has more than 24,000 bytes as JSON; send it in parts")),
        }
    }

    /// Where it will go.
    pub fn conversation(&self) -> &ConversationId {
        &self.0.conversation_id
    }

    /// Who writes it.
    pub fn sender(&self) -> &UserId {
        &self.0.sender_id
    }

    /// For whom.
    pub fn recipient(&self) -> &UserId {
        &self.0.recipient_id
    }

    /// When API Gateway received it, in milliseconds since 1970.
    pub fn created_at(&self) -> i64 {
        self.0.created_at
    }

    /// The message in this place.
    pub fn at(&self, seq: Seq) -> Message {
        Message { seq, ..self.0.clone() }
    }

    /// Whether `stored` is what this very draft became.
    pub fn became(&self, stored: &Trace) -> bool {
        stored.message_id == self.0.message_id
    }

    /// Whether `stored` is what an earlier attempt of the same client to send this became.
    pub fn repeats(&self, stored: &Trace) -> bool {
        self.0.client_message_id.is_some()
            && stored.client_message_id == self.0.client_message_id
            && stored.sender_id == self.0.sender_id
    }

    /// Whether a repeat of it can be recognised at all.
    pub fn has_client_message_id(&self) -> bool {
        self.0.client_message_id.is_some()
    }
}

/// What recognises a stored message, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// As in [`Message`].
    pub message_id: Uuid,
    /// As in [`Message`].
    pub seq: Seq,
    /// As in [`Message`].
    pub sender_id: UserId,
    /// As in [`Message`].
    pub created_at: i64,
    /// As in [`Message`].
    pub client_message_id: Option<ClientMessageId>,
    /// What the conversation had come to with it.
    #[serde(default)]
    pub tally: Tally,
}

/// A message's text: 1 byte to 16 KiB of UTF-8, and not only white space. It is stored and sent on as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content(String);

impl Content {
    /// The longest text, in bytes.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Takes a client's text.
    ///
    /// # Errors
    /// [`Error::TooLarge`] past [`Content::MAX_BYTES`], [`Error::BadRequest`] where there is nothing to read.
    pub fn new(text: String) -> Result<Self, Error> {
        if text.len() > Self::MAX_BYTES {
            Err(Error::TooLarge("content has more than 16,384 bytes; send it in parts"))
        } else if text.trim().is_empty() {
            Err(Error::bad_request("content is empty; write something in it"))
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A client's own name for a message: 1 to 64 bytes, the same in every repeat and different for every message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientMessageId(String);

impl TryFrom<String> for ClientMessageId {
    type Error = InvalidClientMessageId;

    fn try_from(id: String) -> Result<Self, InvalidClientMessageId> {
        match id.len() {
            1..=64 => Ok(Self(id)),
            _ => Err(InvalidClientMessageId),
        }
    }
}

/// Empty, or too long.
#[derive(Debug, thiserror::Error)]
#[error("a clientMessageId has 1 to 64 bytes")]
pub struct InvalidClientMessageId;
