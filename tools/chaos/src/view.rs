//! What a device knows, and what it makes of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    link::Link,
    plan::Draft,
    told::{How, Told},
};

/// All that a device knows.
pub(crate) struct State {
    pub(crate) link: Option<Arc<Link>>,
    /// The connections of its page, by their numbers, and whether the inbox was read on each: from then on all that is
    /// new is pushed to it.
    pub(crate) lines: BTreeMap<u64, bool>,
    /// How many there have been.
    pub(crate) line: u64,
    pub(crate) chats: BTreeMap<String, Chat>,
    pub(crate) told: Told,
}

/// A conversation, as the device has it.
#[derive(Default)]
pub(crate) struct Chat {
    pub(crate) messages: BTreeMap<u64, Value>,
    /// None is missing up to here.
    pub(crate) high: u64,
    /// The newest that there is, as far as it knows.
    pub(crate) newest: u64,
    /// The newest that its page has shown as new.
    pub(crate) shown: Option<u64>,
    /// Whether something may have come that nobody told.
    pub(crate) stale: bool,
    /// What is to be sent, and how often that was tried.
    pub(crate) outbox: VecDeque<(Draft, u32)>,
}

/// What a conversation needs next.
pub(crate) enum Need {
    Sync { after: u64, newest: u64 },
    Send { draft: Draft, attempt: u32, last_seq: u64 },
    Nothing,
}

impl State {
    pub(crate) fn chat(&mut self, peer: &str) -> &mut Chat {
        self.chats.entry(peer.to_owned()).or_default()
    }

    /// Takes a message in, once.
    pub(crate) fn keep(&mut self, peer: &str, message: Value, how: How) {
        self.told.seen.push((how, message.clone()));
        let Some(chat) = self.chats.get_mut(peer) else {
            self.told.wrong.push(format!("it was shown a message of a conversation that it is not in: {message}"));
            return;
        };
        let seq = message["seq"].as_u64().unwrap_or_default();
        let user = &self.told.user;
        chat.outbox.retain(|(draft, _)| !is(user, draft, &message));
        chat.newest = chat.newest.max(seq);
        let held = chat.messages.entry(seq).or_insert_with(|| message.clone());
        if held["messageId"] != message["messageId"] {
            self.told.wrong.push(format!("two messages have the number {seq}: {held} and {message}"));
        }
        while chat.messages.contains_key(&(chat.high + 1)) {
            chat.high += 1;
        }
    }
}

/// Whether a stored message is what this draft of this user became.
pub(crate) fn is(user: &str, draft: &Draft, message: &Value) -> bool {
    draft.id.is_some() && message["senderId"] == user && message["clientMessageId"].as_str() == draft.id.as_deref()
}

pub(crate) fn short(message: &Value) -> String {
    format!("{} {:.30}", message["seq"], message["content"].to_string())
}
