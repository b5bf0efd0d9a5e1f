//! `Chat`: the routes `send`, `read` and `inbox` on shared tables.

use serde_json::{Value, json};
use support::{FakeAws, Fixture, invoke};

/// The time of `events/inbox.json`, in milliseconds since the Unix epoch.
pub(crate) const NOW: i64 = 1_793_535_562_000;
/// Milliseconds.
pub(crate) const HOUR: i64 = 3_600_000;

/// The contexts of the routes, and the tables that they share.
pub(crate) struct Chat {
    pub(crate) aws: FakeAws,
    pub(crate) inbox: inbox::Context,
    send: send::Context,
    read: read::Context,
}

impl Chat {
    /// Starts without messages.
    pub(crate) async fn start() -> Self {
        let aws = FakeAws::start().await;
        let (inbox, read) = (aws.context(), aws.context());
        // Times go back in some tests, which uses up the limit: one second per message, and a burst for 100,000 of them.
        let send = aws.try_context(&[("MESSAGE_RATE", "1"), ("MESSAGE_BURST", "100000")]).unwrap();
        Self { aws, inbox, send, read }
    }

    /// Sends a message at this time.
    pub(crate) async fn send(&self, sender: &str, recipient: &str, content: &str, time: i64) -> Value {
        self.send_frame(sender, json!({ "recipientId": recipient, "content": content }), time).await
    }

    /// Sends a `sendMessage` with these fields, which must succeed.
    pub(crate) async fn send_frame(&self, sender: &str, frame: Value, time: i64) -> Value {
        let sent = self.try_send_frame(sender, frame, time).await;
        assert_eq!(sent["type"], "sent", "{sent}");
        sent
    }

    /// Sends a `sendMessage` with these fields.
    pub(crate) async fn try_send_frame(&self, sender: &str, frame: Value, time: i64) -> Value {
        // On a busy machine, many concurrent sends can exceed the time-out of a function.
        let event = Fixture::named("send").user(sender).frame(&frame).received_at(time).timeout_ms(120_000);
        invoke(&self.send, send::handle, event).await
    }

    /// Marks the conversation with `peer` as read up to `seq`.
    pub(crate) async fn mark_read(&self, user: &str, peer: &str, seq: u64) -> Value {
        let event =
            Fixture::named("read").user(user).frame(&json!({ "targetId": peer, "seq": seq })).timeout_ms(120_000);
        invoke(&self.read, read::handle, event).await
    }

    /// `getConversations` with these fields.
    pub(crate) async fn page(&self, user: &str, frame: Value) -> Value {
        self.page_at(user, frame, NOW).await
    }

    /// As [`Chat::page`], at another time.
    pub(crate) async fn page_at(&self, user: &str, frame: Value, time: i64) -> Value {
        let event = Fixture::named("inbox").user(user).frame(&frame).received_at(time).timeout_ms(120_000);
        let page = invoke(&self.inbox, inbox::handle, event).await;
        assert_eq!(page["type"], "conversations", "{page}");
        page
    }
}

/// All pages of a user's inbox, long after the last message.
pub(crate) async fn walk(chat: &Chat, user: &str, limit: usize) -> Vec<Value> {
    walk_at(chat, user, limit, NOW + 1_000 * HOUR).await
}

/// All pages of a user's inbox at this time.
pub(crate) async fn walk_at(chat: &Chat, user: &str, limit: usize, time: i64) -> Vec<Value> {
    let (mut pages, mut key) = (Vec::new(), Value::Null);
    loop {
        let page = chat.page_at(user, json!({ "limit": limit, "startKey": key }), time).await;
        key = page["value"]["lastEvaluatedKey"].clone();
        pages.push(page);
        if key.is_null() {
            return pages;
        }
    }
}

/// The peers of a page's conversations.
pub(crate) fn peers(page: &Value) -> Vec<&str> {
    let conversations = page["value"]["conversations"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    conversations.iter().map(|conversation| conversation["peerId"].as_str().unwrap()).collect()
}

/// The unread count with each peer.
pub(crate) fn unread(page: &Value) -> Vec<(&str, u64)> {
    let conversations = page["value"]["conversations"].as_array().unwrap();
    peers(page).into_iter().zip(conversations.iter().map(|it| it["unread"].as_u64().unwrap())).collect()
}
