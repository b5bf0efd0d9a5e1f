//! `State`: a device's view of its conversations, and the drafts that it must send.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::{
    history::{ClientHistory, Source},
    plan::{DevicePlan, Draft},
};

pub(super) struct State {
    /// Open connections by number, each with a flag: whether it has synced. After the sync, every
    /// new message is pushed over the connection.
    pub(super) connections: BTreeMap<u64, bool>,
    /// Number of connections so far.
    opened: u64,
    /// By peer.
    pub(super) conversations: BTreeMap<String, Conversation>,
    pub(super) history: ClientHistory,
}

/// A device's view of one conversation.
#[derive(Default)]
pub(super) struct Conversation {
    /// By sequence number.
    pub(super) messages: BTreeMap<u64, Value>,
    /// The device holds every message up to this sequence number.
    pub(super) high: u64,
    /// The newest sequence number that the device has seen.
    pub(super) newest: u64,
    /// The newest position that the device has got, with the sequence number of its message.
    pub(super) position: Option<(u64, String)>,
    /// The newest sequence number that the module has shown as new.
    pub(super) shown: Option<u64>,
    /// The newest sequence number that the device has marked as read.
    pub(super) read: u64,
    /// Whether the device may have missed a push, and must sync.
    pub(super) stale: bool,
    /// Drafts without an acknowledgement, each with its number of attempts.
    pub(super) outbox: VecDeque<(Draft, u32)>,
}

impl State {
    pub(super) fn new(plan: &DevicePlan) -> Self {
        Self {
            connections: BTreeMap::new(),
            opened: 0,
            conversations: plan.peers.iter().map(|peer| (peer.clone(), Conversation::default())).collect(),
            history: ClientHistory::new(&plan.name, &plan.user),
        }
    }

    /// Adds an open connection and returns its number.
    pub(super) fn open_connection(&mut self, is_synced: bool) -> u64 {
        self.opened += 1;
        self.connections.insert(self.opened, is_synced);
        self.opened
    }

    /// The conversation with `peer`. Creates it if there is none.
    pub(super) fn conversation(&mut self, peer: &str) -> &mut Conversation {
        self.conversations.entry(peer.to_owned()).or_default()
    }

    /// Adds a received message to the history.
    pub(super) fn record(&mut self, peer: &str, message: &Value, source: Source) {
        self.history.seen.push((source, message.clone()));
        match self.conversations.get_mut(peer) {
            Some(conversation) => conversation.newest = conversation.newest.max(seq(message)),
            None => self.history.violations.push(format!("received a message of a foreign conversation: {message}")),
        }
    }

    /// Keeps the position of message `seq`, unless that of a newer one is known.
    pub(super) fn keep_position(&mut self, peer: &str, seq: u64, position: &Value) {
        let Some((conversation, position)) = self.conversations.get_mut(peer).zip(position.as_str()) else { return };
        if conversation.position.as_ref().is_none_or(|(newest, _)| *newest <= seq) {
            conversation.position = Some((seq, position.to_owned()));
        }
    }

    /// Adds a received message to the history and to the view of its conversation.
    pub(super) fn store(&mut self, peer: &str, message: Value, source: Source) {
        self.record(peer, &message, source);
        let Some(conversation) = self.conversations.get_mut(peer) else { return };
        let (seq, user) = (seq(&message), &self.history.user);
        conversation.outbox.retain(|(draft, _)| !is_sent_as(user, draft, &message));
        let held = conversation.messages.entry(seq).or_insert_with(|| message.clone());
        if held["messageId"] != message["messageId"] {
            self.history.violations.push(format!("two messages have the sequence number {seq}: {held} and {message}"));
        }
        while conversation.messages.contains_key(&(conversation.high + 1)) {
            conversation.high += 1;
        }
    }
}

/// Whether `message` is the stored form of this user's draft.
pub(super) fn is_sent_as(user: &str, draft: &Draft, message: &Value) -> bool {
    draft.id.is_some() && message["senderId"] == user && message["clientMessageId"].as_str() == draft.id.as_deref()
}

/// A message's sequence number; 0 if it has none.
pub(super) fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap_or_default()
}

/// A message in one line of the log.
pub(super) fn summary(message: &Value) -> String {
    format!("{} {:.30}", message["seq"], message["content"].to_string())
}
