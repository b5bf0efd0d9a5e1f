//! Checker: compares what clients sent and received with the rows of the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use serde_json::Value;

use crate::{
    action::Action,
    fold::{CHANGE, Fold, MESSAGE, fields_of},
    group::{GROUP, GroupFold, is_group},
    group_checker::{check_denials, check_group, check_group_views},
    history::{ClientHistory, Request, Source},
};

/// Rows of the messages table by conversation id, sorted by `seq`.
pub type Stored = BTreeMap<String, Vec<Value>>;
/// The members of each group, as they follow from its entries.
pub type Groups = BTreeMap<String, GroupFold>;
/// The messages of each conversation, as they follow from its entries.
type Folds = BTreeMap<String, Fold>;

/// Finds all violations. `during` is the time of the run in milliseconds since the Unix epoch;
/// every entry must have been stored in it.
pub fn check(histories: &[ClientHistory], stored: &Stored, during: &RangeInclusive<u64>) -> Vec<String> {
    let mut violations = Vec::new();
    let (folds, groups) = (folds(histories, stored), groups(stored));
    let none = Fold::default();
    for (conversation, rows) in stored {
        let mut report = |text: String| violations.push(format!("{conversation}: {text}"));
        let fold = folds.get(conversation).unwrap_or(&none);
        check_rows(conversation, rows, during, &mut report);
        check_messages(rows, fold, &mut report);
        check_requests(conversation, rows, histories, &mut report);
        if let Some(group) = groups.get(conversation) {
            check_group(rows, group, histories, &mut report);
        }
        check_refusals(conversation, rows, fold, groups.get(conversation), histories, &mut report);
    }
    let gone = gone_texts(histories, &folds);
    for rows in stored.values() {
        violations.extend(traces(&gone, rows.iter()).map(|trace| format!("the table holds {trace}")));
    }
    for history in histories {
        let mut report = |text: String| violations.push(format!("{}: {text}", history.device));
        history.violations.iter().cloned().for_each(&mut report);
        check_acknowledgements(history, histories, stored, &mut report);
        check_seen(history, stored, &folds, &groups, &mut report);
        check_denials(history, &groups, &mut report);
        check_shown(history, stored, &groups, &mut report);
        if !history.retired {
            check_views(history, stored, &groups, &mut report);
            check_group_views(history, &groups, &mut report);
            check_order(history, histories, stored, &mut report);
            // A device is not told of changes of what its user may not read any more.
            let is_told = |peer: &String, seq: &u64| {
                groups
                    .get(peer)
                    .is_none_or(|group| group.is_present(&history.user) && group.shows_now(&history.user, *seq))
            };
            let held = history.views.iter().flat_map(|(peer, view)| {
                view.iter().filter(move |(seq, _)| is_told(peer, seq)).map(|(_, entry)| entry)
            });
            traces(&gone, held).map(|trace| format!("holds {trace}")).for_each(&mut report);
        }
    }
    violations
}

/// The messages of each conversation, derived from its entries and from what the devices asked for.
pub fn folds(histories: &[ClientHistory], stored: &Stored) -> Folds {
    let fold = |rows: &Vec<Value>| Fold::new(rows, |row| asked(histories, row));
    stored.iter().map(|(conversation, rows)| (conversation.clone(), fold(rows))).collect()
}

/// The members of each group, derived from its entries.
pub fn groups(stored: &Stored) -> Groups {
    let groups = stored.iter().filter(|(conversation, _)| is_group(conversation));
    groups.map(|(conversation, rows)| (conversation.clone(), GroupFold::new(rows))).collect()
}

/// The texts that devices have sent and that no message holds at the end: they were replaced or deleted, or never stored.
/// They must stand nowhere.
pub fn gone_texts(histories: &[ClientHistory], folds: &Folds) -> BTreeSet<String> {
    let requests = histories.iter().flat_map(|history| &history.requests);
    let mut texts: BTreeSet<_> = requests.filter_map(|request| request.action.text().map(str::to_owned)).collect();
    for text in folds.values().flat_map(Fold::texts) {
        texts.remove(text);
    }
    texts
}

/// Checks a user's row of the inbox: its newest entry, its newest message, and its count of unread messages.
pub fn check_inbox(user: &str, peer: &str, row: Option<&Value>, rows: &[Value]) -> Vec<String> {
    let messages: Vec<_> = rows.iter().filter(|entry| entry["kind"].is_null()).collect();
    let (Some(newest), Some(row)) = (messages.last(), row) else {
        let is_consistent = rows.is_empty() && row.is_none();
        return if is_consistent { Vec::new() } else { vec![format!("the inbox of {user} has {row:?} for {peer}")] };
    };
    let read = row["readSeq"].as_u64().unwrap_or_default();
    let own = rows.iter().filter(|entry| entry["senderId"] == user).filter_map(|entry| entry["seq"].as_u64()).max();
    let unread = messages.iter().filter(|message| message["senderId"] == peer && message["seq"].as_u64() > Some(read));
    let unread = if user == peer { 0 } else { unread.count() };
    let mut violations = Vec::new();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            violations.push(format!("the inbox of {user} shows {row} for {peer}: {what}"));
        }
    };
    expect(row["seq"].as_u64() == Some(rows.len() as u64), &format!("the newest entry is {}", rows.len()));
    expect(differences(&MESSAGE, newest, &row["lastMessage"]).is_empty(), &format!("the newest message is {newest}"));
    expect(row["unread"].as_u64() == Some(unread as u64), &format!("{unread} messages follow entry {read}"));
    expect(own <= Some(read), &format!("the user has written entry {own:?}"));
    violations
}

/// Conversation id of two users, computed from the protocol's definition without the code under
/// test. That of a group is its name among the devices' peers.
pub fn conversation_id(one: &str, other: &str) -> String {
    if is_group(other) {
        return other.to_owned();
    }
    let (small, large) = (one.min(other), one.max(other));
    format!("dm:{}:{small}:{large}", small.len())
}

/// The user or the group that an entry was sent to.
fn recipient_of(entry: &Value) -> &str {
    let is_of_group = !entry["groupId"].is_null();
    text(entry, if is_of_group { "conversationId" } else { "recipientId" })
}

/// What the sender of this row asked for.
pub(crate) fn asked(histories: &[ClientHistory], row: &Value) -> Option<Action> {
    let (sender, recipient) = (text(row, "senderId"), recipient_of(row));
    let mut devices = histories.iter().filter(|history| history.user == sender);
    match row["clientMessageId"].as_str() {
        Some(id) => devices.find_map(|device| device.asked.get(id)).filter(|(peer, _)| peer == recipient).cloned(),
        None => {
            let mut requests = devices.flat_map(|device| &device.requests).filter(|request| request.peer == recipient);
            let is_row = |request: &&Request| request.id.is_none() && request.action.text() == row["content"].as_str();
            requests.find(is_row).map(|request| (request.peer.clone(), request.action.clone()))
        }
    }
    .map(|(_, action)| action)
}

/// Checks that the rows have no gap, that each draft is stored once, during the run and in the order of time, and that
/// changes are pointers.
fn check_rows(conversation: &str, rows: &[Value], during: &RangeInclusive<u64>, report: &mut impl FnMut(String)) {
    for (row, seq) in rows.iter().zip(1_u64..) {
        if row["seq"].as_u64() != Some(seq) {
            report(format!("seq {seq} is missing before {}", row["seq"]));
            break;
        }
    }
    let (mut drafts, mut previous) = (BTreeMap::new(), 0);
    for row in rows {
        if conversation_id(text(row, "senderId"), recipient_of(row)) != conversation {
            report(format!("holds an entry of another conversation: {row}"));
        }
        let draft = row["clientMessageId"].as_str().unwrap_or_else(|| text(row, "content"));
        if let Some(before) = drafts.insert((text(row, "senderId"), draft), &row["seq"]) {
            report(format!("{draft:?} is stored twice, as seq {before} and {}", row["seq"]));
        }
        let at = row["createdAt"].as_u64();
        if !at.is_some_and(|at| during.contains(&at)) {
            report(format!("seq {} has createdAt {}, outside the run", row["seq"], row["createdAt"]));
        }
        if at < Some(previous) {
            report(format!("seq {} has createdAt {}, before the entry before it", row["seq"], row["createdAt"]));
        }
        previous = at.unwrap_or_default();
        let fields: &[&str] = if row["kind"] == "group" { &GROUP } else { &CHANGE };
        let is_known = |field: &String| *field == "tally" || fields.contains(&field.as_str());
        if !row["kind"].is_null() && !row.as_object().is_some_and(|row| row.keys().all(is_known)) {
            report(format!("a change holds more than a pointer: {row}"));
        }
    }
}

/// Checks that the stored messages are those that follow from the entries.
fn check_messages(rows: &[Value], fold: &Fold, report: &mut impl FnMut(String)) {
    fold.violations.iter().cloned().for_each(&mut *report);
    for (seq, expected) in fold.messages() {
        let row = rows.iter().find(|row| row["seq"] == seq).unwrap_or(&Value::Null);
        let differences = differences(&MESSAGE, expected, row);
        if !differences.is_empty() {
            report(format!("message {seq} has other {differences:?} than its changes make: {row}, and not {expected}"));
        }
    }
}

/// Checks that everything that devices were told to do is stored as often as they were told to do it, except for what was
/// refused. A device that has stopped for good may have left something.
fn check_requests(conversation: &str, rows: &[Value], histories: &[ClientHistory], report: &mut impl FnMut(String)) {
    let is_here = |user: &str, peer: &str| conversation_id(user, peer) == conversation;
    let (mut told, mut refused) = (BTreeMap::<_, (BTreeSet<_>, BTreeSet<_>)>::new(), BTreeMap::<_, BTreeSet<_>>::new());
    for device in histories {
        for request in device.requests.iter().filter(|request| is_here(&device.user, &request.peer)) {
            let Some(id) = &request.id else { continue };
            let (all, due) = told.entry((&device.user, &request.peer, &request.action)).or_default();
            all.insert(id);
            due.extend((!device.retired).then_some(id));
        }
        for (id, (peer, action)) in device.refused.iter().filter(|(_, (peer, _))| is_here(&device.user, peer)) {
            refused.entry((&device.user, peer, action)).or_default().insert(id);
        }
    }
    for (key @ (user, peer, action), (all, due)) in told {
        let is_it = |row: &&Value| row["senderId"] == **user && recipient_of(row) == peer.as_str();
        let count = rows.iter().filter(is_it).filter(|row| asked(histories, row).as_ref() == Some(action)).count();
        let most = all.len();
        let least = due.len().saturating_sub(refused.get(&key).map_or(0, BTreeSet::len));
        if count < least {
            report(format!("{action} was sent to {peer} until it was acknowledged, but is stored {count} times"));
        }
        if count > most {
            report(format!("{action} by {user} is stored {count} times, but was sent {most} times"));
        }
    }
}

/// Checks that what was refused is not stored, and was refused because the message is deleted, or because of the state of the
/// group at some entry. In a group, it may be stored later, if an earlier attempt was still running.
fn check_refusals(
    conversation: &str,
    rows: &[Value],
    fold: &Fold,
    group: Option<&GroupFold>,
    histories: &[ClientHistory],
    report: &mut impl FnMut(String),
) {
    let messages = fold.messages();
    for device in histories {
        for (id, (peer, action)) in &device.refused {
            if conversation_id(&device.user, peer) != conversation {
                continue;
            }
            let target = action.target().and_then(|target| messages.get(&target));
            let is_it = |row: &&Value| row["senderId"] == device.user && row["clientMessageId"] == id.as_str();
            let row = rows.iter().find(is_it);
            let end = row.and_then(|row| row["seq"].as_u64()).unwrap_or(u64::MAX);
            if group.is_some_and(|group| group.refuses_before(end, &device.user, action)) {
                continue;
            }
            if target.is_none_or(|message| message["deleted"].is_null()) {
                report(format!("{action} by {} was refused, but its message is {target:?}", device.device));
            }
            if let Some(row) = row {
                report(format!("{action} by {} was refused, but is stored: {row}", device.device));
            }
        }
    }
}

/// Checks that every acknowledged entry is stored as acknowledged, and that all acknowledgements
/// of an entry agree.
fn check_acknowledgements(
    device: &ClientHistory,
    histories: &[ClientHistory],
    stored: &Stored,
    report: &mut impl FnMut(String),
) {
    const FIELDS: [&str; 3] = ["messageId", "seq", "createdAt"];
    for one in &device.acknowledged {
        let row = find(stored, &device.user, &one.peer, &one.sent["seq"]);
        let agrees = |field: &str, row: &Value| one.sent[field].is_null() || one.sent[field] == row[field];
        let is_stored = row.is_some_and(|row| {
            let is_same = FIELDS.iter().all(|field| agrees(field, row)) && row["senderId"] == device.user;
            is_same && row["clientMessageId"].as_str() == one.id.as_deref()
        });
        if !is_stored {
            report(format!("{:?} was acknowledged as {}, but the table holds {row:?}", one.id, one.sent));
        }
        let others = histories.iter().filter(|other| other.user == device.user).flat_map(|other| &other.acknowledged);
        for other in others.filter(|other| one.id.is_some() && other.id == one.id && other.peer == one.peer) {
            if FIELDS.iter().any(|field| !other.sent[field].is_null() && !agrees(field, &other.sent)) {
                report(format!("{:?} was acknowledged as {} and as {}", one.id, one.sent, other.sent));
            }
        }
    }
}

/// Checks that every entry that a device received is stored as received, that every message that it received was like that
/// in this version, and that the device's user is a member of the conversation: at a pushed entry, or at one from which on
/// they may read every other entry.
fn check_seen(
    device: &ClientHistory,
    stored: &Stored,
    folds: &Folds,
    groups: &Groups,
    report: &mut impl FnMut(String),
) {
    for (source, entry) in &device.seen {
        let (sender, recipient) = (text(entry, "senderId"), recipient_of(entry));
        let seq = entry["seq"].as_u64().unwrap_or_default();
        let is_for_user = match (groups.get(recipient), source) {
            (Some(group), Source::Pushed) => group.is_member(&device.user, seq),
            (Some(group), _) => group.may_read(&device.user, seq),
            (None, _) => device.user == sender || device.user == recipient,
        };
        if !is_for_user {
            report(format!("{source:?} was an entry of other users: {entry}"));
        }
        let is_message = entry["kind"].is_null();
        let expected = if is_message {
            let version = entry["version"].as_u64().unwrap_or_default();
            let fold = folds.get(&conversation_id(sender, recipient));
            fold.and_then(|fold| fold.version(entry["seq"].as_u64()?, version))
        } else {
            find(stored, sender, recipient, &entry["seq"])
        };
        if expected.is_none_or(|expected| !differences(fields_of(entry), expected, entry).is_empty()) {
            report(format!("{source:?} was {entry}, but the table holds {expected:?}"));
        }
    }
}

/// Checks that a device that shows one message or group entry after another has left none out that the user may read. Before
/// the user was added again, there may be entries that they may not read any more.
fn check_shown(device: &ClientHistory, stored: &Stored, groups: &Groups, report: &mut impl FnMut(String)) {
    for (peer, before, after) in &device.shown {
        let rows = stored.get(&conversation_id(&device.user, peer)).into_iter().flatten();
        let seqs = rows.filter(|row| row["kind"] != "change").filter_map(|row| row["seq"].as_u64());
        let first = groups.get(peer).map_or(0, |group| group.first_readable_at(&device.user, *after));
        let skipped: Vec<_> = seqs.filter(|seq| before < seq && seq < after && first <= *seq).collect();
        if !skipped.is_empty() {
            report(format!(
                "entry {after} is shown after {before} in the conversation with {peer}, without {skipped:?}"
            ));
        }
    }
}

/// Checks that what a device does in a conversation is stored in order, if the device promises it. A device that loses a refusal
/// tries again later what was refused, so that has no place in the order.
fn check_order(device: &ClientHistory, histories: &[ClientHistory], stored: &Stored, report: &mut impl FnMut(String)) {
    let mut newest = BTreeMap::new();
    let is_lost = |peer: &String, action: &Action| {
        device.loses_refusals && device.refused.values().any(|(of, refused)| of == peer && refused == action)
    };
    for Request { peer, action, .. } in device.requests.iter().filter(|_| device.in_order) {
        if is_lost(peer, action) {
            continue;
        }
        let mut rows = stored.get(&conversation_id(&device.user, peer)).into_iter().flatten();
        let is_it = |row: &&Value| row["senderId"] == device.user && asked(histories, row).as_ref() == Some(action);
        let Some(seq) = rows.find(is_it).and_then(|row| row["seq"].as_u64()) else { continue };
        let previous = newest.insert(peer, seq).unwrap_or_default();
        if previous > seq {
            report(format!("{action} is stored as seq {seq}, and the draft before it as seq {previous}"));
        }
    }
}

/// Checks that a device's views hold exactly the stored entries, each message as it is at the end. In a group, these are the
/// entries that the user may read. A device of a user who is no longer a member may lack the last ones.
fn check_views(device: &ClientHistory, stored: &Stored, groups: &Groups, report: &mut impl FnMut(String)) {
    let none = Vec::new();
    for (peer, view) in &device.views {
        let rows = stored.get(&conversation_id(&device.user, peer)).unwrap_or(&none);
        let rows = rows.iter().filter(|row| device.holds(row));
        let group = groups.get(peer);
        let (first, mut last) = group.map_or((0, u64::MAX), |group| group.readable(&device.user).unwrap_or((1, 0)));
        if group.is_some_and(|group| !group.is_present(&device.user)) {
            last = view.keys().next_back().copied().unwrap_or_default().min(last);
        }
        let rows = rows.map(|row| (row["seq"].as_u64().unwrap_or_default(), row));
        let rows: Vec<_> = rows.filter(|(seq, _)| (first..=last).contains(seq)).collect();
        let view: BTreeMap<_, _> = view.range(first..).collect();
        let held: Vec<_> = view.iter().map(|(seq, entry)| (**seq, &entry["messageId"])).collect();
        let expected: Vec<_> = rows.iter().map(|(seq, row)| (*seq, &row["messageId"])).collect();
        if held != expected {
            let (held, count) = (view.keys().collect::<Vec<_>>(), rows.len());
            report(format!("holds the entries {held:?} of the conversation with {peer}, but the table holds {count}"));
        }
        for (seq, row) in rows {
            let Some(held) = view.get(&seq) else { continue };
            let differences = differences(fields_of(row), row, held);
            if group.is_some_and(|group| !group.is_present(&device.user)) {
                // The device does not learn of later changes.
                continue;
            }
            if !differences.is_empty() {
                report(format!(
                    "holds {held} in the conversation with {peer}, but the table holds other {differences:?}: {row}"
                ));
            }
        }
        let end = stored.get(peer.as_str()).map_or(expected.len(), Vec::len) as u64;
        if device.read.get(peer).is_some_and(|read| *read > end) && device.holds_changes {
            report(format!("has read up to {:?}, but the conversation with {peer} ends before", device.read.get(peer)));
        }
    }
}

/// The fields in which two entries differ.
pub fn differences<'a>(fields: &[&'a str], one: &Value, other: &Value) -> Vec<&'a str> {
    fields.iter().copied().filter(|field| one[field] != other[field]).collect()
}

/// The texts that stand in these items, each with its item.
pub fn traces<'a>(texts: &'a BTreeSet<String>, items: impl Iterator<Item = &'a Value>) -> impl Iterator<Item = String> {
    items.flat_map(move |item| {
        let dump = item.to_string();
        let found = texts.iter().filter(|text| dump.contains(text.as_str()));
        found.map(|text| format!("{text:?}, which was replaced or deleted, in {dump}")).collect::<Vec<_>>()
    })
}

fn find<'a>(stored: &'a Stored, one: &str, other: &str, seq: &Value) -> Option<&'a Value> {
    stored.get(&conversation_id(one, other))?.iter().find(|row| row["seq"] == *seq)
}

pub(crate) fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}
