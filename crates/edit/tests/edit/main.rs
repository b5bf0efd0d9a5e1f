//! `editMessage`, `deleteMessage` and `react` with the template's tables, a fake `@connections` endpoint, and a proxy that
//! loses responses.

mod changing;
mod costs;
mod fold;
mod model;
mod races;
mod refusals;
mod views;

use edit::Context;
use serde_json::{Value, json};
use support::{FakeAws, Fixture, invoke};

/// The time of `events/send.json`, in milliseconds since the Unix epoch.
const NOW: i64 = 1_793_535_561_000;

/// Alice and Bob with two devices each, connected an hour ago: `alice`, `alice-2`, `bob`, `bob-2`.
struct Chat {
    aws: FakeAws,
    sends: send::Context,
    edits: Context,
    histories: history::Context,
    inboxes: inbox::Context,
    reads: read::Context,
}

impl Chat {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With some variables of the functions changed.
    async fn start_with(variables: &[(&str, &str)]) -> Self {
        let aws = FakeAws::start().await;
        for (user, connection) in [("alice", "alice"), ("alice", "alice-2"), ("bob", "bob"), ("bob", "bob-2")] {
            aws.put_connection(user, connection, NOW - 3_600_000);
        }
        let limits = [("MESSAGE_RATE", "1000"), ("MESSAGE_BURST", "100000")];
        let variables = [&limits, variables].concat();
        Self {
            sends: aws.try_context(&variables).unwrap(),
            edits: aws.try_context(&variables).unwrap(),
            histories: aws.try_context(&variables).unwrap(),
            inboxes: aws.try_context(&variables).unwrap(),
            reads: aws.try_context(&variables).unwrap(),
            aws,
        }
    }

    /// Sends a frame to the function of its action, and returns the reply.
    async fn request(&self, user: &str, frame: &Value) -> Value {
        self.request_at(user, frame, NOW).await
    }

    /// Like [`Chat::request`], received at `at` (milliseconds since the Unix epoch).
    async fn request_at(&self, user: &str, frame: &Value, at: i64) -> Value {
        let event = Fixture::named("send").user(user).frame(frame).received_at(at).timeout_ms(60_000);
        match frame["action"].as_str().unwrap() {
            "sendMessage" => invoke(&self.sends, send::handle, event).await,
            "getMessages" => invoke(&self.histories, history::handle, event).await,
            "getConversations" => invoke(&self.inboxes, inbox::handle, event).await,
            "markRead" => invoke(&self.reads, read::handle, event).await,
            _ => invoke(&self.edits, edit::handle, event).await,
        }
    }

    /// Like [`Chat::request`]; returns the value of a reply that must not be an error.
    async fn accepted(&self, user: &str, frame: Value) -> Value {
        let mut reply = self.request(user, &frame).await;
        assert_ne!(reply["type"], "error", "{frame} {reply}");
        reply["value"].take()
    }

    /// Sends a message from one of the two users to the other, and returns its `seq`.
    async fn send(&self, user: &str, content: &str) -> u64 {
        let frame = json!({ "action": "sendMessage", "recipientId": peer_of(user), "content": content });
        self.accepted(user, frame).await["seq"].as_u64().unwrap()
    }

    /// A stored entry, in DynamoDB JSON.
    fn row(&self, seq: u64) -> Value {
        let (rows, seq) = (self.aws.rows("MessagesTable"), seq.to_string());
        rows.into_iter().find(|row| row["seq"]["N"] == seq).unwrap_or_else(|| panic!("no entry {seq}"))
    }

    /// The newest page, newest first.
    async fn page(&self, user: &str, range: Value) -> Value {
        let mut frame = json!({ "action": "getMessages", "targetId": peer_of(user) });
        frame.as_object_mut().unwrap().extend(range.as_object().unwrap().clone());
        self.accepted(user, frame).await
    }

    /// Message `seq` as a fresh client loads it.
    async fn message(&self, seq: u64) -> Value {
        self.page("alice", json!({ "after": seq - 1, "limit": 1 })).await["messages"][0].clone()
    }
}

fn peer_of(user: &str) -> &'static str {
    if user == "alice" { "bob" } else { "alice" }
}

fn edit(user: &str, seq: u64, content: &str) -> Value {
    json!({ "action": "editMessage", "targetId": peer_of(user), "seq": seq, "content": content })
}

fn delete(user: &str, seq: u64) -> Value {
    json!({ "action": "deleteMessage", "targetId": peer_of(user), "seq": seq })
}

fn react(user: &str, seq: u64, reaction: &str, on: bool) -> Value {
    json!({ "action": "react", "targetId": peer_of(user), "seq": seq, "reaction": reaction, "on": on })
}

/// The frame with more fields.
fn with(mut frame: Value, more: Value) -> Value {
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    frame
}
