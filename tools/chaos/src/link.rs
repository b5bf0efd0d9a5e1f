//! One connection of a client, which can be cut at any byte.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The connection is gone.
    Offline,
    /// Nothing has come for as long as the client waits.
    Timeout,
    /// Something that passes: the same again, in a moment.
    Passing(String),
    /// Something that does not pass.
    Final(String),
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    waiting: Waiting,
    received: Arc<AtomicU64>,
    next_ref: AtomicU64,
    /// Cancelled when it is gone.
    pub gone: CancellationToken,
}

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Value>>>>;

#[derive(Debug)]
enum Outgoing {
    Text(String),
    TextThenCut(String),
    HalfThenCut(String),
    Cut,
    Close,
}

impl Link {
    /// Connects, and hands what answers no request to `unasked`.
    ///
    /// # Errors
    /// A text for a log.
    pub async fn open(url: &str, unasked: impl Fn(Value) + Send + 'static) -> Result<Self, String> {
        let address = url.trim_start_matches("ws://").split('/').next().unwrap_or_default();
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (socket, _) = client_async(url, stream).await.map_err(|error| error.to_string())?;
        let (outgoing, orders) = mpsc::unbounded_channel();
        let link = Self {
            outgoing,
            waiting: Waiting::default(),
            received: Arc::default(),
            next_ref: AtomicU64::new(1),
            gone: CancellationToken::new(),
        };
        tokio::spawn(live(socket, orders, link.waiting.clone(), link.received.clone(), unasked, link.gone.clone()));
        Ok(link)
    }

    /// Asks for something, and waits for the answer as long as `patience` lasts. With `cut`, the socket is cut in the
    /// middle of the frame, or right after it.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn request(&self, mut frame: Value, patience: Duration, cut: Option<Fault>) -> Result<Value, Refusal> {
        let reference = self.next_ref.fetch_add(1, Ordering::Relaxed).to_string();
        frame["ref"] = json!(reference);
        let (answer_in, answer) = oneshot::channel();
        lock(&self.waiting).insert(reference.clone(), answer_in);
        let received = self.received.load(Ordering::Relaxed);
        let text = frame.to_string();
        self.order(match cut {
            Some(Fault::CutInFrame) => Outgoing::HalfThenCut(text),
            Some(_) => Outgoing::TextThenCut(text),
            None => Outgoing::Text(text),
        });
        if self.gone.is_cancelled() {
            return Err(Refusal::Offline);
        }
        match timeout(patience, answer).await {
            Ok(Ok(answer)) => understand(answer),
            Ok(Err(_)) => Err(Refusal::Offline),
            Err(_) => {
                lock(&self.waiting).remove(&reference);
                // Nothing at all has come meanwhile: the connection may be dead.
                if self.received.load(Ordering::Relaxed) == received && patience > Duration::from_secs(5) {
                    self.cut();
                }
                Err(Refusal::Timeout)
            }
        }
    }

    /// Cuts it.
    pub fn cut(&self) {
        self.order(Outgoing::Cut);
    }

    /// Ends it in good order.
    pub fn close(&self) {
        self.order(Outgoing::Close);
    }

    fn order(&self, order: Outgoing) {
        // One that is gone takes no orders, and whoever waits for an answer is told.
        let _ = self.outgoing.send(order);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn live(
    mut socket: WebSocketStream<TcpStream>,
    mut orders: mpsc::UnboundedReceiver<Outgoing>,
    waiting: Waiting,
    received: Arc<AtomicU64>,
    unasked: impl Fn(Value),
    gone: CancellationToken,
) {
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    received.fetch_add(1, Ordering::Relaxed);
                    let frame: Value = serde_json::from_str(&text).unwrap_or_default();
                    dispatch(frame, &waiting, &unasked);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            order = orders.recv() => {
                let goes_on = match order {
                    Some(Outgoing::Text(text)) => socket.send(Message::text(text)).await.is_ok(),
                    Some(Outgoing::TextThenCut(text)) => {
                        // It is cut either way.
                        let _ = socket.send(Message::text(text)).await;
                        false
                    }
                    Some(Outgoing::HalfThenCut(text)) => {
                        let _ = socket.get_mut().write_all(&half_a_frame(&text)).await; // As above.
                        false
                    }
                    Some(Outgoing::Close) => {
                        let _ = socket.close(None).await; // As above.
                        false
                    }
                    Some(Outgoing::Cut) | None => false,
                };
                if !goes_on {
                    break;
                }
            }
        }
    }
    drop(socket);
    gone.cancel();
    // Whoever waits is told that nothing comes any more.
    lock(&waiting).clear();
}

/// Finds whom a frame is for.
fn dispatch(frame: Value, waiting: &Waiting, unasked: &impl Fn(Value)) {
    if let Some(answer) = frame["ref"].as_str().and_then(|name| lock(waiting).remove(name)) {
        // Who has lost patience gets it no more: then it is lost, as in a browser.
        let _ = answer.send(frame);
    } else if frame["type"].is_null() && frame["message"].is_string() {
        // API Gateway's own words name no request.
        for (_, answer) in lock(waiting).drain() {
            let _ = answer.send(frame.clone()); // As above.
        }
    } else if frame["ref"].is_null() {
        unasked(frame);
    }
}

/// The codes that ask for the same again.
const PASSING: [&str; 4] = ["unavailable", "internal", "out_of_date", "rate_limited"];

fn understand(answer: Value) -> Result<Value, Refusal> {
    match (answer["type"].as_str(), answer["code"].as_str()) {
        (None, _) => Err(Refusal::Passing(answer["message"].to_string())),
        (Some("error"), Some(code)) if PASSING.contains(&code) => Err(Refusal::Passing(code.to_owned())),
        (Some("error"), _) => Err(Refusal::Final(answer.to_string())),
        _ => Ok(answer["value"].clone()),
    }
}

/// The first half of a client's frame, masked with zeros.
pub(crate) fn half_a_frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut bytes = vec![0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    bytes.extend(&text.as_bytes()[..text.len() / 2]);
    bytes
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Value>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
