//! Groups with the template's tables, a fake `@connections` endpoint, and a proxy that fails and holds calls.

mod changing;
mod costs;
mod creating;
mod model;
mod reading;
mod refusals;
mod repeats;
mod sending;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Call, FakeAws, Fixture, Outcome, invoke};
use tokio::sync::Notify;

/// The time of `events/group.json`, in milliseconds since the Unix epoch.
const NOW: i64 = 1_793_535_561_000;
const HOUR: i64 = 3_600_000;
const NOT_A_MEMBER: &str = "you are not a member of this group, or there is no such group";

/// One process of each function, and users with a connection each that has their name.
struct Chat {
    aws: FakeAws,
    sends: send::Context,
    edits: edit::Context,
    groups: group::Context,
    histories: history::Context,
    inboxes: inbox::Context,
    reads: read::Context,
    presences: presence::Context,
}

impl Chat {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With some variables of the functions changed.
    async fn start_with(variables: &[(&str, &str)]) -> Self {
        let aws = FakeAws::start().await;
        for user in ["alice", "bob", "carol", "dave"] {
            aws.put_connection(user, user, NOW - HOUR);
        }
        Self::processes(aws, variables)
    }

    /// New processes, which know no group.
    fn processes(aws: FakeAws, variables: &[(&str, &str)]) -> Self {
        let limits = [("MESSAGE_RATE", "1000"), ("MESSAGE_BURST", "100000"), ("GROUP_RATE", "1000")];
        let variables = [&limits, variables].concat();
        Self {
            sends: aws.try_context(&variables).unwrap(),
            edits: aws.try_context(&variables).unwrap(),
            groups: aws.try_context(&variables).unwrap(),
            histories: aws.try_context(&variables).unwrap(),
            inboxes: aws.try_context(&variables).unwrap(),
            reads: aws.try_context(&variables).unwrap(),
            presences: aws.try_context(&variables).unwrap(),
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
            "typing" | "getPresence" => invoke(&self.presences, presence::handle, event).await,
            "createGroup" | "changeGroup" | "getGroup" => invoke(&self.groups, group::handle, event).await,
            _ => invoke(&self.edits, edit::handle, event).await,
        }
    }

    /// Like [`Chat::request`]; returns the value of a reply that must not be an error.
    async fn accepted(&self, user: &str, frame: Value) -> Value {
        let mut reply = self.request(user, &frame).await;
        assert_ne!(reply["type"], "error", "{frame} {reply}");
        reply["value"].take()
    }

    /// Checks that a request is refused, that nothing is stored and nothing pushed.
    async fn refused(&self, user: &str, frame: Value, code: &str, words: &str) {
        let before = ["MessagesTable", "MembersTable", "ConversationsTable"].map(|table| self.aws.rows(table));
        self.aws.connections.take_pushes();
        let reply = self.request(user, &frame).await;
        assert_eq!((&reply["type"], &reply["code"]), (&json!("error"), &json!(code)), "{frame:.200} {reply}");
        let message = reply["message"].as_str().unwrap();
        assert!(message.contains(words) && message.len() < 400, "{frame:.200} {message}");
        assert!(!message.contains("column"), "the JSON is valid: {message}");
        let after = ["MessagesTable", "MembersTable", "ConversationsTable"].map(|table| self.aws.rows(table));
        assert_eq!(before, after, "{frame:.200}");
        assert_eq!(self.aws.connections.take_pushes(), [], "{frame:.200}");
    }

    /// Alice creates a group with these members, and some other fields of the frame.
    async fn group_with(&self, members: &[&str], more: Value) -> String {
        let frame = with(json!({ "action": "createGroup", "name": "Climbing", "members": members }), more);
        let sent = self.accepted("alice", frame).await;
        self.aws.connections.take_pushes();
        sent["groupId"].as_str().unwrap().to_owned()
    }

    async fn group(&self, members: &[&str]) -> String {
        self.group_with(members, json!({})).await
    }

    /// Sends a message to the group, and returns its `seq`.
    async fn send(&self, user: &str, group: &str, content: &str) -> u64 {
        self.accepted(user, message(group, content)).await["seq"].as_u64().unwrap()
    }

    async fn change(&self, user: &str, group: &str, change: Value) -> Value {
        self.accepted(user, with(json!({ "action": "changeGroup", "groupId": group }), change)).await
    }

    /// A page of the group, as `getMessages` with these other fields returns it.
    async fn page(&self, user: &str, group: &str, range: Value) -> Value {
        self.accepted(user, with(json!({ "action": "getMessages", "groupId": group }), range)).await
    }

    /// The numbers of the entries on the newest page, newest first.
    async fn seqs(&self, user: &str, group: &str) -> Vec<u64> {
        seqs(&self.page(user, group, json!({})).await)
    }
}

fn message(group: &str, content: &str) -> Value {
    json!({ "action": "sendMessage", "groupId": group, "content": content })
}

fn seqs(page: &Value) -> Vec<u64> {
    page["messages"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect()
}

/// The frame with more fields.
fn with(mut frame: Value, more: Value) -> Value {
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    frame
}

/// Holds the next call of a kind until it is notified.
fn hold_next(chat: &Chat, is_kind: impl Fn(&Call) -> bool + Send + 'static) -> Arc<Notify> {
    let released = Arc::new(Notify::new());
    let (hold, mut is_held) = (released.clone(), false);
    chat.aws.dynamodb.inject(move |call| {
        if is_held || !is_kind(call) {
            return Outcome::Forward;
        }
        is_held = true;
        Outcome::Hold(hold.clone())
    });
    released
}

/// The receivers of all pushes since the last call, sorted.
fn receivers(chat: &Chat) -> Vec<String> {
    chat.aws.connections.take_receivers()
}
