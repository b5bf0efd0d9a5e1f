//! `GroupFold`: the members and settings of a group at each entry, derived from its log without the code under test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{action::Action, history::ClientHistory};

/// What the name of a group begins with where devices name the other user of a direct conversation. It is also the beginning
/// of the group's conversation id.
pub const PREFIX: &str = "group:";
/// The fields of an entry that changes a group.
pub const GROUP: [&str; 16] = [
    "messageId",
    "conversationId",
    "groupId",
    "seq",
    "kind",
    "senderId",
    "createdAt",
    "clientMessageId",
    "created",
    "name",
    "history",
    "posting",
    "adding",
    "added",
    "removed",
    "roles",
];

/// Whether `peer` names a group, and not a user.
pub fn is_group(peer: &str) -> bool {
    peer.starts_with(PREFIX)
}

/// What a `changeGroup` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupChange {
    pub add: Vec<String>,
    pub remove: Vec<String>,
    pub roles: BTreeMap<String, String>,
    pub name: Option<String>,
    pub posting: Option<String>,
}

impl GroupChange {
    /// What a frame asks for; the inverse of [`GroupChange::frame`].
    pub fn of_frame(frame: &Value) -> Self {
        let text = |field: &str| frame[field].as_str().map(str::to_owned);
        let [add, remove] =
            ["add", "remove"].map(|field| if frame[field].is_null() { Vec::new() } else { users(&frame[field]) });
        let roles = frame["roles"].as_object().into_iter().flatten();
        let roles = roles.filter_map(|(user, role)| Some((user.clone(), role.as_str()?.to_owned()))).collect();
        Self { add, remove, roles, name: text("name"), posting: text("posting") }
    }

    /// The fields of the frame that say what to do.
    pub fn frame(&self) -> Map<String, Value> {
        self.fields("add", "remove")
    }

    /// The same fields in the entry.
    pub fn entry(&self) -> Map<String, Value> {
        self.fields("added", "removed")
    }

    fn fields(&self, add: &str, remove: &str) -> Map<String, Value> {
        let Self { name, posting, roles, .. } = self;
        let users = [(add, &self.add), (remove, &self.remove)].map(|(field, users)| (field, json!(users)));
        let others = [("roles", json!(roles)), ("name", json!(name)), ("posting", json!(posting))];
        let is_present = |value: &Value| match value {
            Value::Array(users) => !users.is_empty(),
            Value::Object(roles) => !roles.is_empty(),
            value => !value.is_null(),
        };
        let all = users.into_iter().chain(others).filter(|(_, value)| is_present(value));
        all.map(|(field, value)| (field.to_owned(), value)).collect()
    }

    /// Whether a stored entry says the same.
    pub fn is_stored_as(&self, row: &Value) -> bool {
        let fields = self.entry();
        let names = ["added", "removed", "roles", "name", "posting", "created", "history", "adding"];
        names.into_iter().all(|name| row.get(name) == fields.get(name))
    }
}

/// From the entry that added a user to the one that removed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub at: u64,
    pub to: Option<u64>,
    /// The first entry that the user may read.
    pub seen: u64,
}

impl Interval {
    /// Whether the user is a member at this entry.
    pub fn contains(self, seq: u64) -> bool {
        self.at <= seq && self.to.is_none_or(|to| seq <= to)
    }

    /// Whether the user may read this entry.
    pub fn shows(self, seq: u64) -> bool {
        self.seen <= seq && self.to.is_none_or(|to| seq <= to)
    }
}

/// A group as of one entry.
#[derive(Debug, Clone, Default)]
pub struct GroupState {
    pub name: String,
    pub history: String,
    pub posting: String,
    pub adding: String,
    /// The role of each member, and the first entry that they may read.
    pub members: BTreeMap<String, (String, u64)>,
}

impl GroupState {
    /// Whether the service must refuse this action of the user, as far as it depends on the group.
    pub fn refuses(&self, user: &str, action: &Action) -> bool {
        let Some((role, seen)) = self.members.get(user) else { return true };
        match action {
            Action::Message { reply_to, mentions, .. } => {
                (self.posting == "admins" && role == "member")
                    || reply_to.is_some_and(|seq| seq < *seen)
                    || mentions.iter().any(|user| !self.members.contains_key(user))
            }
            Action::Edit { target, .. } | Action::Delete { target } | Action::React { target, .. } => target < seen,
            Action::Group(change) => self.refuses_change(user, role, change),
        }
    }

    /// Whether the user may send messages.
    pub fn may_post(&self, user: &str) -> bool {
        !self.refuses(user, &Action::message(""))
    }

    fn refuses_change(&self, user: &str, role: &str, change: &GroupChange) -> bool {
        let GroupChange { add, remove, roles, name, posting } = change;
        let role_of = |user: &String| self.members.get(user).map(|(role, _)| role.as_str());
        let leads = role != "member";
        let lacks_right = role != "owner"
            && (name.is_some()
                || posting.is_some()
                || !roles.is_empty()
                || (!add.is_empty() && !leads && self.adding == "admins")
                || remove.iter().any(|other| other != user && (!leads || role_of(other) != Some("member"))));
        let is_wrong = add.iter().any(|user| role_of(user).is_some())
            || remove.iter().chain(roles.keys()).any(|user| role_of(user).is_none());
        let mut after: BTreeMap<_, _> = self.members.iter().map(|(user, (role, _))| (user, role)).collect();
        after.extend(roles);
        after.retain(|user, _| !remove.contains(user));
        let has_owner = after.values().any(|role| *role == "owner");
        let ends = after.is_empty() && add.is_empty();
        lacks_right || is_wrong || !(has_owner || ends)
    }

    /// Applies an entry. Returns why it can't have been stored after the state, if so.
    fn apply(&mut self, row: &Value) -> Vec<String> {
        let seq = row["seq"].as_u64().unwrap_or_default();
        let mut violations = Vec::new();
        for (field, value) in [
            ("name", &mut self.name),
            ("history", &mut self.history),
            ("posting", &mut self.posting),
            ("adding", &mut self.adding),
        ] {
            if let Some(new) = row[field].as_str() {
                new.clone_into(value);
            }
        }
        let seen = if self.history == "joined" { seq } else { 1 };
        let creator =
            users(&row["senderId"]).into_iter().filter(|_| row["created"] == true).map(|user| (user, "owner"));
        for (user, role) in creator.chain(users(&row["added"]).into_iter().map(|user| (user, "member"))) {
            if self.members.insert(user.clone(), (role.to_owned(), seen)).is_some() {
                violations.push(format!("entry {seq} adds {user}, who is a member"));
            }
        }
        for (user, role) in row["roles"].as_object().into_iter().flatten() {
            match self.members.get_mut(user) {
                Some(member) => role.as_str().unwrap_or_default().clone_into(&mut member.0),
                None => violations.push(format!("entry {seq} gives {user} a role, who is not a member")),
            }
        }
        for user in users(&row["removed"]) {
            if self.members.remove(&user).is_none() {
                violations.push(format!("entry {seq} removes {user}, who is not a member"));
            }
        }
        violations
    }
}

/// The users in a field of an entry.
fn users(value: &Value) -> Vec<String> {
    let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A group at each of its entries.
#[derive(Debug, Clone, Default)]
pub struct GroupFold {
    /// By the number of the entry that changed the group.
    states: BTreeMap<u64, GroupState>,
    /// When each user was a member, in order.
    intervals: BTreeMap<String, Vec<Interval>>,
    /// The last role of each user who is or was a member, and the entry that last changed their membership.
    last: BTreeMap<String, (String, u64)>,
    /// The number of the newest entry.
    end: u64,
    /// Why the entries can't have been stored like this.
    pub violations: Vec<String>,
}

impl GroupFold {
    /// Applies the entries of a group in order.
    pub fn new(rows: &[Value]) -> Self {
        let mut fold = Self::default();
        let mut state = GroupState::default();
        for row in rows {
            fold.end = row["seq"].as_u64().unwrap_or_default();
            if row["kind"] != "group" {
                continue;
            }
            let before = state.clone();
            fold.violations.extend(state.apply(row));
            fold.note(&before, &state, row);
            fold.states.insert(fold.end, state.clone());
        }
        fold
    }

    /// Notes what the newest entry changed.
    fn note(&mut self, before: &GroupState, after: &GroupState, row: &Value) {
        let end = self.end;
        for (user, (role, seen)) in &after.members {
            // Also if the role is the one that the member has.
            if !before.members.contains_key(user) || row["roles"].get(user).is_some() {
                self.last.insert(user.clone(), (role.clone(), end));
            }
            if !before.members.contains_key(user) {
                self.intervals.entry(user.clone()).or_default().push(Interval { at: end, to: None, seen: *seen });
            }
        }
        for user in before.members.keys().filter(|user| !after.members.contains_key(*user)) {
            if let Some((_, since)) = self.last.get_mut(user) {
                *since = end;
            }
            if let Some(last) = self.intervals.get_mut(user).and_then(|all| all.last_mut()) {
                last.to = Some(end);
            }
        }
    }

    /// The group as of this entry.
    pub fn at(&self, seq: u64) -> Option<&GroupState> {
        Some(self.states.range(..=seq).next_back()?.1)
    }

    /// The group as of the newest entry.
    pub fn now(&self) -> Option<&GroupState> {
        self.at(u64::MAX)
    }

    /// Whether the user is a member at this entry.
    pub fn is_member(&self, user: &str, seq: u64) -> bool {
        self.intervals(user).iter().any(|interval| interval.contains(seq))
    }

    /// Whether the user may, or once might, read this entry.
    pub fn may_read(&self, user: &str, seq: u64) -> bool {
        self.intervals(user).iter().any(|interval| interval.shows(seq))
    }

    pub fn intervals(&self, user: &str) -> &[Interval] {
        self.intervals.get(user).map_or(&[], Vec::as_slice)
    }

    /// Whether the user is a member now.
    pub fn is_present(&self, user: &str) -> bool {
        self.intervals(user).last().is_some_and(|last| last.to.is_none())
    }

    /// Whether the user may read this entry now.
    pub fn shows_now(&self, user: &str, seq: u64) -> bool {
        self.intervals(user).last().is_some_and(|last| last.shows(seq))
    }

    /// The first entry that the user may read when this one is the newest.
    pub fn first_readable_at(&self, user: &str, seq: u64) -> u64 {
        let intervals = self.intervals(user).iter().take_while(|interval| interval.at <= seq);
        intervals.last().map_or(u64::MAX, |interval| interval.seen)
    }

    /// The first and the last entry that the user may read now.
    pub fn readable(&self, user: &str) -> Option<(u64, u64)> {
        let last = self.intervals(user).last()?;
        Some((last.seen, last.to.unwrap_or(self.end)))
    }

    /// The acknowledged entry that a device of the group repeats: its `clientMessageId` and its number. The newest one at which
    /// a present member was not a member yet, because that user must not get it; or else the first one.
    pub fn to_repeat(&self, peer: &str, history: &ClientHistory) -> Option<(String, u64)> {
        let of_group = history.acknowledged.iter().filter(|one| one.peer == peer);
        let all: Vec<_> = of_group.filter_map(|one| Some((one.id.clone()?, one.sent["seq"].as_u64()?))).collect();
        let joined_later = |seq| self.intervals.keys().any(|user| self.is_present(user) && !self.is_member(user, seq));
        let newest = all.iter().filter(|(_, seq)| joined_later(*seq)).max_by_key(|(_, seq)| *seq);
        newest.or(all.first()).cloned()
    }

    /// Whether the group as of any entry before `end` refuses the action of the user.
    pub fn refuses_before(&self, end: u64, user: &str, action: &Action) -> bool {
        self.states.range(..end).any(|(_, state)| state.refuses(user, action))
    }

    /// Whether the group as of the entry before this one allows it to the user.
    pub fn allows(&self, row: &Value, user: &str, action: &Action) -> bool {
        let seq = row["seq"].as_u64().unwrap_or_default();
        self.at(seq.saturating_sub(1)).is_some_and(|state| !state.refuses(user, action))
    }

    /// Checks the items of the group in the table of members.
    pub fn check_items(&self, items: &[Value]) -> Vec<String> {
        let mut violations = Vec::new();
        let by_user: BTreeMap<_, _> =
            items.iter().map(|item| (item["userId"].as_str().unwrap_or_default(), item)).collect();
        let Some((version, now)) = self.states.last_key_value() else { return violations };
        let mut expect = |user: &str, expected: Value| {
            let item = by_user.get(user).copied().unwrap_or(&Value::Null);
            let fields = expected.as_object().into_iter().flatten();
            let wrong: Vec<_> = fields.filter(|(field, value)| item[field.as_str()] != **value).collect();
            if !wrong.is_empty() {
                violations.push(format!("the member item {user:?} is {item}, but the log says {wrong:?}"));
            }
        };
        let total: u64 = self.last.values().map(|(_, since)| since).sum();
        let count = now.members.len();
        expect(" ", json!({ "since": version, "members": count, "total": total, "name": now.name }));
        for (user, intervals) in &self.intervals {
            let (Some(interval), Some((role, since))) = (intervals.last(), self.last.get(user)) else { continue };
            let Interval { at, to, seen } = interval;
            expect(user, json!({ "at": at, "to": to, "seen": seen, "role": role, "since": since }));
        }
        let known: BTreeSet<_> = self.intervals.keys().map(String::as_str).chain([" "]).collect();
        let strangers = by_user.keys().filter(|user| !known.contains(*user));
        let strangers: Vec<_> = strangers.map(|user| format!("the member item {user:?} is of no member")).collect();
        violations.extend(strangers);
        violations
    }
}
