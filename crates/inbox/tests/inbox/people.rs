//! People who talk and read by the real routes, on tables of their own.

use serde_json::{Value, json};
use support::{FakeAws, Fixture, invoke};

/// The moment of `events/inbox.json`, in milliseconds since 1970.
pub(crate) const NOW: i64 = 1_793_535_562_000;
/// In milliseconds.
pub(crate) const HOUR: i64 = 3_600_000;

/// The routes, and the tables that they share.
pub(crate) struct People {
    pub(crate) aws: FakeAws,
    pub(crate) inbox: inbox::Context,
    send: send::Context,
    read: read::Context,
}

impl People {
    /// Nobody has said anything yet.
    pub(crate) async fn meet() -> Self {
        let aws = FakeAws::start().await;
        let (inbox, read) = (aws.context(), aws.context());
        // Clocks that go back here take from a user what they have left: a second for each message, 100,000 of them.
        let send = aws.try_context(&[("MESSAGE_RATE", "1"), ("MESSAGE_BURST", "100000")]).unwrap();
        Self { aws, inbox, send, read }
    }

    /// One says something at this moment.
    pub(crate) async fn say(&self, sender: &str, recipient: &str, content: &str, moment: i64) -> Value {
        self.send(sender, json!({ "recipientId": recipient, "content": content }), moment).await
    }

    /// `sendMessage` with these fields.
    pub(crate) async fn send(&self, sender: &str, frame: Value, moment: i64) -> Value {
        let sent = self.try_to_send(sender, frame, moment).await;
        assert_eq!(sent["type"], "sent", "{sent}");
        sent
    }

    /// The same, which may fail.
    pub(crate) async fn try_to_send(&self, sender: &str, frame: Value, moment: i64) -> Value {
        // On a busy machine many at once may take longer than one function has.
        let event = Fixture::named("send").user(sender).frame(&frame).received_at(moment).timeout_ms(120_000);
        invoke(&self.send, send::handle, event).await
    }

    /// One has read what the other one said up to there.
    pub(crate) async fn mark(&self, user: &str, peer: &str, seq: u64) -> Value {
        let event =
            Fixture::named("read").user(user).frame(&json!({ "targetId": peer, "seq": seq })).timeout_ms(120_000);
        invoke(&self.read, read::handle, event).await
    }

    /// `getConversations` with these fields.
    pub(crate) async fn page(&self, user: &str, frame: Value) -> Value {
        self.page_at(user, frame, NOW).await
    }

    /// The same at another moment.
    pub(crate) async fn page_at(&self, user: &str, frame: Value, moment: i64) -> Value {
        let event = Fixture::named("inbox").user(user).frame(&frame).received_at(moment).timeout_ms(120_000);
        let page = invoke(&self.inbox, inbox::handle, event).await;
        assert_eq!(page["type"], "conversations", "{page}");
        page
    }
}

/// Every page of a user's inbox.
pub(crate) async fn walk(people: &People, user: &str, limit: usize) -> Vec<Value> {
    walk_at(people, user, limit, NOW + 1_000 * HOUR).await
}

/// The same at another moment.
pub(crate) async fn walk_at(people: &People, user: &str, limit: usize, moment: i64) -> Vec<Value> {
    let (mut pages, mut key) = (Vec::new(), Value::Null);
    loop {
        let page = people.page_at(user, json!({ "limit": limit, "startKey": key }), moment).await;
        key = page["value"]["lastEvaluatedKey"].clone();
        pages.push(page);
        if key.is_null() {
            return pages;
        }
    }
}

/// Who is on a page.
pub(crate) fn peers(page: &Value) -> Vec<&str> {
    let conversations = page["value"]["conversations"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    conversations.iter().map(|conversation| conversation["peerId"].as_str().unwrap()).collect()
}

/// What is unread with each.
pub(crate) fn unread(page: &Value) -> Vec<(&str, u64)> {
    let conversations = page["value"]["conversations"].as_array().unwrap();
    peers(page).into_iter().zip(conversations.iter().map(|it| it["unread"].as_u64().unwrap())).collect()
}
