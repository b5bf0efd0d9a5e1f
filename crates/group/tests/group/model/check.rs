//! Checks after an interleaving: the entries decide who is a member at each of them, and all items, pushes and replies agree.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use support::{Fixture, invoke};

use super::{user::User, world::World};
use crate::seqs;

/// From the entry that added a user to the one that removed them; with the first entry that they may read.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Interval {
    at: u64,
    to: Option<u64>,
    seen: u64,
}

impl Interval {
    fn contains(&self, seq: u64) -> bool {
        self.at <= seq && self.to.is_none_or(|to| seq <= to)
    }

    fn shows(&self, seq: u64) -> bool {
        self.seen <= seq && self.to.is_none_or(|to| seq <= to)
    }
}

/// Every user who is or was a member, as the log says.
#[derive(Default)]
struct Folded {
    intervals: BTreeMap<String, Vec<Interval>>,
    roles: BTreeMap<String, String>,
    /// The entry that last changed a user.
    since: BTreeMap<String, u64>,
}

impl Folded {
    fn is_member(&self, user: &str, seq: u64) -> bool {
        self.intervals.get(user).is_some_and(|all| all.iter().any(|interval| interval.contains(seq)))
    }

    fn may_read(&self, user: &str, seq: u64) -> bool {
        self.intervals.get(user).is_some_and(|all| all.iter().any(|interval| interval.shows(seq)))
    }

    fn apply(&mut self, row: &Value, history: &str) {
        let seq = number(&row["seq"]);
        let list = |name: &str| {
            let users = row[name]["L"].as_array().cloned().unwrap_or_default();
            users.iter().map(|user| user["S"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let creator = (seq == 1).then(|| (row["senderId"]["S"].as_str().unwrap().to_owned(), "owner"));
        for (user, role) in creator.into_iter().chain(list("added").into_iter().map(|user| (user, "member"))) {
            let intervals = self.intervals.entry(user.clone()).or_default();
            assert!(intervals.last().is_none_or(|last| last.to.is_some()), "{user} is added twice");
            intervals.push(Interval { at: seq, to: None, seen: if history == "all" { 1 } else { seq } });
            self.roles.insert(user.clone(), role.to_owned());
            self.since.insert(user, seq);
        }
        for user in list("removed") {
            let last = self.intervals.get_mut(&user).and_then(|all| all.last_mut()).unwrap();
            assert_eq!(last.to, None, "{user} is removed twice");
            last.to = Some(seq);
            self.since.insert(user, seq);
        }
        for (user, role) in row["roles"]["M"].as_object().into_iter().flatten() {
            self.roles.insert(user.clone(), role["S"].as_str().unwrap().to_owned());
            self.since.insert(user.clone(), seq);
        }
    }
}

pub(super) async fn check(world: &World, users: Vec<User<'_>>) {
    let id = format!("group:{}", world.group);
    let mut rows = world.aws.rows("MessagesTable");
    rows.retain(|row| row["conversationId"]["S"] == id);
    rows.sort_by_key(|row| number(&row["seq"]));
    let history = rows[0]["history"]["S"].as_str().unwrap().to_owned();
    let mut folded = Folded::default();
    let (mut by_id, mut version, mut changes) = (HashMap::new(), 0, 0);
    for (index, row) in rows.iter().enumerate() {
        let seq = number(&row["seq"]);
        assert_eq!(seq, index as u64 + 1, "no gap");
        let sender = row["senderId"]["S"].as_str().unwrap();
        assert!(seq == 1 || folded.is_member(sender, seq), "{sender} writes entry {seq} without being a member");
        if let Some(id) = row["clientMessageId"]["S"].as_str() {
            assert_eq!(by_id.insert((sender.to_owned(), id.to_owned()), row), None, "{id} is stored once");
        }
        if row["kind"]["S"] == "group" {
            folded.apply(row, &history);
            version = seq;
        }
        changes += u64::from(row.get("kind").is_some());
        let state = &row["tally"]["M"];
        assert_eq!(number(&state["group"]["M"]["version"]), version, "entry {seq}");
        assert_eq!(state.get("changes").map_or(0, number), changes, "entry {seq}");
    }
    check_members(world, &id, &folded, version);
    check_pushes(world, &folded);
    for user in &users {
        check_answers(user, &by_id);
        for page in &user.pages {
            for seq in seqs(page) {
                assert!(folded.may_read(user.name, seq), "{} reads entry {seq}: {page}", user.name);
            }
            for message in page["changed"].as_array().into_iter().flatten() {
                assert!(folded.may_read(user.name, message["seq"].as_u64().unwrap()), "{} {message}", user.name);
            }
        }
    }
    for (user, intervals) in &folded.intervals {
        check_view(world, user, *intervals.last().unwrap(), rows.len() as u64).await;
    }
}

fn check_members(world: &World, id: &str, folded: &Folded, version: u64) {
    let rows: BTreeMap<_, _> = world
        .aws
        .rows("MembersTable")
        .into_iter()
        .filter(|row| row["conversationId"]["S"] == id)
        .map(|row| (row["userId"]["S"].as_str().unwrap().to_owned(), row))
        .collect();
    let group = &rows[" "];
    let present = folded.intervals.values().filter(|all| all.last().unwrap().to.is_none()).count();
    let total: u64 = folded.since.values().sum();
    let expected = (version, present as u64, total);
    assert_eq!((number(&group["since"]), number(&group["members"]), number(&group["total"])), expected);
    assert_eq!(rows.len(), folded.intervals.len() + 1);
    for (user, intervals) in &folded.intervals {
        let (row, last) = (&rows[user], *intervals.last().unwrap());
        let stored = Interval { at: number(&row["at"]), to: row.get("to").map(number), seen: number(&row["seen"]) };
        assert_eq!(stored, last, "{user}");
        assert_eq!(row["role"]["S"], folded.roles[user].as_str(), "{user}");
        assert_eq!(number(&row["since"]), folded.since[user], "{user}");
    }
    if present > 0 {
        let is_owner = |user: &&String| folded.intervals[*user].last().unwrap().to.is_none();
        assert!(folded.roles.iter().any(|(user, role)| role == "owner" && is_owner(&user)), "a group has an owner");
    }
}

fn check_pushes(world: &World, folded: &Folded) {
    for push in world.aws.connections.take_pushes() {
        let (user, value) = (push.connection_id.as_str(), &push.frame["value"]);
        let seq = value["seq"].as_u64().unwrap();
        assert!(folded.is_member(user, seq), "entry {seq} is pushed to {user}");
        if let Some(message) = push.frame.get("changed") {
            assert!(folded.may_read(user, message["seq"].as_u64().unwrap()), "{user} gets {message}");
        }
    }
}

fn check_answers(user: &User<'_>, by_id: &HashMap<(String, String), &Value>) {
    for asked in &user.asked {
        let id = asked.frame["clientMessageId"].as_str().unwrap();
        let row = by_id.get(&(user.name.to_owned(), id.to_owned()));
        // A refused request whose answer was lost is repeated, and the user can have been added in between.
        let first = asked.answers.iter().position(|answer| answer["type"] == "sent").unwrap_or(asked.answers.len());
        let (refused, sent) = asked.answers.split_at(first);
        for answer in refused {
            let code = answer["code"].as_str().unwrap_or_else(|| panic!("{} {answer}", asked.frame));
            assert!(["forbidden", "bad_request"].contains(&code), "{} {answer}", asked.frame);
        }
        for answer in sent {
            let row = row.unwrap_or_else(|| panic!("{} {answer} is not stored", asked.frame));
            assert_eq!(
                (&answer["value"]["seq"], &answer["value"]["messageId"]),
                (&json!(number(&row["seq"])), &row["messageId"]["S"]),
                "{} {answer}",
                asked.frame
            );
        }
        assert!(row.is_none() || !sent.is_empty(), "{} is stored, and was refused: {:?}", asked.frame, asked.answers);
    }
}

/// A client that begins anew holds exactly what the user may read, and the inbox lists the group.
async fn check_view(world: &World, user: &str, last: Interval, end: u64) {
    let context: history::Context = world.aws.context();
    let frame = json!({ "groupId": world.group, "after": 0, "limit": 100 });
    let reply = invoke(&context, history::handle, Fixture::named("history").user(user).frame(&frame)).await;
    let expected: Vec<_> = (last.seen..=last.to.unwrap_or(end)).collect();
    assert_eq!(seqs(&reply["value"]), expected, "{user} {last:?}");
    let context: inbox::Context = world.aws.context();
    let reply = invoke(&context, inbox::handle, Fixture::named("inbox").user(user).frame(&json!({}))).await;
    let [group] = reply["value"]["conversations"].as_array().unwrap().as_slice() else { panic!("{user} {reply}") };
    assert_eq!(group["seq"], last.to.unwrap_or(end), "{user} {group}");
    assert_eq!(group.get("left").is_some(), last.to.is_some(), "{user} {group}");
}

fn number(value: &Value) -> u64 {
    value["N"].as_str().unwrap_or_else(|| panic!("{value} is no number")).parse().unwrap()
}
