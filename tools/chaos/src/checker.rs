//! Checker: compares the messages that clients received with the rows of the table.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde_json::Value;

use crate::history::ClientHistory;

/// Rows of the messages table by conversation id, sorted by `seq`.
pub type Stored = BTreeMap<String, Vec<Value>>;

/// Finds all violations. `during` is the time of the run in milliseconds since the Unix epoch;
/// every message must have been stored in it.
pub fn check(histories: &[ClientHistory], stored: &Stored, during: &RangeInclusive<u64>) -> Vec<String> {
    let mut violations = Vec::new();
    for (conversation, rows) in stored {
        check_rows(conversation, rows, histories, during, &mut violations);
    }
    for history in histories {
        let mut report = |text: String| violations.push(format!("{}: {text}", history.device));
        history.violations.iter().cloned().for_each(&mut report);
        check_acknowledgements(history, histories, stored, &mut report);
        check_seen(history, stored, &mut report);
        if !history.retired {
            check_views(history, stored, &mut report);
            check_drafts(history, stored, &mut report);
        }
    }
    violations
}

/// Conversation id of two users, computed from the protocol's definition without the code under
/// test.
pub fn conversation_id(one: &str, other: &str) -> String {
    let (small, large) = (one.min(other), one.max(other));
    format!("dm:{}:{small}:{large}", small.len())
}

/// Checks that the rows have no gap and no duplicate, and that each message was sent by its sender
/// during the run.
fn check_rows(
    conversation: &str,
    rows: &[Value],
    histories: &[ClientHistory],
    during: &RangeInclusive<u64>,
    violations: &mut Vec<String>,
) {
    let mut texts = BTreeMap::new();
    for (row, seq) in rows.iter().zip(1_u64..) {
        if row["seq"].as_u64() != Some(seq) {
            violations.push(format!("{conversation}: seq {seq} is missing before {}", row["seq"]));
            break;
        }
    }
    for row in rows {
        let (sender, recipient) = (text(row, "senderId"), text(row, "recipientId"));
        if conversation_id(sender, recipient) != conversation {
            violations.push(format!("{conversation}: holds a message of another conversation: {row}"));
        }
        if let Some(before) = texts.insert(text(row, "content"), &row["seq"]) {
            violations.push(format!(
                "{conversation}: {} is stored twice, as seq {before} and {}",
                row["content"], row["seq"]
            ));
        }
        let was_sent = histories.iter().filter(|history| history.user == sender).any(|history| {
            let mut drafts = history.drafts.iter();
            drafts.any(|(peer, draft)| peer == recipient && draft.content == row["content"])
        });
        if !was_sent {
            violations.push(format!("{conversation}: holds a message that its sender did not send: {row}"));
        }
        if !row["createdAt"].as_u64().is_some_and(|at| during.contains(&at)) {
            violations.push(format!(
                "{conversation}: seq {} has createdAt {}, outside the run",
                row["seq"], row["createdAt"]
            ));
        }
    }
}

/// Checks that every acknowledged message is stored as acknowledged, and that all acknowledgements
/// of a message agree.
fn check_acknowledgements(
    device: &ClientHistory,
    histories: &[ClientHistory],
    stored: &Stored,
    report: &mut impl FnMut(String),
) {
    for one in &device.acknowledged {
        let row = find(stored, &device.user, &one.peer, &one.sent["seq"]);
        let same = ["messageId", "createdAt"].iter().all(|field| row.is_some_and(|row| row[field] == one.sent[field]));
        let is_stored = same && row.is_some_and(|row| row["content"] == one.content && row["senderId"] == device.user);
        if !is_stored {
            report(format!("{:?} was acknowledged as {}, but the table holds {row:?}", one.content, one.sent));
        }
        let others = histories.iter().filter(|other| other.user == device.user).flat_map(|other| &other.acknowledged);
        for other in others.filter(|other| one.id.is_some() && other.id == one.id && other.peer == one.peer) {
            if ["messageId", "seq", "createdAt"].iter().any(|field| other.sent[field] != one.sent[field]) {
                report(format!("{:?} was acknowledged as {} and as {}", one.content, one.sent, other.sent));
            }
        }
    }
}

/// Checks that every message that a device received is stored as received, and that the device's
/// user is a member of its conversation.
fn check_seen(device: &ClientHistory, stored: &Stored, report: &mut impl FnMut(String)) {
    const FIELDS: [&str; 6] = ["messageId", "senderId", "recipientId", "content", "createdAt", "clientMessageId"];
    for (source, message) in &device.seen {
        let (sender, recipient) = (text(message, "senderId"), text(message, "recipientId"));
        if device.user != sender && device.user != recipient {
            report(format!("received a message of other users: {message}"));
        }
        let row = find(stored, sender, recipient, &message["seq"]);
        if FIELDS.iter().any(|field| row.is_none_or(|row| row[field] != message[field])) {
            report(format!("{source:?} was {message}, but the table holds {row:?}"));
        }
    }
}

/// Checks that every draft with an id is stored, and that drafts are stored in order if the device
/// promises it.
fn check_drafts(device: &ClientHistory, stored: &Stored, report: &mut impl FnMut(String)) {
    let mut newest = BTreeMap::new();
    for (peer, draft) in device.drafts.iter().filter(|(_, draft)| draft.id.is_some()) {
        let mut rows = stored.get(&conversation_id(&device.user, peer)).into_iter().flatten();
        let Some(row) = rows.find(|row| row["content"] == draft.content) else {
            report(format!("{:?} was sent to {peer} until it was acknowledged, but is not stored", draft.content));
            continue;
        };
        let seq = row["seq"].as_u64().unwrap_or_default();
        let previous = newest.insert(peer, seq).unwrap_or_default();
        if device.in_order && previous > seq {
            report(format!("{:?} is stored as seq {seq}, and the draft before it as seq {previous}", draft.content));
        }
    }
}

/// Checks that a device's views hold exactly the stored messages.
fn check_views(device: &ClientHistory, stored: &Stored, report: &mut impl FnMut(String)) {
    let none = Vec::new();
    for (peer, view) in &device.views {
        let rows = stored.get(&conversation_id(&device.user, peer)).unwrap_or(&none);
        let held: Vec<_> = view.iter().map(|(seq, message)| (*seq, &message["messageId"])).collect();
        let expected: Vec<_> =
            rows.iter().map(|row| (row["seq"].as_u64().unwrap_or_default(), &row["messageId"])).collect();
        if held != expected {
            let held: Vec<_> = view.keys().collect();
            report(format!(
                "holds the messages {held:?} of the conversation with {peer}, but the table holds {}",
                rows.len()
            ));
        }
    }
}

fn find<'a>(stored: &'a Stored, one: &str, other: &str, seq: &Value) -> Option<&'a Value> {
    stored.get(&conversation_id(one, other))?.iter().find(|row| row["seq"] == *seq)
}

fn text<'a>(message: &'a Value, field: &str) -> &'a str {
    message[field].as_str().unwrap_or_default()
}
