//! `Fold`: the messages of a conversation, derived from what its entries asked for, without the code under test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{action::Action, group::GROUP};

/// The fields of a message. Absent ones are equal to absent ones only.
pub const MESSAGE: [&str; 15] = [
    "messageId",
    "conversationId",
    "seq",
    "senderId",
    "recipientId",
    "groupId",
    "content",
    "createdAt",
    "clientMessageId",
    "replyTo",
    "mentions",
    "version",
    "editedAt",
    "deleted",
    "reactions",
];
/// The fields of a change.
pub const CHANGE: [&str; 10] = [
    "messageId",
    "conversationId",
    "seq",
    "kind",
    "target",
    "senderId",
    "recipientId",
    "groupId",
    "createdAt",
    "clientMessageId",
];

/// The fields of an entry.
pub fn fields_of(entry: &Value) -> &'static [&'static str] {
    match entry["kind"].as_str() {
        None => &MESSAGE,
        Some("group") => &GROUP,
        Some(_) => &CHANGE,
    }
}

/// Every version of every message of a conversation.
#[derive(Debug, Default)]
pub struct Fold {
    /// By sequence number and version; the version of a message that has not changed is 0.
    versions: BTreeMap<u64, BTreeMap<u64, Value>>,
    /// The reasons why the entries can't have been stored like this.
    pub violations: Vec<String>,
}

impl Fold {
    /// Applies the entries in order. `asked` says what an entry of the table was asked to be; none if no device asked for it.
    pub fn new(rows: &[Value], asked: impl Fn(&Value) -> Option<Action>) -> Self {
        let mut fold = Self::default();
        for row in rows.iter().filter(|row| row["created"] != true) {
            let kind = row["kind"].as_str();
            match asked(row) {
                None => fold.violations.push(format!("holds an entry that its sender did not send: {row}")),
                Some(Action::Group(change)) if kind == Some("group") && change.is_stored_as(row) => {}
                Some(action @ Action::Message { .. }) if kind.is_none() => fold.apply(row, &action),
                Some(action) if kind == Some("change") && action.target().is_some() => fold.apply(row, &action),
                Some(action) => fold.violations.push(format!("holds {row}, which was sent as {action}")),
            }
        }
        fold
    }

    /// A message as of entry `seq`; none if there is no such message.
    pub fn message_at(&self, message: u64, seq: u64) -> Option<&Value> {
        Some(self.versions.get(&message)?.range(..=seq).next_back()?.1)
    }

    /// This version of a message.
    pub fn version(&self, message: u64, version: u64) -> Option<&Value> {
        self.versions.get(&message)?.get(&version)
    }

    /// Every message as it is at the end, by sequence number.
    pub fn messages(&self) -> BTreeMap<u64, &Value> {
        self.versions.iter().filter_map(|(seq, versions)| Some((*seq, versions.last_key_value()?.1))).collect()
    }

    /// Every text that stands in a message at the end.
    pub fn texts(&self) -> BTreeSet<&str> {
        self.messages().into_values().filter_map(|message| message["content"].as_str()).collect()
    }

    fn apply(&mut self, row: &Value, action: &Action) {
        let seq = row["seq"].as_u64().unwrap_or_default();
        let Some(target) = action.target() else {
            let fields = [
                "messageId",
                "conversationId",
                "seq",
                "senderId",
                "recipientId",
                "groupId",
                "createdAt",
                "clientMessageId",
            ];
            let mut message = action.fields();
            for field in fields.into_iter().filter(|field| !row[field].is_null()) {
                message[field] = row[field].clone();
            }
            self.versions.insert(seq, [(0, message)].into());
            return;
        };
        let (at, user) = (&row["createdAt"], &row["senderId"]);
        if row["target"] != target {
            self.violations.push(format!("holds {row}, which was sent as {action}"));
        }
        let Some(message) = self.versions.get(&target).and_then(|versions| versions.last_key_value()) else {
            self.violations.push(format!("seq {seq} changes {target}, which is not a message before it"));
            return;
        };
        let mut message = message.1.clone();
        let is_own = message["senderId"] == *user;
        if !message["deleted"].is_null() || (!is_own && !matches!(action, Action::React { .. })) {
            self.violations
                .push(format!("seq {seq}, a {action} by {user}, is not allowed, because it finds {message}"));
            return;
        }
        message["version"] = json!(seq);
        match action {
            Action::Edit { content, .. } => {
                message["content"] = json!(content);
                message["editedAt"] = at.clone();
            }
            Action::Delete { .. } => {
                message["content"] = json!("");
                message["deleted"] = json!({ "at": at, "by": user });
                remove(&mut message, &["editedAt", "replyTo", "mentions", "reactions"]);
            }
            Action::React { reaction, on, .. } => react(&mut message, reaction, user, *on),
            Action::Message { .. } | Action::Group(_) => {}
        }
        self.versions.entry(target).or_default().insert(seq, message);
    }
}

fn react(message: &mut Value, reaction: &str, user: &Value, on: bool) {
    let mut users = message["reactions"][reaction].as_array().cloned().unwrap_or_default();
    if on && !users.contains(user) {
        users.push(user.clone());
    }
    if !on {
        users.retain(|one| one != user);
    }
    message["reactions"][reaction] = json!(users);
    if users.is_empty()
        && let Some(reactions) = message["reactions"].as_object_mut()
    {
        reactions.remove(reaction);
    }
    if message["reactions"].as_object().is_none_or(|reactions| reactions.is_empty()) {
        remove(message, &["reactions"]);
    }
}

fn remove(message: &mut Value, fields: &[&str]) {
    if let Some(message) = message.as_object_mut() {
        fields.iter().for_each(|field| drop(message.remove(*field)));
    }
}
