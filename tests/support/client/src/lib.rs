//! A client on a real WebSocket, against whatever serves the protocol.

mod conversation;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, protocol::CloseFrame},
};

pub use conversation::conversation;

/// How long anything may take before a test is given up: machines are slow, but not for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody, and how they prove it.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user id.
    pub id: String,
    query: String,
}

impl Person {
    /// By the word alone, which open mode takes.
    pub fn named(id: &str) -> Self {
        let query = id.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        Self { id: id.to_owned(), query: format!("userId={query}") }
    }

    /// By a token of this user.
    pub fn with_token(id: &str, token: &str) -> Self {
        Self { id: id.to_owned(), query: format!("token={token}") }
    }
}

/// One connection of one user.
pub struct Client {
    /// Whose it is.
    pub user: String,
    sink: AsyncMutex<SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>>,
    replies: Arc<Mutex<HashMap<String, oneshot::Sender<Value>>>>,
    frames: AsyncMutex<mpsc::UnboundedReceiver<Value>>,
    closed: AsyncMutex<Option<oneshot::Receiver<Option<CloseFrame>>>>,
    next_ref: AtomicU64,
}

impl Client {
    /// Connects `user` in open mode.
    ///
    /// # Errors
    /// A refused upgrade among them, as [`Error::Http`].
    pub async fn connect(url: &str, user: &str) -> Result<Self, Box<Error>> {
        Self::connect_as(url, &Person::named(user)).await
    }

    /// Connects somebody with what proves who they are.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_as(url: &str, person: &Person) -> Result<Self, Box<Error>> {
        let (socket, _) = connect_async(format!("{url}?{}", person.query)).await.map_err(Box::new)?;
        let (sink, mut stream) = socket.split();
        let replies = Arc::new(Mutex::new(HashMap::<String, oneshot::Sender<Value>>::new()));
        let (frame_in, frames) = mpsc::unbounded_channel();
        let (close_in, closed) = oneshot::channel();
        let waiting = replies.clone();
        tokio::spawn(async move {
            let mut close_frame = None;
            while let Some(Ok(message)) = stream.next().await {
                match message {
                    Message::Text(text) => {
                        let frame: Value = serde_json::from_str(&text).expect("every frame is JSON");
                        let mut waiting = waiting.lock().expect("nothing panics while it holds this");
                        let reply = match frame["ref"].as_str() {
                            Some(name) => waiting.remove(name),
                            // What API Gateway says of a function that fails names nothing; where only one is waited
                            // for, it is that one's.
                            None if frame["message"] == "Internal server error" && waiting.len() == 1 => {
                                waiting.drain().next().map(|(_, reply)| reply)
                            }
                            None => None,
                        };
                        drop(waiting);
                        // Whoever stopped listening does not want it any more.
                        let _ = match reply {
                            Some(reply) => reply.send(frame).ok(),
                            None => frame_in.send(frame).ok(),
                        };
                    }
                    Message::Close(frame) => close_frame = frame,
                    _ => {}
                }
            }
            let _ = close_in.send(close_frame); // As above.
        });
        Ok(Self {
            user: person.id.clone(),
            sink: AsyncMutex::new(sink),
            replies,
            frames: AsyncMutex::new(frames),
            closed: AsyncMutex::new(Some(closed)),
            next_ref: AtomicU64::default(),
        })
    }

    /// Sends a frame with a `ref` of its own and waits for the reply to it, which may be API Gateway's own `Internal
    /// server error` where nothing else is waited for.
    pub async fn ask(&self, mut frame: Value) -> Value {
        let reference = self.next_ref.fetch_add(1, Ordering::Relaxed).to_string();
        let (reply_in, reply) = oneshot::channel();
        self.replies.lock().expect("nothing panics while it holds this").insert(reference.clone(), reply_in);
        frame["ref"] = json!(reference);
        self.say(&frame.to_string()).await;
        match timeout(PATIENCE, reply).await {
            Ok(Ok(reply)) => reply,
            _ => panic!("{} got no reply to {frame}", self.user),
        }
    }

    /// `sendMessage` with these further fields.
    pub async fn send(&self, recipient: &str, content: &str, more: Value) -> Value {
        let mut frame = json!({ "action": "sendMessage", "recipientId": recipient, "content": content });
        merge(&mut frame, more);
        self.ask(frame).await
    }

    /// `getMessages` with these further fields.
    pub async fn messages(&self, target: &str, more: Value) -> Value {
        let mut frame = json!({ "action": "getMessages", "targetId": target });
        merge(&mut frame, more);
        self.ask(frame).await
    }

    /// `getConversations` with these further fields.
    pub async fn conversations(&self, more: Value) -> Value {
        let mut frame = json!({ "action": "getConversations" });
        merge(&mut frame, more);
        self.ask(frame).await
    }

    /// `markRead`
    pub async fn mark_read(&self, target: &str, seq: u64) -> Value {
        self.ask(json!({ "action": "markRead", "targetId": target, "seq": seq })).await
    }

    /// Every message after `seq`, page by page, oldest first.
    pub async fn catch_up(&self, target: &str, seq: u64) -> Vec<Value> {
        let mut messages: Vec<Value> = Vec::new();
        loop {
            let after = messages.last().map_or(seq, |last| last["seq"].as_u64().expect("a seq is a number"));
            let page = self.messages(target, json!({ "after": after, "limit": 100 })).await;
            messages.extend(page["value"]["messages"].as_array().expect("a page has messages").iter().cloned());
            if page["value"]["lastEvaluatedKey"].is_null() {
                return messages;
            }
        }
    }

    /// Sends a text frame as it is.
    pub async fn say(&self, text: &str) {
        self.sink.lock().await.send(Message::text(text)).await.expect("the connection is open");
    }

    /// The next frame that answers nothing this client asked with a `ref`.
    pub async fn next(&self) -> Value {
        match timeout(PATIENCE, async { self.frames.lock().await.recv().await }).await {
            Ok(Some(frame)) => frame,
            _ => panic!("{} got no further frame", self.user),
        }
    }

    /// The frame that is there already, if any.
    pub async fn already_there(&self) -> Option<Value> {
        self.frames.lock().await.try_recv().ok()
    }

    /// Closes the connection and waits until it is closed.
    pub async fn close(&self) {
        // One that the server has closed in the meantime is closed just as well.
        let _ = self.sink.lock().await.close().await;
        self.closed().await;
    }

    /// Waits until the connection is closed, and gives the close frame.
    pub async fn closed(&self) -> Option<CloseFrame> {
        match self.closed.lock().await.take() {
            Some(closed) => timeout(PATIENCE, closed).await.expect("the connection closes").ok().flatten(),
            None => None,
        }
    }
}

fn merge(frame: &mut Value, more: Value) {
    if let (Some(frame), Value::Object(more)) = (frame.as_object_mut(), more) {
        frame.extend(more);
    }
}
