//! Typed frames from the server. `docs/asyncapi.yaml` defines the field names and units.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// A stored message, as in `message` pushes and `getMessages` pages.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub conversation_id: String,
    pub seq: u64,
    pub message_id: String,
    pub sender_id: String,
    pub recipient_id: String,
    pub content: String,
    pub created_at: u64,
    pub client_message_id: Option<String>,
    /// Fields that this client does not know. They are kept so that `==` compares every field.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Reply to `sendMessage`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    pub conversation_id: String,
    pub seq: u64,
    pub message_id: String,
    pub created_at: u64,
    pub client_message_id: Option<String>,
    pub duplicate: bool,
    pub position: Option<String>,
}

impl Sent {
    /// Message id, sequence number and creation time. They must be the same for every reply to a
    /// repeated send.
    pub fn identity(&self) -> (&str, u64, u64) {
        (&self.message_id, self.seq, self.created_at)
    }
}

/// Reply to `getMessages`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessagesPage {
    pub conversation_id: String,
    pub messages: Vec<Message>,
    /// The `startKey` of the next page; none on the last one.
    pub last_evaluated_key: Option<Value>,
}

/// Reply to `getConversations`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationsPage {
    pub conversations: Vec<InboxEntry>,
    /// The `startKey` of the next page; none on the last one.
    pub last_evaluated_key: Option<Value>,
}

/// One conversation in a user's inbox.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxEntry {
    pub conversation_id: String,
    pub peer_id: String,
    pub last_message: Message,
    pub read_seq: u64,
    pub peer_read_seq: Option<u64>,
    pub unread: u64,
}

/// Reply to `markRead`, also pushed to the peer and to the caller's other connections.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadReceipt {
    pub conversation_id: String,
    pub user_id: String,
    pub peer_id: String,
    pub seq: u64,
}

/// An `error` frame, or an error from API Gateway itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorFrame {
    /// Empty in API Gateway's own errors, such as `Internal server error`.
    #[serde(default)]
    pub code: String,
    pub message: String,
    /// Milliseconds to wait before a retry. Present only with `rate_limited`.
    pub retry_after: Option<u64>,
}

/// The `value` of a reply of this type. An error frame becomes `Err`.
///
/// # Panics
/// If the frame has another type, or lacks a field.
pub(crate) fn reply<T: DeserializeOwned>(frame: Value, kind: &str) -> Result<T, ErrorFrame> {
    let is_gateway_error = frame["type"].is_null() && frame["message"].is_string();
    if frame["type"] == "error" || is_gateway_error { Err(parse(frame)) } else { Ok(value(frame, kind)) }
}

/// The `value` of a frame of this type.
///
/// # Panics
/// If the frame has another type, or lacks a field.
pub(crate) fn value<T: DeserializeOwned>(mut frame: Value, kind: &str) -> T {
    assert_eq!(frame["type"], kind, "expected a frame of type {kind}, got {frame}");
    parse(frame["value"].take())
}

/// # Panics
/// If the JSON lacks a field, or a field has another type.
pub(crate) fn parse<T: DeserializeOwned>(value: Value) -> T {
    let text = value.to_string();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error} in {text}"))
}
