//! Compares what clients were told with what the table holds.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde_json::Value;

use crate::told::Told;

/// The rows of every conversation of a run, in their order, by the conversation's id.
pub type Stored = BTreeMap<String, Vec<Value>>;

/// Everything that is wrong with a history; nothing, if all is well. Every message was stored at a time in `during`
/// (milliseconds since 1970).
pub fn check(told: &[Told], stored: &Stored, during: &RangeInclusive<u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (conversation, rows) in stored {
        check_rows(conversation, rows, told, during, &mut wrong);
    }
    for device in told {
        let mut complain = |text: String| wrong.push(format!("{}: {text}", device.device));
        device.wrong.iter().cloned().for_each(&mut complain);
        check_acknowledgements(device, told, stored, &mut complain);
        check_seen(device, stored, &mut complain);
        if !device.retired {
            check_views(device, stored, &mut complain);
            check_said(device, stored, &mut complain);
        }
    }
    wrong
}

/// The id of the conversation of two users, by the protocol's words and not by the code under test.
pub fn conversation_id(one: &str, other: &str) -> String {
    let (small, large) = (one.min(other), one.max(other));
    format!("dm:{}:{small}:{large}", small.len())
}

/// Dense from 1, nothing twice, by nobody but who said it, at a time when it was said.
fn check_rows(
    conversation: &str,
    rows: &[Value],
    told: &[Told],
    during: &RangeInclusive<u64>,
    wrong: &mut Vec<String>,
) {
    let mut texts = BTreeMap::new();
    for (row, seq) in rows.iter().zip(1_u64..) {
        if row["seq"].as_u64() != Some(seq) {
            wrong.push(format!("{conversation}: {seq} is missing before {}", row["seq"]));
            break;
        }
    }
    for row in rows {
        let (sender, recipient) = (text(row, "senderId"), text(row, "recipientId"));
        if conversation_id(sender, recipient) != conversation {
            wrong.push(format!("{conversation}: holds a message of others: {row}"));
        }
        if let Some(before) = texts.insert(text(row, "content"), &row["seq"]) {
            wrong.push(format!("{conversation}: {} is stored twice, as {before} and {}", row["content"], row["seq"]));
        }
        let is_said = told.iter().filter(|device| device.user == sender).any(|device| {
            let mut drafts = device.drafts.iter();
            drafts.any(|(peer, draft)| peer == recipient && draft.content == row["content"])
        });
        if !is_said {
            wrong.push(format!("{conversation}: holds what nobody said: {row}"));
        }
        if !row["createdAt"].as_u64().is_some_and(|at| during.contains(&at)) {
            wrong.push(format!("{conversation}: {} was not said at {}", row["seq"], row["createdAt"]));
        }
    }
}

/// What was acknowledged is stored as it was acknowledged, and in one way.
fn check_acknowledgements(device: &Told, told: &[Told], stored: &Stored, complain: &mut impl FnMut(String)) {
    for one in &device.acknowledged {
        let row = find(stored, &device.user, &one.peer, &one.sent["seq"]);
        let same = ["messageId", "createdAt"].iter().all(|field| row.is_some_and(|row| row[field] == one.sent[field]));
        let is_stored = same && row.is_some_and(|row| row["content"] == one.content && row["senderId"] == device.user);
        if !is_stored {
            complain(format!("{:?} was acknowledged as {}, but stored is {row:?}", one.content, one.sent));
        }
        let others = told.iter().filter(|other| other.user == device.user).flat_map(|other| &other.acknowledged);
        for other in others.filter(|other| one.id.is_some() && other.id == one.id && other.peer == one.peer) {
            if ["messageId", "seq", "createdAt"].iter().any(|field| other.sent[field] != one.sent[field]) {
                complain(format!("{:?} was acknowledged as {} and as {}", one.content, one.sent, other.sent));
            }
        }
    }
}

/// What was shown is stored, as it was shown, and this user's.
fn check_seen(device: &Told, stored: &Stored, complain: &mut impl FnMut(String)) {
    const FIELDS: [&str; 6] = ["messageId", "senderId", "recipientId", "content", "createdAt", "clientMessageId"];
    for (how, message) in &device.seen {
        let (sender, recipient) = (text(message, "senderId"), text(message, "recipientId"));
        if device.user != sender && device.user != recipient {
            complain(format!("was shown what is not its own: {message}"));
        }
        let row = find(stored, sender, recipient, &message["seq"]);
        if FIELDS.iter().any(|field| row.is_none_or(|row| row[field] != message[field])) {
            complain(format!("{how:?} was {message}, but stored is {row:?}"));
        }
    }
}

/// What was to be sent until it is acknowledged is stored, and in the order in which it was said where that is promised.
fn check_said(device: &Told, stored: &Stored, complain: &mut impl FnMut(String)) {
    let mut newest = BTreeMap::new();
    for (peer, draft) in device.drafts.iter().filter(|(_, draft)| draft.id.is_some()) {
        let mut rows = stored.get(&conversation_id(&device.user, peer)).into_iter().flatten();
        let Some(row) = rows.find(|row| row["content"] == draft.content) else {
            complain(format!("{:?} was to be sent to {peer}, and is not stored", draft.content));
            continue;
        };
        let seq = row["seq"].as_u64().unwrap_or_default();
        let before = newest.insert(peer, seq).unwrap_or_default();
        if device.in_order && before > seq {
            complain(format!("{:?} is stored as {seq}, and what was said before it as {before}", draft.content));
        }
    }
}

/// What it holds in the end is all that is stored, in that order.
fn check_views(device: &Told, stored: &Stored, complain: &mut impl FnMut(String)) {
    let none = Vec::new();
    for (peer, view) in &device.views {
        let rows = stored.get(&conversation_id(&device.user, peer)).unwrap_or(&none);
        let held: Vec<_> = view.iter().map(|(seq, message)| (*seq, &message["messageId"])).collect();
        let there: Vec<_> =
            rows.iter().map(|row| (row["seq"].as_u64().unwrap_or_default(), &row["messageId"])).collect();
        if held != there {
            let held: Vec<_> = view.keys().collect();
            complain(format!("holds {held:?} of the conversation with {peer}, which has {} messages", rows.len()));
        }
    }
}

fn find<'a>(stored: &'a Stored, one: &str, other: &str, seq: &Value) -> Option<&'a Value> {
    stored.get(&conversation_id(one, other))?.iter().find(|row| row["seq"] == *seq)
}

fn text<'a>(message: &'a Value, field: &str) -> &'a str {
    message[field].as_str().unwrap_or_default()
}
