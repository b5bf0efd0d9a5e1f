//! What is measured: every action of the protocol, as events of the functions.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::Fixture;
use ws_local::{
    samconfig,
    template::{self, Function, Stack},
};

/// The function that does nothing, by its logical id.
pub const NOOP: &str = "Noop";

/// One action, as a row of the tables.
pub struct Action {
    /// What a reader calls it.
    pub name: String,
    /// The logical id of its function.
    pub function: &'static str,
    /// The next event, by the frame that the one before was answered.
    pub next: Box<dyn FnMut(&Value) -> Fixture + Send>,
}

/// The template's functions, without limits that would be in the way, and the one that does nothing.
///
/// # Errors
/// Where the template can't be read.
pub fn stack() -> anyhow::Result<Stack> {
    let path = support::template();
    let mut parameters = samconfig::parameter_overrides(&path, None)?;
    let most = [("MessageRate", "1000"), ("MessageBurst", "100000"), ("MaxConnections", "1000")];
    parameters.extend(most.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut stack = template::load(&path, &parameters)?;
    if let Some(any) = stack.functions.values().next().cloned() {
        let noop =
            Function { name: NOOP.to_owned(), binary: Some("noop".to_owned()), environment: BTreeMap::new(), ..any };
        stack.functions.insert(NOOP.to_owned(), noop);
    }
    Ok(stack)
}

/// Actions, and the events that bring about what they find.
pub struct Workload {
    /// In this order.
    pub before: Vec<(&'static str, Fixture)>,
    /// In the order of the table, the one that does nothing first.
    pub actions: Vec<Action>,
}

/// Every action of the protocol, for at most so many rounds of each.
pub fn every_action(rounds: usize) -> Workload {
    let mut before = vec![connect("one", 0), connect("mark", 0)];
    before.extend((0..10).map(|number| connect("ten", number)));
    before.extend((0..60).map(|number| say("hal", "alice", number)));
    before.extend((0..rounds).map(|number| say("mark", "alice", number)));
    before.extend((0..20).map(|number| say(&format!("peer {number}"), "ina", 0)));
    let repeat = send("hal", "alice", "0: again", "hal 59", 59);
    let actions = vec![
        noop(),
        fixed("authorizer, open mode", "AuthorizerFunction", Fixture::named("authorizer")),
        fixed("connect", "ConnectFunction", Fixture::named("connect").user("zoe")),
        fixed("disconnect", "DisconnectFunction", Fixture::named("disconnect").user("zoe")),
        sending("sendMessage, nobody is there", "nobody", 0),
        sending("sendMessage, 1 push", "one", 0),
        sending("sendMessage, 10 pushes", "ten", 0),
        fixed("sendMessage, a repeat", "SendFunction", repeat),
        asking("getMessages, 50", "HistoryFunction", "history", "alice", json!({ "targetId": "hal" })),
        asking("getConversations, 20", "InboxFunction", "inbox", "ina", json!({})),
        Action { name: "markRead, 1 push".to_owned(), function: "ReadFunction", next: Box::new(mark_read()) },
        asking("ping", "FallbackFunction", "fallback", "alice", json!({ "action": "ping" })),
    ];
    Workload { before, actions }
}

/// Messages to people with so many connections.
pub fn fan_out(sizes: &'static [usize]) -> Workload {
    let user = |size: usize| format!("somebody with {size}");
    let connections = sizes.iter().flat_map(|size| (0..*size).map(|number| connect(&user(*size), number)));
    let messages = sizes.iter().map(|size| sending(&format!("sendMessage, {size} pushes"), &user(*size), 0));
    Workload { before: connections.collect(), actions: [noop()].into_iter().chain(messages).collect() }
}

/// What is done in the conversation of alice and bob, whose newest message has this number.
pub fn in_a_conversation(newest: u64) -> Workload {
    let actions = vec![
        noop(),
        sending("sendMessage", "bob", newest),
        asking("getMessages, 50", "HistoryFunction", "history", "alice", json!({ "targetId": "bob" })),
        asking("getConversations", "InboxFunction", "inbox", "alice", json!({})),
    ];
    Workload { before: vec![connect("bob", 0)], actions }
}

fn connect(user: &str, number: usize) -> (&'static str, Fixture) {
    ("ConnectFunction", Fixture::named("connect").user(user).connection(&format!("connection {number} of {user}")))
}

/// A message of somebody whose every message comes by this, from 0 on.
pub fn say(from: &str, to: &str, number: usize) -> (&'static str, Fixture) {
    let text = format!("{number}: the quick brown fox jumps over the lazy dog, and nobody minds.");
    ("SendFunction", send(from, to, &text, &format!("{from} {number}"), number as u64))
}

fn fixed(name: &str, function: &'static str, event: Fixture) -> Action {
    Action { name: name.to_owned(), function, next: Box::new(move |_| event.clone()) }
}

fn asking(name: &str, function: &'static str, file: &str, user: &str, frame: Value) -> Action {
    fixed(name, function, Fixture::named(file).user(user).frame(&frame))
}

fn noop() -> Action {
    fixed("no-op", NOOP, Fixture::named("fallback"))
}

fn send(from: &str, to: &str, text: &str, id: &str, last_seq: u64) -> Fixture {
    let frame = json!({ "recipientId": to, "content": text, "clientMessageId": id, "lastSeq": last_seq });
    Fixture::named("send").user(from).frame(&frame)
}

/// A client that is up to date, and says something; its conversation's newest message has this number.
fn sending(name: &str, to: &str, newest: u64) -> Action {
    let (to, mut number) = (to.to_owned(), 0);
    let next = move |last: &Value| {
        number += 1;
        let text = "Are we still on for tonight? I could be there at eight.";
        let id = format!("8f14e45f-ceea-467f-a8b2-{number:012}");
        send("alice", &to, text, &id, last["value"]["seq"].as_u64().unwrap_or(newest))
    };
    Action { name: name.to_owned(), function: "SendFunction", next: Box::new(next) }
}

/// A mark that moves on by one message each time.
fn mark_read() -> impl FnMut(&Value) -> Fixture + Send {
    let mut seq = 0;
    move |_| {
        seq += 1;
        Fixture::named("read").user("alice").frame(&json!({ "targetId": "mark", "seq": seq }))
    }
}
