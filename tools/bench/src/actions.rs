//! Actions to measure: each action of the protocol as a series of events for a function.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::Fixture;
use ws_local::{
    samconfig,
    template::{self, Function, Stack},
};

/// Logical id of the no-op function.
pub const NOOP: &str = "Noop";

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
    let limits = [("MessageRate", "1000"), ("MessageBurst", "100000"), ("MaxConnections", "100")];
    parameters.extend(limits.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut stack = template::load(&path, &parameters)?;
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
    let mut set_up = vec![connect("one", 0), connect("mark", 0)];
    set_up.extend((0..10).map(|number| connect("ten", number)));
    set_up.extend((0..60).map(|number| user_message("hal", "alice", number)));
    set_up.extend((0..events).map(|number| user_message("mark", "alice", number)));
    set_up.extend((0..20).map(|number| user_message(&format!("peer {number}"), "ina", 0)));
    let duplicate = send("hal", "alice", "0: again", "hal 59", 59);
    let actions = vec![
        noop_action(),
        repeated_action("authorizer, open mode", "AuthorizerFunction", Fixture::named("authorizer")),
        repeated_action("connect", "ConnectFunction", Fixture::named("connect").user("zoe")),
        repeated_action("disconnect", "DisconnectFunction", Fixture::named("disconnect").user("zoe")),
        send_action("sendMessage, no connections", "nobody", 0),
        send_action("sendMessage, 1 push", "one", 0),
        send_action("sendMessage, 10 pushes", "ten", 0),
        repeated_action("sendMessage, duplicate", "SendFunction", duplicate),
        query_action("getMessages, 50", "HistoryFunction", "history", "alice", json!({ "targetId": "hal" })),
        query_action("getConversations, 20", "InboxFunction", "inbox", "ina", json!({})),
        Action { name: "markRead, 1 push".to_owned(), function: "ReadFunction", next: Box::new(mark_read_events()) },
        query_action("ping", "FallbackFunction", "fallback", "alice", json!({ "action": "ping" })),
    ];
    Workload { set_up, actions }
}

/// A workload that sends messages to users with these numbers of connections.
pub fn fan_out(sizes: &'static [usize]) -> Workload {
    let user = |size: usize| format!("user with {size}");
    let connections = sizes.iter().flat_map(|size| (0..*size).map(|number| connect(&user(*size), number)));
    let messages = sizes.iter().map(|size| send_action(&format!("sendMessage, {size} pushes"), &user(*size), 0));
    Workload { set_up: connections.collect(), actions: [noop_action()].into_iter().chain(messages).collect() }
}

/// A workload in the conversation of alice and bob. `newest` is its newest sequence number.
pub fn in_a_conversation(newest: u64) -> Workload {
    let actions = vec![
        noop_action(),
        send_action("sendMessage", "bob", newest),
        query_action("getMessages, 50", "HistoryFunction", "history", "alice", json!({ "targetId": "bob" })),
        query_action("getConversations", "InboxFunction", "inbox", "alice", json!({})),
    ];
    Workload { set_up: vec![connect("bob", 0)], actions }
}

fn connect(user: &str, number: usize) -> (&'static str, Fixture) {
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

fn query_action(name: &str, function: &'static str, file: &str, user: &str, frame: Value) -> Action {
    repeated_action(name, function, Fixture::named(file).user(user).frame(&frame))
}

fn noop_action() -> Action {
    repeated_action("no-op", NOOP, Fixture::named("fallback"))
}

fn send(from: &str, to: &str, text: &str, id: &str, last_seq: u64) -> Fixture {
    let frame = json!({ "recipientId": to, "content": text, "clientMessageId": id, "lastSeq": last_seq });
    Fixture::named("send").user(from).frame(&frame)
}

/// Messages from a client that has received every message up to sequence number `newest`.
fn send_action(name: &str, to: &str, newest: u64) -> Action {
    let (to, mut number) = (to.to_owned(), 0);
    let next = move |last_frame: &Value| {
        number += 1;
        let text = "Are we still on for tonight? I could be there at eight.";
        let id = format!("8f14e45f-ceea-467f-a8b2-{number:012}");
        send("alice", &to, text, &id, last_frame["value"]["seq"].as_u64().unwrap_or(newest))
    };
    Action { name: name.to_owned(), function: "SendFunction", next: Box::new(next) }
}

/// Moves the read position by one message with each event.
fn mark_read_events() -> impl FnMut(&Value) -> Fixture + Send {
    let mut seq = 0;
    move |_| {
        seq += 1;
        Fixture::named("read").user("alice").frame(&json!({ "targetId": "mark", "seq": seq }))
    }
}
