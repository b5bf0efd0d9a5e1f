//! The part of the checker that only groups have.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    checker::{Groups, asked, differences, text},
    fold::MESSAGE,
    group::GroupFold,
    history::ClientHistory,
};

/// Checks a user's row of the inbox for a group.
pub fn check_group_inbox(user: &str, row: Option<&Value>, rows: &[Value], group: &GroupFold) -> Vec<String> {
    let (Some((first, end)), Some(row)) = (group.readable(user), row) else {
        let is_consistent = group.readable(user).is_none() && row.is_none();
        return if is_consistent { Vec::new() } else { vec![format!("the inbox of {user} has {row:?} for a group")] };
    };
    let mut violations = Vec::new();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            violations.push(format!("the inbox of {user} shows {row}: {what}"));
        }
    };
    let seq_of = |entry: &Value| entry["seq"].as_u64().unwrap_or_default();
    let messages: Vec<_> = rows.iter().filter(|row| row["kind"].is_null() && seq_of(row) <= end).collect();
    let newest = messages.last().copied().filter(|message| seq_of(message) >= first).unwrap_or(&Value::Null);
    let read = row["readSeq"].as_u64().unwrap_or_default();
    let unread = messages.iter().filter(|message| seq_of(message) > read).count();
    let (name, members) = group.at(end).map(|state| (state.name.clone(), state.members.len())).unwrap_or_default();
    let at = group.intervals(user).last().map(|last| last.at);
    expect(row["left"].is_null() == group.is_present(user), "whether the user is a member is wrong");
    expect(seq_of(row) == end, &format!("the newest entry is {end}"));
    expect(row["name"] == name && row["members"] == members, &format!("{name} has {members} members"));
    expect(differences(&MESSAGE, newest, &row["lastMessage"]).is_empty(), &format!("the newest message is {newest}"));
    expect(row["unread"].as_u64() == Some(unread as u64), &format!("{unread} messages follow entry {read}"));
    expect(at <= Some(read), &format!("the user was added by entry {at:?}"));
    violations
}

/// Checks that every entry of a group was written by a member who might write it, as of the entry before.
pub(crate) fn check_group(
    rows: &[Value],
    group: &GroupFold,
    histories: &[ClientHistory],
    report: &mut impl FnMut(String),
) {
    group.violations.iter().cloned().for_each(&mut *report);
    for row in rows.iter().filter(|row| row["created"] != true) {
        let (user, seq) = (text(row, "senderId"), row["seq"].as_u64().unwrap_or_default());
        if group.at(seq.saturating_sub(1)).is_none_or(|state| !state.members.contains_key(user)) {
            report(format!("{user} writes entry {seq} without being a member: {row}"));
        } else if asked(histories, row).is_some_and(|action| !group.allows(row, user, &action)) {
            report(format!("{user} may not write entry {seq}: {row}"));
        }
    }
}

/// Checks that what a device shows of each group is what its entries make of it. The device of a user who is no longer a member
/// may lack the entry that removed them.
pub(crate) fn check_group_views(device: &ClientHistory, groups: &Groups, report: &mut impl FnMut(String)) {
    for (peer, view) in &device.groups {
        let Some((group, (_, end))) = groups.get(peer).and_then(|group| Some((group, group.readable(&device.user)?)))
        else {
            continue;
        };
        let is_present = group.is_present(&device.user);
        let newest_held = device.views.get(peer).and_then(|view| view.keys().next_back().copied());
        if !is_present && newest_held < Some(end) {
            continue;
        }
        let Some(state) = group.at(end).filter(|_| view["left"] == !is_present) else {
            report(format!("shows {view} of {peer}, but whether the user is a member is {is_present}"));
            continue;
        };
        // Until a client knows the number of members, it shows an earlier name and nothing else.
        if view["count"].is_null() {
            continue;
        }
        let you = state.members.get(&device.user).map(|(role, _)| role);
        let members: BTreeMap<_, _> =
            state.members.iter().map(|(user, (role, _))| (user.as_str(), role.as_str())).collect();
        let shown = view["members"].as_array().into_iter().flatten();
        let shown: BTreeMap<_, _> = shown.map(|member| (text(member, "userId"), text(member, "role"))).collect();
        let is_same = |field: &str, value: Value| view[field].is_null() || view[field] == value;
        let agrees = view["name"] == state.name
            && view["count"] == members.len()
            && is_same("you", json!(you))
            && is_same("history", json!(state.history))
            && is_same("posting", json!(state.posting))
            && is_same("adding", json!(state.adding))
            && (view["members"].is_null() || members.iter().eq(shown.iter()));
        if !agrees {
            report(format!("shows {view} of {peer}, but the log says {state:?}"));
        }
    }
}

/// Checks that a user who could not read a group, or an entry of it, was not allowed to.
pub(crate) fn check_denials(device: &ClientHistory, groups: &Groups, report: &mut impl FnMut(String)) {
    /// The group has these entries before the devices begin.
    const SETUP: u64 = 2;

    for (peer, group) in groups {
        let intervals = group.intervals(&device.user);
        if device.denied.contains(peer) && intervals.first().is_some_and(|first| first.at <= SETUP) {
            report(format!("could not read {peer}, but was a member from the start: {intervals:?}"));
        }
        for (_, seq) in device.not_marked.iter().filter(|(of, _)| of == peer) {
            if !intervals.iter().any(|interval| interval.seen > *seq) {
                report(format!("could not mark entry {seq} of {peer} as read, but was a member: {intervals:?}"));
            }
        }
    }
}
