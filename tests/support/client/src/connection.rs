//! `Connection`: one WebSocket connection of a client, with replies matched to requests by `ref`.

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
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Error, Message, protocol::CloseFrame},
};

/// Small frames are sent at once, because a client waits for the reply to each.
const DISABLE_NAGLE: bool = true;

/// Where to cut the socket while a request is sent, for tests of lost frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After the first half of the frame's text.
    InsideFrame,
    /// After the whole frame is sent, before the reply arrives.
    AfterFrame,
}

/// Why a request has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// The connection is closed, or was closed before the reply came.
    Closed,
    /// The reply did not arrive in time. If it arrives later, `on_frame` receives it.
    Timeout,
}

/// An open connection. Dropping it cuts the socket without a closing handshake.
#[derive(Debug)]
pub struct Connection {
    orders: mpsc::UnboundedSender<Order>,
    pending: Pending,
    received: Arc<AtomicU64>,
    next_ref: AtomicU64,
    status: watch::Receiver<Status>,
}

/// Requests without a reply, by `ref`.
type Pending = Arc<Mutex<HashMap<String, oneshot::Sender<Value>>>>;
type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[derive(Debug)]
enum Order {
    Send(String, Option<Cut>),
    Close,
    Cut,
}

#[derive(Debug)]
enum Status {
    Open,
    Closed(Option<CloseFrame>),
}

impl Connection {
    /// Connects to `url`. `on_frame` receives each frame that is not a reply to a request, in order
    /// of arrival.
    ///
    /// # Errors
    /// [`Error::Http`] if the server refuses the upgrade; otherwise a network or protocol error.
    pub async fn open(url: &str, on_frame: impl Fn(Value) + Send + 'static) -> Result<Self, Box<Error>> {
        let (socket, _) = connect_async_with_config(url, None, DISABLE_NAGLE).await.map_err(Box::new)?;
        let (orders, received_orders) = mpsc::unbounded_channel();
        let (status_in, status) = watch::channel(Status::Open);
        let pending = Pending::default();
        let received = Arc::new(AtomicU64::default());
        let task = Task { pending: pending.clone(), received: received.clone(), on_frame, status: status_in };
        tokio::spawn(task.run(socket, received_orders));
        Ok(Self { orders, pending, received, next_ref: AtomicU64::new(1), status })
    }

    /// Sends a frame with a new `ref` and waits at most `patience` for the reply with that `ref`.
    /// API Gateway's own errors have no `ref`, so each one is delivered to all pending requests.
    ///
    /// If `cut` is given, cuts the socket at that point.
    ///
    /// # Errors
    /// [`RequestError`]
    pub async fn request(&self, mut frame: Value, patience: Duration, cut: Option<Cut>) -> Result<Value, RequestError> {
        let reference = self.next_ref.fetch_add(1, Ordering::Relaxed).to_string();
        frame["ref"] = json!(reference);
        let (reply_in, mut reply) = oneshot::channel();
        lock(&self.pending).insert(reference.clone(), reply_in);
        self.order(Order::Send(frame.to_string(), cut));
        if self.is_closed() {
            return reply.try_recv().map_err(|_| RequestError::Closed);
        }
        match timeout(patience, reply).await {
            Ok(reply) => reply.map_err(|_| RequestError::Closed),
            Err(_) => {
                lock(&self.pending).remove(&reference);
                Err(RequestError::Timeout)
            }
        }
    }

    /// Sends a text frame unchanged. Does nothing if the connection is closed.
    pub fn send_text(&self, text: &str) {
        self.order(Order::Send(text.to_owned(), None));
    }

    /// Starts the closing handshake. [`Connection::closed`] waits for its end.
    pub fn close(&self) {
        self.order(Order::Close);
    }

    /// Cuts the socket without a closing handshake.
    pub fn cut(&self) {
        self.order(Order::Cut);
    }

    /// Waits until the connection is closed. Returns the server's close frame, if it sent one.
    pub async fn closed(&self) -> Option<CloseFrame> {
        match &*self.status.clone().wait_for(|status| matches!(status, Status::Closed(_))).await.ok()? {
            Status::Closed(frame) => frame.clone(),
            Status::Open => None,
        }
    }

    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        // If the sender is gone, the task has panicked.
        matches!(*self.status.borrow(), Status::Closed(_)) || self.status.has_changed().is_err()
    }

    /// Number of text frames received so far.
    pub fn frames_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    fn order(&self, order: Order) {
        // Sending fails if the connection is closed. `status` and `pending` report that to the
        // caller.
        let _ = self.orders.send(order);
    }
}

/// The task that owns the socket: carries out orders and dispatches received frames.
struct Task<F> {
    pending: Pending,
    received: Arc<AtomicU64>,
    on_frame: F,
    status: watch::Sender<Status>,
}

impl<F: Fn(Value)> Task<F> {
    async fn run(self, mut socket: Socket, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut close_frame = None;
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.receive(&text),
                    Some(Ok(Message::Close(frame))) => close_frame = frame,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                },
                order = orders.recv() => {
                    let is_cut = match order {
                        Some(order) => obey(&mut socket, order).await,
                        None => true,
                    };
                    if is_cut {
                        break;
                    }
                }
            }
        }
        drop(socket);
        self.status.send_replace(Status::Closed(close_frame));
        // Clear `pending` after setting the status: a request added later sees the status. Dropping
        // the senders wakes the requests that wait.
        lock(&self.pending).clear();
    }

    fn receive(&self, text: &str) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let frame: Value = serde_json::from_str(text).expect("every frame is JSON");
        let requests: Vec<_> = {
            let mut pending = lock(&self.pending);
            match frame["ref"].as_str() {
                Some(reference) => pending.remove(reference).into_iter().collect(),
                None if is_gateway_error(&frame) => pending.drain().map(|(_, request)| request).collect(),
                None => Vec::new(),
            }
        };
        if requests.is_empty() {
            (self.on_frame)(frame);
        } else {
            for request in requests {
                // An error means that the caller no longer waits for the reply.
                let _ = request.send(frame.clone());
            }
        }
    }
}

/// Carries out an order. Returns true if the socket must be cut. A failed write is ignored, because
/// the next read fails too.
async fn obey(socket: &mut Socket, order: Order) -> bool {
    match order {
        Order::Send(text, Some(Cut::InsideFrame)) => {
            let _ = socket.get_mut().write_all(&half_frame(&text)).await;
            true
        }
        Order::Send(text, cut) => {
            let _ = socket.send(Message::text(text)).await;
            cut.is_some()
        }
        Order::Close => {
            let _ = socket.close(None).await;
            false
        }
        Order::Cut => true,
    }
}

/// API Gateway's own errors, such as `{"message": "Internal server error", …}`, have no `type`.
fn is_gateway_error(frame: &Value) -> bool {
    frame["type"].is_null() && frame["message"].is_string()
}

/// The first half of a client's text frame: the header and half of the text. The mask is zero.
pub fn half_frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut bytes = vec![0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    bytes.extend(&text.as_bytes()[..text.len() / 2]);
    bytes
}

fn lock(pending: &Pending) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Value>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
