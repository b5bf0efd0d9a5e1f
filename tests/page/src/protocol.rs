//! Commands to the browser and their answers.

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
    sync::{Mutex as AsyncMutex, broadcast, oneshot},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// How long a command may take before a test is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

type Answers = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// The connection to a browser, over which all its tabs are driven.
pub(crate) struct Protocol {
    sink: AsyncMutex<SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>>,
    answers: Answers,
    events: broadcast::Sender<Value>,
    next: AtomicU64,
}

impl Protocol {
    /// Connects to what the browser has said it listens on.
    pub(crate) async fn connect(url: &str) -> Self {
        // Screenshots come in one message.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = connect_async_with_config(url, Some(config), false).await.unwrap();
        let (sink, mut stream) = socket.split();
        let answers = Answers::default();
        let (events, _) = broadcast::channel(10_000);
        let (waiting, told) = (answers.clone(), events.clone());
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Message::Text(text) = message else { continue };
                let answer: Value = serde_json::from_str(&text).unwrap();
                match answer["id"].as_u64().and_then(|id| waiting.lock().unwrap().remove(&id)) {
                    // Whoever stopped waiting does not want it any more.
                    Some(asked) => drop(asked.send(answer)),
                    None => drop(told.send(answer)),
                }
            }
        });
        Self { sink: AsyncMutex::new(sink), answers, events, next: AtomicU64::new(1) }
    }

    /// Everything that happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Value> {
        self.events.subscribe()
    }

    /// Runs a command, in a tab where a session is given.
    ///
    /// # Errors
    /// What the browser says against it.
    pub(crate) async fn ask(&self, session: Option<&str>, method: &str, parameters: Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.answers.lock().unwrap().insert(id, sender);
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        self.sink.lock().await.send(Message::text(command.to_string())).await.map_err(|error| error.to_string())?;
        let answer = timeout(PATIENCE, answer).await.map_err(|_| format!("{method} was not answered"))?;
        let mut answer = answer.map_err(|_| "the browser has gone".to_owned())?;
        if answer["error"].is_null() { Ok(answer["result"].take()) } else { Err(answer["error"].to_string()) }
    }
}
