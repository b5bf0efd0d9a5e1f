//! `State`: a device's view of its conversations, and what it must send.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::{
    action::Action,
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
    /// Messages and changes by sequence number, also those ahead of a gap.
    pub(super) entries: BTreeMap<u64, Value>,
    /// Changed messages that the device does not hold. The page with such a message may have been read before the change.
    pub(super) aside: BTreeMap<u64, Value>,
    /// The newest version of every message that the device has seen, whether it still holds it or not.
    pub(super) known: BTreeMap<u64, Value>,
    /// The device holds every entry up to this sequence number.
    pub(super) high: u64,
    /// The newest sequence number that the device has seen.
    pub(super) newest: u64,
    /// The newest position that the device has got, with the sequence number of its message.
    pub(super) position: Option<(u64, String)>,
    /// The newest message or group entry that the module has shown as new.
    pub(super) shown: Option<u64>,
    /// The newest version of each message that the module has shown as changed.
    pub(super) shown_versions: BTreeMap<u64, u64>,
    /// The newest sequence number that the device has marked as read.
    pub(super) read: u64,
    /// Whether the device may have missed a push, and must sync.
    pub(super) stale: bool,
    /// What is not acknowledged.
    pub(super) outbox: VecDeque<Queued>,
}

/// A draft in the outbox.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub(super) draft: Draft,
    pub(super) action: Action,
    /// Number of attempts.
    pub(super) attempts: u32,
    /// The newest entry that the device held without a gap before the floor rose above it. An attempt can be stored below the
    /// floor, where the device does not see it, so repeats say the same as before.
    pub(super) end: Option<u64>,
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

    /// Adds a received entry or changed message to the history.
    pub(super) fn record(&mut self, peer: &str, entry: &Value, source: Source) {
        self.history.seen.push((source, entry.clone()));
        let Some(conversation) = self.conversations.get_mut(peer) else {
            self.history.violations.push(format!("received an entry of a foreign conversation: {entry}"));
            return;
        };
        conversation.newest = conversation.newest.max(seq(entry));
        if entry["kind"].is_null() {
            keep_newer(&mut conversation.known, entry);
        }
    }

    /// Keeps the position of message `seq`, unless that of a newer one is known.
    pub(super) fn keep_position(&mut self, peer: &str, seq: u64, position: &Value) {
        let Some((conversation, position)) = self.conversations.get_mut(peer).zip(position.as_str()) else { return };
        if conversation.position.as_ref().is_none_or(|(newest, _)| *newest <= seq) {
            conversation.position = Some((seq, position.to_owned()));
        }
    }

    /// Adds a received entry to the history and to the view of its conversation.
    pub(super) fn store(&mut self, peer: &str, entry: Value, source: Source) {
        self.record(peer, &entry, source);
        let Some(conversation) = self.conversations.get_mut(peer) else { return };
        let (seq, user) = (seq(&entry), &self.history.user);
        conversation.outbox.retain(|queued| !is_sent_as(user, &queued.draft, &entry));
        if let Some(held) = conversation.entries.get(&seq).filter(|held| held["messageId"] != entry["messageId"]) {
            self.history.violations.push(format!("two entries have the sequence number {seq}: {held} and {entry}"));
        }
        keep_newer(&mut conversation.entries, &entry);
        if let Some(changed) = conversation.aside.remove(&seq) {
            keep_newer(&mut conversation.entries, &changed);
        }
        while conversation.entries.contains_key(&(conversation.high + 1)) {
            conversation.high += 1;
        }
    }

    /// Notes that the user may not read the entries of a group before this one.
    pub(super) fn raise_floor(&mut self, peer: &str, floor: u64) {
        let Some(conversation) = self.conversations.get_mut(peer) else { return };
        let below = floor.saturating_sub(1);
        if below > conversation.high {
            for queued in conversation.outbox.iter_mut().filter(|queued| queued.attempts > 0) {
                queued.end.get_or_insert(conversation.high);
            }
        }
        conversation.high = conversation.high.max(below);
        conversation.read = conversation.read.max(below);
    }

    /// Adds a message as it now is to the history, and replaces an older version of it.
    pub(super) fn replace(&mut self, peer: &str, changed: &Value, source: Source) {
        self.record(peer, changed, source);
        let Some(conversation) = self.conversations.get_mut(peer) else { return };
        match conversation.entries.contains_key(&seq(changed)) {
            true => keep_newer(&mut conversation.entries, changed),
            false => keep_newer(&mut conversation.aside, changed),
        }
    }
}

/// Adds an entry, unless the same one is there with an equal or a larger version.
fn keep_newer(entries: &mut BTreeMap<u64, Value>, entry: &Value) {
    let held = entries.entry(seq(entry)).or_insert_with(|| entry.clone());
    if version(held) < version(entry) {
        *held = entry.clone();
    }
}

/// Whether `entry` is the stored form of this user's draft.
pub(super) fn is_sent_as(user: &str, draft: &Draft, entry: &Value) -> bool {
    draft.id.is_some() && entry["senderId"] == user && entry["clientMessageId"].as_str() == draft.id.as_deref()
}

/// Whether an entry is a change, and not a message.
pub(super) fn is_change(entry: &Value) -> bool {
    entry["kind"] == "change"
}

/// Why `changed` is not what must come beside this entry, if it is not: the target of a change as it is since the change.
pub(super) fn mismatch(entry: &Value, changed: &Value) -> Option<String> {
    let fits = match is_change(entry) {
        // A member may not be allowed to read the message.
        true if changed.is_null() && !entry["groupId"].is_null() => true,
        true => changed["seq"] == entry["target"] && version(changed) >= seq(entry),
        false => changed.is_null(),
    };
    (!fits).then(|| format!("beside {entry} came {changed}"))
}

/// The number of a message's newest change; 0 if it has not changed.
pub(super) fn version(message: &Value) -> u64 {
    message["version"].as_u64().unwrap_or_default()
}

/// A message's sequence number; 0 if it has none.
pub(super) fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap_or_default()
}

/// An entry in one line of the log.
pub(super) fn summary(entry: &Value) -> String {
    match (is_change(entry), version(entry)) {
        (true, _) => format!("{}, a change of {}", entry["seq"], entry["target"]),
        (false, 0) => format!("{} {:.30}", entry["seq"], entry["content"].to_string()),
        (false, version) => format!("{} {:.30}, version {version}", entry["seq"], entry["content"].to_string()),
    }
}
