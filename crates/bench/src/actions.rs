//! What is measured: every action of the protocol, as events of the functions.

use std::collections::BTreeMap;

use chat_local::{
    samconfig,
    template::{self, Function, Stack},
};
use serde_json::{Value, json};
use testkit::Event;

/// The function that does nothing, by its logical id.
pub const NOOP: &str = "Noop";

/// One action, as a row of the tables.
pub struct Action {
    /// What a reader calls it.
    pub name: &'static str,
    /// The logical id of its function.
    pub function: &'static str,
    /// The next event, by the frame that the one before was answered.
    pub next: Box<dyn FnMut(&Value) -> Event + Send>,
}

/// The template's functions, without limits that would be in the way, and the one that does nothing.
///
/// # Errors
/// Where the template can't be read.
pub fn stack() -> anyhow::Result<Stack> {
    let path = testkit::template();
    let mut parameters = samconfig::parameter_overrides(&path, None)?;
    let most = [("MessageRate", "1000"), ("MessageBurst", "100000"), ("MaxConnections", "1000")];
    parameters.extend(most.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut stack = template::load(&path, &parameters)?;
    if let Some(any) = stack.functions.values().next().cloned() {
        let noop = Function {
            name: NOOP.to_owned(),
            binary: Some("noop".to_owned()),
            environment: BTreeMap::new(),
            ..any
        };
        stack.functions.insert(NOOP.to_owned(), noop);
    }
    Ok(stack)
}

/// Events that bring about what the actions find, for as many rounds of each.
pub fn before(rounds: usize) -> Vec<(&'static str, Event)> {
    let connect = |user: &str, number: usize| {
        ("ConnectFunction", Event::of("connect").from(user).on(&format!("connection {number} of {user}")))
    };
    let say = |from: &str, to: &str, number: usize| {
        let text = format!("{number}: the quick brown fox jumps over the lazy dog, and nobody minds.");
        ("SendFunction", send(from, to, &text, &format!("{from} {number}"), number as u64))
    };
    let mut events = vec![connect("one", 0), connect("mark", 0)];
    events.extend((0..10).map(|number| connect("ten", number)));
    events.extend((0..60).map(|number| say("hal", "alice", number)));
    events.extend((0..rounds).map(|number| say("mark", "alice", number)));
    const PEERS: [&str; 20] = [
        "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15", "p16",
        "p17", "p18", "p19",
    ];
    events.extend(PEERS.map(|peer| say(peer, "ina", 0)));
    events
}

/// All actions, the one that does nothing first.
pub fn all() -> Vec<Action> {
    let fixed = |name, function, event: Event| Action { name, function, next: Box::new(move |_| event.clone()) };
    let asking = |file: &str, user: &str, frame: Value| Event::of(file).from(user).saying(&frame);
    vec![
        fixed("no-op", NOOP, Event::of("fallback")),
        fixed("authorizer, open mode", "AuthorizerFunction", Event::of("authorizer")),
        fixed("connect", "ConnectFunction", Event::of("connect").from("zoe")),
        fixed("disconnect", "DisconnectFunction", Event::of("disconnect").from("zoe")),
        sending("sendMessage, nobody is there", "nobody"),
        sending("sendMessage, 1 push", "one"),
        sending("sendMessage, 10 pushes", "ten"),
        fixed("sendMessage, a repeat", "SendFunction", send("hal", "alice", "0: again", "hal 59", 59)),
        fixed("getMessages, 50", "HistoryFunction", asking("history", "alice", json!({ "targetId": "hal" }))),
        fixed("getConversations, 20", "InboxFunction", asking("inbox", "ina", json!({}))),
        Action { name: "markRead, 1 push", function: "ReadFunction", next: Box::new(mark_read()) },
        fixed("ping", "FallbackFunction", asking("fallback", "alice", json!({ "action": "ping" }))),
    ]
}

fn send(from: &str, to: &str, text: &str, id: &str, last_seq: u64) -> Event {
    let frame = json!({ "recipientId": to, "content": text, "clientMessageId": id, "lastSeq": last_seq });
    Event::of("send").from(from).saying(&frame)
}

/// A client that is up to date, and says something to somebody with so many connections.
fn sending(name: &'static str, to: &'static str) -> Action {
    let mut number = 0;
    let next = move |last: &Value| {
        number += 1;
        let text = "Are we still on for tonight? I could be there at eight.";
        send("alice", to, text, &format!("8f14e45f-ceea-467f-a8b2-{number:012}"), last["value"]["seq"].as_u64().unwrap_or(0))
    };
    Action { name, function: "SendFunction", next: Box::new(next) }
}

/// A mark that moves on by one message each time.
fn mark_read() -> impl FnMut(&Value) -> Event + Send {
    let mut seq = 0;
    move |_| {
        seq += 1;
        Event::of("read").from("alice").saying(&json!({ "targetId": "mark", "seq": seq }))
    }
}
