//! `ClientHistory`: the messages that one client sent and received, for the checker.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::plan::Draft;

/// How a client received a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the reply to its own send.
    Acknowledged,
    Pushed,
    /// In a page of the history or the inbox.
    Listed,
    /// From `web/chat-client.js`, which shows it to its user.
    Shown,
}

/// An acknowledged message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    pub peer: String,
    /// The draft's `clientMessageId`.
    pub id: Option<String>,
    /// The draft's content.
    pub content: String,
    /// The `value` of the `sent` frame.
    pub sent: Value,
}

impl Acknowledgement {
    pub fn new(peer: &str, draft: &Draft, sent: &Value) -> Self {
        let (id, content) = (draft.id.clone(), draft.content.clone());
        Self { peer: peer.to_owned(), id, content, sent: sent.clone() }
    }
}

/// Everything that one device sent and received, and its final view of each conversation.
#[derive(Debug, Clone, Default)]
pub struct ClientHistory {
    /// Name in the log.
    pub device: String,
    pub user: String,
    /// Whether the device stopped for good during the run.
    pub retired: bool,
    /// Drafts to send, each with its peer.
    pub drafts: Vec<(String, Draft)>,
    /// Number of send requests.
    pub attempts: usize,
    pub acknowledged: Vec<Acknowledgement>,
    /// Every message that the device received, with its source.
    pub seen: Vec<(Source, Value)>,
    /// Messages that the device holds at the end, by peer and sequence number.
    pub views: BTreeMap<String, BTreeMap<u64, Value>>,
    /// Whether the device promises that the drafts of a conversation are stored in order.
    pub in_order: bool,
    /// Violations that the device found itself.
    pub violations: Vec<String>,
}

impl ClientHistory {
    pub fn new(device: &str, user: &str) -> Self {
        Self { device: device.to_owned(), user: user.to_owned(), ..Self::default() }
    }

    /// The other user of a message's conversation.
    pub fn peer_of(&self, message: &Value) -> String {
        let other = if message["senderId"] == self.user.as_str() { "recipientId" } else { "senderId" };
        message[other].as_str().unwrap_or_default().to_owned()
    }
}
