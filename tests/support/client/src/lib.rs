//! WebSocket client for the chat protocol, and a scripted two-user conversation. For tests and
//! tools: if the server violates the protocol, the client panics and prints the frame.

mod connection;
mod conversation;
mod frames;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};

pub use connection::{Connection, Cut, RequestError, half_frame};
pub use conversation::conversation;
pub use frames::{ConversationsPage, ErrorFrame, InboxEntry, Message, MessagesPage, ReadReceipt, Sent};
pub use tokio_tungstenite::tungstenite::{Error as ConnectError, protocol::CloseFrame};

/// Longest wait for one frame. It is long so that tests pass on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A user and the query string that authenticates them.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    query: String,
}

impl User {
    /// A user in open mode, which accepts any user id.
    pub fn named(id: &str) -> Self {
        let query = id.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        Self { id: id.to_owned(), query: format!("userId={query}") }
    }

    /// A user in JWT mode. `id` must equal the user id in the token's claim.
    pub fn with_token(id: &str, token: &str) -> Self {
        Self { id: id.to_owned(), query: format!("token={token}") }
    }
}

/// One connection of one user. Frames that are not replies to requests are queued.
pub struct ChatClient {
    /// Id of the user who is connected.
    pub user: String,
    connection: Connection,
    frames: Mutex<mpsc::UnboundedReceiver<Value>>,
}

impl ChatClient {
    /// Connects `user` in open mode.
    ///
    /// # Errors
    /// [`ConnectError::Http`] if the server refuses the upgrade; otherwise a network or protocol error.
    pub async fn connect(url: &str, user: &str) -> Result<Self, Box<ConnectError>> {
        Self::connect_as(url, &User::named(user)).await
    }

    /// Connects a user with their credentials.
    ///
    /// # Errors
    /// As [`ChatClient::connect`].
    pub async fn connect_as(url: &str, user: &User) -> Result<Self, Box<ConnectError>> {
        let (frame_in, frames) = mpsc::unbounded_channel();
        let on_frame = move |frame| {
            // An error means that the client was dropped.
            let _ = frame_in.send(frame);
        };
        let connection = Connection::open(&format!("{url}?{}", user.query), on_frame).await?;
        Ok(Self { user: user.id.clone(), connection, frames: Mutex::new(frames) })
    }

    /// Sends `sendMessage` with the additional fields in `more`.
    ///
    /// # Errors
    /// The `error` frame.
    pub async fn send(&self, recipient: &str, content: &str, more: Value) -> Result<Sent, ErrorFrame> {
        let frame = json!({ "action": "sendMessage", "recipientId": recipient, "content": content });
        frames::reply(self.request(merge(frame, more)).await, "sent")
    }

    /// Sends `getMessages` with the additional fields in `more`.
    ///
    /// # Errors
    /// The `error` frame.
    pub async fn messages(&self, target: &str, more: Value) -> Result<MessagesPage, ErrorFrame> {
        let frame = json!({ "action": "getMessages", "targetId": target });
        frames::reply(self.request(merge(frame, more)).await, "messages")
    }

    /// Sends `getConversations` with the additional fields in `more`.
    ///
    /// # Errors
    /// The `error` frame.
    pub async fn conversations(&self, more: Value) -> Result<ConversationsPage, ErrorFrame> {
        let frame = json!({ "action": "getConversations" });
        frames::reply(self.request(merge(frame, more)).await, "conversations")
    }

    /// `markRead`
    ///
    /// # Errors
    /// The `error` frame.
    pub async fn mark_read(&self, target: &str, seq: u64) -> Result<ReadReceipt, ErrorFrame> {
        let frame = json!({ "action": "markRead", "targetId": target, "seq": seq });
        frames::reply(self.request(frame).await, "read")
    }

    /// All messages after `seq`, oldest first, read page by page.
    pub async fn catch_up(&self, target: &str, seq: u64) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        loop {
            let after = messages.last().map_or(seq, |last| last.seq);
            let page = self.messages(target, json!({ "after": after, "limit": 100 })).await;
            let page = page.unwrap_or_else(|error| panic!("no page after {after}: {error:?}"));
            messages.extend(page.messages);
            if page.last_evaluated_key.is_none() {
                return messages;
            }
        }
    }

    /// Sends a frame with a new `ref` and waits for its reply, whatever its type.
    ///
    /// # Panics
    /// If no reply arrives within a minute, or the connection closes.
    pub async fn request(&self, frame: Value) -> Value {
        let reply = self.connection.request(frame.clone(), PATIENCE, None).await;
        reply.unwrap_or_else(|error| panic!("{} got no reply to {frame}: {error:?}", self.user))
    }

    /// Sends a text frame unchanged.
    ///
    /// # Panics
    /// If the connection is closed.
    pub fn send_text(&self, text: &str) {
        assert!(!self.connection.is_closed(), "the connection of {} is closed", self.user);
        self.connection.send_text(text);
    }

    /// Waits for the next frame that is not a reply to a request.
    ///
    /// # Panics
    /// If no frame arrives within a minute, or the connection closes.
    pub async fn next_frame(&self) -> Value {
        match timeout(PATIENCE, async { self.frames.lock().await.recv().await }).await {
            Ok(Some(frame)) => frame,
            Ok(None) => panic!("the connection of {} closed before another frame came", self.user),
            Err(_) => panic!("{} got no further frame", self.user),
        }
    }

    /// The next frame, which must be a pushed message.
    pub async fn next_message(&self) -> Message {
        frames::value(self.next_frame().await, "message")
    }

    /// The next frame, which must be a pushed read receipt.
    pub async fn next_receipt(&self) -> ReadReceipt {
        frames::value(self.next_frame().await, "read")
    }

    /// The next frame, which must be an error without a `ref`.
    pub async fn next_error(&self) -> ErrorFrame {
        let frame = self.next_frame().await;
        assert_eq!(frame["type"], "error", "expected an error, got {frame}");
        frames::parse(frame)
    }

    /// The next queued frame, if there is one. Does not wait.
    pub async fn buffered_frame(&self) -> Option<Value> {
        self.frames.lock().await.try_recv().ok()
    }

    /// Closes the connection and waits until it is closed.
    pub async fn close(&self) {
        self.connection.close();
        self.closed().await;
    }

    /// Waits until the connection is closed. Returns the server's close frame, if it sent one.
    ///
    /// # Panics
    /// If the connection is still open after a minute.
    pub async fn closed(&self) -> Option<CloseFrame> {
        let closed = timeout(PATIENCE, self.connection.closed()).await;
        closed.unwrap_or_else(|_| panic!("the connection of {} stays open", self.user))
    }
}

fn merge(mut frame: Value, more: Value) -> Value {
    if let (Some(frame), Value::Object(more)) = (frame.as_object_mut(), more) {
        frame.extend(more);
    }
    frame
}
