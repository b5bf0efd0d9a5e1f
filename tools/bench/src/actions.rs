//! Actions to measure: each action of the protocol as a series of events for a function.

use std::collections::BTreeMap;

use chat_core::{
    model::{entry::Entry, state::ConversationState},
    protocol::position::{Position, Positions},
};
use serde_json::{Value, json};
use support::{Fixture, conversation_id};
use ws_local::{
    samconfig,
    template::{self, Function, Stack},
};

use crate::{backend_actions, group_actions, presence_actions};

/// Logical id of the no-op function.
pub const NOOP: &str = "Noop";
/// The functions' key for positions.
const POSITION_KEY: &str = "0123456789abcdef0123456789abcdef";

/// An action to measure: one row of the result tables.
pub struct Action {
    /// Name in the result tables.
    pub name: String,
    /// Logical id of the function.
    pub function: &'static str,
    /// Makes the next event from the frame of the previous reply.
    pub next: Box<dyn FnMut(&Value) -> Fixture + Send>,
}

/// The template's stack with rate limits that no measurement reaches, plus the no-op function.
///
/// # Errors
/// If the template can't be read.
pub fn stack() -> anyhow::Result<Stack> {
    let path = support::template();
    let mut parameters = samconfig::parameter_overrides(&path, None)?;
    let limits =
        [("MessageRate", "1000"), ("MessageBurst", "100000"), ("GroupRate", "1000"), ("MaxConnections", "100")];
    parameters.extend(limits.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut stack = template::load(&path, &parameters)?;
    for function in stack.functions.values_mut() {
        if let Some(key) = function.environment.get_mut("POSITION_KEY") {
            POSITION_KEY.clone_into(key);
        }
    }
    if let Some(any) = stack.functions.values().next().cloned() {
        let noop =
            Function { name: NOOP.to_owned(), binary: Some("noop".to_owned()), environment: BTreeMap::new(), ..any };
        stack.functions.insert(NOOP.to_owned(), noop);
    }
    Ok(stack)
}

/// Actions, and the events that create the state that they need.
pub struct Workload {
    /// Events to invoke before the first action, in order, each with its function.
    pub set_up: Vec<(&'static str, Fixture)>,
    /// Actions in the order of the result table. The no-op function is the first.
    pub actions: Vec<Action>,
}

/// A workload with every action of the protocol, enough for `events` events per action.
pub fn every_action(events: usize) -> Workload {
    let mut set_up = vec![connect("one", 0), connect("one2", 0), connect("mark", 0), connect("mark2", 0)];
    set_up.extend((0..10).map(|number| connect("ten", number)));
    set_up.extend((0..60).map(|number| user_message("hal", "alice", number)));
    for user in ["mark", "mark2"] {
        set_up.extend((0..events).map(|number| user_message(user, "alice", number)));
    }
    set_up.extend((0..20).map(|number| user_message(&format!("peer {number}"), "ina", 0)));
    for user in ["edits", "edits2", "reacts", "deletes"] {
        set_up.push(connect(user, 0));
        let messages = if user == "deletes" { events } else { 1 };
        set_up.extend((0..messages).map(|number| user_message("alice", user, number)));
    }
    set_up.extend((0..60).map(|number| user_message("kim", "alice", number)));
    set_up.extend((0..10).map(|number| ("EditFunction", edit("kim", "alice", number + 1, 60 + number))));
    let duplicate = send("hal", "alice", "0: again", "hal 59", 59);
    let mut actions = vec![
        noop_action(),
        repeated_action("authorizer, open mode", "AuthorizerFunction", Fixture::named("authorizer")),
        repeated_action("connect", "ConnectFunction", Fixture::named("connect").user("zoe")),
        repeated_action("disconnect", "DisconnectFunction", Fixture::named("disconnect").user("zoe")),
        send_action("sendMessage, no connections", "nobody", 0, Known::Position),
        send_action("sendMessage, 1 push", "one", 0, Known::Position),
        send_action("sendMessage, 1 push, lastSeq", "one2", 0, Known::LastSeq),
        send_action("sendMessage, 10 pushes", "ten", 0, Known::Position),
        repeated_action("sendMessage, duplicate", "SendFunction", duplicate),
        change_action("editMessage, 1 push", "edits", Known::Position, 1, |_| text_of(1)),
        change_action("editMessage, 1 push, lastSeq", "edits2", Known::LastSeq, 1, |_| text_of(1)),
        change_action(
            "deleteMessage, 1 push",
            "deletes",
            Known::LastSeq,
            events as u64,
            |number| json!({ "action": "deleteMessage", "seq": number }),
        ),
        change_action(
            "react, 1 push",
            "reacts",
            Known::LastSeq,
            1,
            |number| json!({ "action": "react", "seq": 1, "reaction": "👍", "on": number % 2 == 1 }),
        ),
        query_action("getMessages, 50", "HistoryFunction", "history", "alice", json!({ "targetId": "hal" })),
        query_action(
            "getMessages, 10 changed",
            "HistoryFunction",
            "history",
            "alice",
            json!({ "targetId": "kim", "after": 40 }),
        ),
        query_action("getConversations, 20", "InboxFunction", "inbox", "ina", json!({})),
        mark_read_action("markRead, 1 push", "mark", Some(position("mark", "alice", events as u64))),
        mark_read_action("markRead, 1 push, no position", "mark2", None),
        query_action("ping", "FallbackFunction", "fallback", "alice", json!({ "action": "ping" })),
    ];
    for more in [group_actions::actions(events), presence_actions::actions(), backend_actions::actions()] {
        set_up.extend(more.set_up);
        actions.extend(more.actions);
    }
    Workload { set_up, actions }
}

/// A workload that sends messages to users with these numbers of connections.
pub fn fan_out(sizes: &'static [usize]) -> Workload {
    let user = |size: usize| format!("user with {size}");
    let connections = sizes.iter().flat_map(|size| (0..*size).map(|number| connect(&user(*size), number)));
    let messages =
        sizes.iter().map(|size| send_action(&format!("sendMessage, {size} pushes"), &user(*size), 0, Known::Position));
    Workload { set_up: connections.collect(), actions: [noop_action()].into_iter().chain(messages).collect() }
}

/// A workload in the conversation of alice and bob. `newest` is its newest sequence number.
pub fn in_a_conversation(newest: u64) -> Workload {
    let actions = vec![
        noop_action(),
        send_action("sendMessage", "bob", newest, Known::Position),
        query_action("getMessages, 50", "HistoryFunction", "history", "alice", json!({ "targetId": "bob" })),
        query_action("getConversations", "InboxFunction", "inbox", "alice", json!({})),
    ];
    Workload { set_up: vec![connect("bob", 0)], actions }
}

/// Connection `number` of a user.
pub(crate) fn connect(user: &str, number: usize) -> (&'static str, Fixture) {
    ("ConnectFunction", Fixture::named("connect").user(user).connection(&format!("connection {number} of {user}")))
}

/// Message `number`, counted from 0, in a conversation in which only `from` sends.
pub fn user_message(from: &str, to: &str, number: usize) -> (&'static str, Fixture) {
    let text = format!("{number}: the quick brown fox jumps over the lazy dog, and nothing else.");
    ("SendFunction", send(from, to, &text, &format!("{from} {number}"), number as u64))
}

fn repeated_action(name: &str, function: &'static str, event: Fixture) -> Action {
    Action { name: name.to_owned(), function, next: Box::new(move |_| event.clone()) }
}

pub(crate) fn query_action(name: &str, function: &'static str, file: &str, user: &str, frame: Value) -> Action {
    repeated_action(name, function, Fixture::named(file).user(user).frame(&frame))
}

pub(crate) fn noop_action() -> Action {
    repeated_action("no-op", NOOP, Fixture::named("fallback"))
}

fn send(from: &str, to: &str, text: &str, id: &str, last_seq: u64) -> Fixture {
    let frame = json!({ "recipientId": to, "content": text, "clientMessageId": id, "lastSeq": last_seq });
    Fixture::named("send").user(from).frame(&frame)
}

/// How a client says what it holds.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Known {
    LastSeq,
    /// The position that came with the previous message; `lastSeq` if none came.
    Position,
}

impl Known {
    /// Adds what the client holds to its frame: everything up to the previous reply, or up to `newest` if there was none.
    pub(crate) fn say(self, frame: &mut Value, last_frame: &Value, newest: u64) {
        match (self, &last_frame["value"]["position"]) {
            (Self::Position, Value::String(position)) => frame["position"] = json!(position),
            _ => frame["lastSeq"] = json!(last_frame["value"]["seq"].as_u64().unwrap_or(newest)),
        }
    }
}

/// Messages from a client that has received every message up to sequence number `newest`.
fn send_action(name: &str, to: &str, newest: u64, known: Known) -> Action {
    let (to, mut number) = (to.to_owned(), 0);
    let next = move |last_frame: &Value| {
        number += 1;
        let text = "Are we still on for tonight? I could be there at eight.";
        let id = format!("8f14e45f-ceea-467f-a8b2-{number:012}");
        match (known, &last_frame["value"]["position"]) {
            (Known::Position, Value::String(position)) => {
                let frame = json!({ "recipientId": to, "content": text, "clientMessageId": id, "position": position });
                Fixture::named("send").user("alice").frame(&frame)
            }
            _ => send("alice", &to, text, &id, last_frame["value"]["seq"].as_u64().unwrap_or(newest)),
        }
    };
    Action { name: name.to_owned(), function: "SendFunction", next: Box::new(next) }
}

/// Changes of messages to `to`, from a client that has received every entry up to sequence number `newest`. `frame` makes
/// the action and its fields for the number of the event, counted from 1.
fn change_action(
    name: &str,
    to: &'static str,
    known: Known,
    newest: u64,
    frame: impl Fn(u64) -> Value + Send + 'static,
) -> Action {
    let mut number = 0;
    let next = move |last_frame: &Value| {
        number += 1;
        let mut frame = frame(number);
        frame["targetId"] = json!(to);
        frame["clientMessageId"] = json!(format!("8f14e45f-ceea-467f-a8b2-{number:012}"));
        known.say(&mut frame, last_frame, newest);
        Fixture::named("edit").user("alice").frame(&frame)
    };
    Action { name: name.to_owned(), function: "EditFunction", next: Box::new(next) }
}

/// The frame of an edit of message `seq`, without the conversation.
fn text_of(seq: u64) -> Value {
    json!({ "action": "editMessage", "seq": seq, "content": "Are we still on for tonight? I could be there at nine." })
}

fn edit(from: &str, to: &str, seq: u64, last_seq: u64) -> Fixture {
    let mut frame = text_of(seq);
    (frame["targetId"], frame["lastSeq"]) = (json!(to), json!(last_seq));
    Fixture::named("edit").user(from).frame(&frame)
}

/// Moves the read position by one message with each event.
fn mark_read_action(name: &str, peer: &'static str, position: Option<Position>) -> Action {
    let mut seq = 0;
    let next = move |_: &Value| {
        seq += 1;
        let frame = json!({ "targetId": peer, "seq": seq, "position": position });
        Fixture::named("read").user("alice").frame(&frame)
    };
    Action { name: name.to_owned(), function: "ReadFunction", next: Box::new(next) }
}

/// The position of message `seq` as the functions give it, but for the state.
fn position(from: &str, to: &str, seq: u64) -> Position {
    let message = json!({
        "messageId": "00000000-0000-4000-8000-000000000000",
        "conversationId": conversation_id(from, to),
        "seq": seq,
        "senderId": from,
        "recipientId": to,
        "content": "",
        "createdAt": 0,
    });
    let message = Entry::Message(serde_json::from_value(message).expect("these are the fields of a message"));
    let positions = Positions::new(Some(POSITION_KEY.as_bytes()), "MessagesTable".to_owned());
    positions.of(&message, ConversationState::default()).expect("there is a key")
}
