//! `ClientHistory`: what one client sent and received, for the checker.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::action::Action;

/// How a client received a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the reply to its own send.
    Acknowledged,
    Pushed,
    /// Beside a pushed change: the changed message.
    Beside,
    /// In a page of the history or the inbox.
    Listed,
    /// From `web/chat-client.js`, which shows it to its user.
    Shown,
}

/// What a device was told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub peer: String,
    /// The draft's id. Devices of a user that have the same draft do the same.
    pub id: Option<String>,
    pub action: Action,
}

/// An acknowledged entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    pub peer: String,
    /// The `clientMessageId`.
    pub id: Option<String>,
    /// The content, if it is a message.
    pub content: Option<String>,
    /// The `value` of the `sent` frame; from `web/chat-client.js`, what it says about the entry.
    pub sent: Value,
}

/// Everything that one device sent and received, and its final view of each conversation.
#[derive(Debug, Clone, Default)]
pub struct ClientHistory {
    /// Name in the log.
    pub device: String,
    pub user: String,
    /// Whether the device stopped for good during the run.
    pub retired: bool,
    /// What the device was told to do, in order.
    pub requests: Vec<Request>,
    /// What each `clientMessageId` in a frame asked for, with its peer.
    pub asked: BTreeMap<String, (String, Action)>,
    /// The changes that the service refused because of the state of the message, by `clientMessageId`.
    pub refused: BTreeMap<String, (String, Action)>,
    /// The groups that the user could not read, because they were never a member.
    pub denied: Vec<String>,
    /// The entries of groups that the user could not mark as read.
    pub not_marked: Vec<(String, u64)>,
    /// Number of send requests.
    pub attempts: usize,
    pub acknowledged: Vec<Acknowledgement>,
    /// Every entry and every changed message that the device received, with its source.
    pub seen: Vec<(Source, Value)>,
    /// What the device holds at the end, by peer and sequence number.
    pub views: BTreeMap<String, BTreeMap<u64, Value>>,
    /// Whether the views contain the entries that announce a change of a message.
    pub holds_changes: bool,
    /// What the device shows of each group at the end, by peer: its name, its settings and its members. Only from
    /// `web/chat-client.js`.
    pub groups: BTreeMap<String, Value>,
    /// Pairs of entries that the device showed one after the other, by peer. There must be no entry between that it shows.
    pub shown: Vec<(String, u64, u64)>,
    /// The newest entry up to which the service confirmed that the user has read, by peer.
    pub read: BTreeMap<String, u64>,
    /// Whether the device promises that what it does in a conversation is stored in order.
    pub in_order: bool,
    /// Whether a reload can lose that something was refused, because the storage fails. The device then tries it again.
    pub loses_refusals: bool,
    /// Violations that the device found itself.
    pub violations: Vec<String>,
}

impl ClientHistory {
    pub fn new(device: &str, user: &str) -> Self {
        Self { device: device.to_owned(), user: user.to_owned(), ..Self::default() }
    }

    /// Notes what a frame asks for.
    pub fn ask(&mut self, id: &str, peer: &str, action: &Action) {
        let asked = (peer.to_owned(), action.clone());
        let first = self.asked.entry(id.to_owned()).or_insert_with(|| asked.clone());
        if *first != asked {
            self.violations.push(format!("asked for {} and for {action} with the id {id:?}", first.1));
        }
    }

    /// Whether the views contain this entry of a conversation, if the user may read it.
    pub fn holds(&self, entry: &Value) -> bool {
        self.holds_changes || entry["kind"] != "change"
    }

    /// The other user of a message's conversation, or the group.
    pub fn peer_of(&self, message: &Value) -> String {
        if !message["groupId"].is_null() {
            return message["conversationId"].as_str().unwrap_or_default().to_owned();
        }
        let other = if message["senderId"] == self.user.as_str() { "recipientId" } else { "senderId" };
        message[other].as_str().unwrap_or_default().to_owned()
    }
}
