//! Actions in groups.

use chat_core::model::{conversation::GroupId, user::UserId};
use serde_json::{Value, json};
use support::Fixture;

use crate::{
    actions::{Action, Known, Workload, connect},
    presence_actions::typing_action,
};

/// The numbers of members of the groups to which a message is sent.
pub const SIZES: [usize; 4] = [3, 10, 50, 250];
/// A frame names at most this many users.
const USERS_PER_FRAME: usize = 48;

/// Every action in groups, enough for `events` events per action. Each member but the caller has one connection, unless the
/// row says otherwise.
pub fn actions(events: usize) -> Workload {
    let mut set_up = Vec::new();
    let mut actions = Vec::new();
    for size in SIZES {
        let group = Group::of(&format!("group of {size}"), size);
        set_up.extend(group.create(1));
        actions.push(group.send_action(&format!("sendMessage, group of {size}")));
    }
    let read = Group::of("read", 3);
    set_up.extend(read.create(0));
    set_up.extend((0..events.max(60)).map(|number| read.message(number as u64)));
    set_up.push(connect(&read.members[1], 0));
    actions.push(read.query_action("getMessages, 50, group", "HistoryFunction", "history", json!({})));
    actions.push(read.mark_read_action("markRead, group of 3"));
    let changed = Group::of("changed", 10);
    set_up.extend(changed.create(1));
    actions.push(changed.change_action("changeGroup, group of 10"));
    actions.push(create_action("createGroup, 10 members"));
    let frame = json!({ "action": "getGroup" });
    actions.push(changed.query_action("getGroup, group of 10", "GroupFunction", "get-group", frame));
    let present = Group::of("present", 10);
    set_up.extend(present.create(1));
    actions.push(typing_action("typing, group of 10", json!({ "groupId": present.id })));
    let frame = json!({ "action": "getPresence" });
    actions.push(present.query_action("getPresence, group of 10", "PresenceFunction", "presence", frame));
    Workload { set_up, actions }
}

/// A message to a group whose members have this many connections each.
pub fn large_group(members: usize, connections: usize) -> Workload {
    let group = Group::of("large", members);
    let action = group.send_action(&format!("sendMessage, group of {members}, {connections} connections each"));
    Workload { set_up: group.create(connections), actions: vec![action] }
}

/// A group that alice creates.
struct Group {
    id: GroupId,
    draft: String,
    /// Besides alice.
    members: Vec<String>,
}

impl Group {
    fn of(name: &str, size: usize) -> Self {
        let alice = UserId::try_from("alice".to_owned()).expect("a valid user id");
        let members = (1..size).map(|number| format!("{name} {number}")).collect();
        Self { id: GroupId::of_request(&alice, name), draft: name.to_owned(), members }
    }

    /// The number of the newest entry after [`Group::create`].
    fn newest(&self) -> u64 {
        self.members.len().div_ceil(USERS_PER_FRAME) as u64
    }

    /// The events that create the group and the connections of its members.
    fn create(&self, connections: usize) -> Vec<(&'static str, Fixture)> {
        let mut parts = self.members.chunks(USERS_PER_FRAME);
        let frame = json!({
            "action": "createGroup", "name": self.draft, "members": parts.next(), "clientMessageId": self.draft,
        });
        let mut events = vec![("GroupFunction", Fixture::named("group").user("alice").frame(&frame))];
        events.extend(parts.map(|part| {
            let frame = json!({ "action": "changeGroup", "groupId": self.id, "add": part });
            ("GroupFunction", Fixture::named("change-group").user("alice").frame(&frame))
        }));
        let all = self.members.iter().flat_map(|member| (0..connections).map(|number| connect(member, number)));
        events.extend(all);
        events
    }

    /// Message `number` of another member, counted from 0.
    fn message(&self, number: u64) -> (&'static str, Fixture) {
        let content = format!("{number}: the quick brown fox jumps over the lazy dog, and nothing else.");
        let frame = json!({
            "groupId": self.id, "content": content, "clientMessageId": number.to_string(),
            "lastSeq": self.newest() + number,
        });
        ("SendFunction", Fixture::named("send").user(&self.members[0]).frame(&frame))
    }

    /// Messages from alice, who has received every entry.
    fn send_action(&self, name: &str) -> Action {
        let frame = json!({ "content": "Are we still on for tonight? I could be there at eight." });
        self.action(name, "SendFunction", "send", move |_| frame.clone())
    }

    /// Removes a member and adds them again.
    fn change_action(&self, name: &str) -> Action {
        let member = self.members[0].clone();
        self.action(name, "GroupFunction", "change-group", move |number| {
            let field = if number % 2 == 1 { "remove" } else { "add" };
            json!({ "action": "changeGroup", field: [member] })
        })
    }

    /// Entries from alice. `frame` makes the fields for the number of the event, counted from 1.
    fn action(
        &self,
        name: &str,
        function: &'static str,
        file: &'static str,
        frame: impl Fn(u64) -> Value + Send + 'static,
    ) -> Action {
        let (id, newest, mut number) = (self.id, self.newest(), 0);
        let next = move |last_frame: &Value| {
            number += 1;
            let mut frame = frame(number);
            frame["groupId"] = json!(id);
            frame["clientMessageId"] = json!(format!("8f14e45f-ceea-467f-a8b2-{number:012}"));
            Known::Position.say(&mut frame, last_frame, newest);
            Fixture::named(file).user("alice").frame(&frame)
        };
        Action { name: name.to_owned(), function, next: Box::new(next) }
    }

    fn query_action(&self, name: &str, function: &'static str, file: &str, mut frame: Value) -> Action {
        frame["groupId"] = json!(self.id);
        let event = Fixture::named(file).user("alice").frame(&frame);
        Action { name: name.to_owned(), function, next: Box::new(move |_| event.clone()) }
    }

    /// Moves the read position by one message with each event.
    fn mark_read_action(&self, name: &str) -> Action {
        let (id, mut seq) = (self.id, self.newest());
        let next = move |_: &Value| {
            seq += 1;
            Fixture::named("read").user("alice").frame(&json!({ "groupId": id, "seq": seq }))
        };
        Action { name: name.to_owned(), function: "ReadFunction", next: Box::new(next) }
    }
}

/// Creates another group with each event.
fn create_action(name: &str) -> Action {
    let members: Vec<_> = (1..10).map(|number| format!("new {number}")).collect();
    let mut number = 0;
    let next = move |_: &Value| {
        number += 1;
        let id = format!("8f14e45f-ceea-467f-a8b2-{number:012}");
        let frame = json!({ "action": "createGroup", "name": "Climbing", "members": members, "clientMessageId": id });
        Fixture::named("group").user("alice").frame(&frame)
    };
    Action { name: name.to_owned(), function: "GroupFunction", next: Box::new(next) }
}
