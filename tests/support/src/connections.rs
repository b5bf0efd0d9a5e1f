//! An `@connections` endpoint that remembers what was pushed, and what was closed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};

/// One frame that reached a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Which one.
    pub connection_id: String,
    /// The frame.
    pub frame: Value,
}

/// The endpoint. Every connection takes what it gets, unless a test says otherwise.
#[derive(Clone)]
pub struct Connections {
    url: String,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    pushes: Mutex<Vec<Push>>,
    closed: Mutex<Vec<String>>,
    /// Statuses to answer, one after the other; the last one stays.
    answers: Mutex<HashMap<String, Vec<u16>>>,
    arrived: Notify,
}

/// The status of a connection that never answers.
const SILENCE: u16 = 0;

impl Connections {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/prod", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(Shared::default());
        let router = Router::new().route("/prod/@connections/{id}", post(take).delete(close)).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// What `CONNECTIONS_ENDPOINT` is to be.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls for this connection are answered so from now on: one status after the other, the last one for good.
    pub fn answer(&self, connection_id: &str, statuses: &[u16]) {
        let mut answers = self.state.answers.lock().expect("no test panics while it holds this");
        answers.insert(connection_id.to_owned(), statuses.to_vec());
    }

    /// This connection never answers.
    pub fn silence(&self, connection_id: &str) {
        self.answer(connection_id, &[SILENCE]);
    }

    /// Forgets what was pushed so far, and gives it.
    pub fn take_pushes(&self) -> Vec<Push> {
        std::mem::take(&mut self.state.pushes.lock().expect("no test panics while it holds this"))
    }

    /// Forgets what was closed so far, and gives it.
    pub fn take_closed(&self) -> Vec<String> {
        std::mem::take(&mut self.state.closed.lock().expect("no test panics while it holds this"))
    }

    /// Waits until this many pushes have come since the last `take`.
    pub async fn saw(&self, count: usize) {
        loop {
            let arrived = self.state.arrived.notified();
            if self.state.pushes.lock().expect("no test panics while it holds this").len() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// As [`Connections::take_pushes`], but only to whom, in alphabetical order.
    pub fn take_receivers(&self) -> Vec<String> {
        let mut receivers: Vec<_> = self.take_pushes().into_iter().map(|push| push.connection_id).collect();
        receivers.sort();
        receivers
    }
}

async fn take(State(state): State<Arc<Shared>>, Path(connection_id): Path<String>, body: Bytes) -> Response {
    if let Some(refusal) = state.refusal(&connection_id).await {
        return refusal;
    }
    let frame = serde_json::from_slice(&body).unwrap_or_default();
    state.pushes.lock().expect("no test panics while it holds this").push(Push { connection_id, frame });
    state.arrived.notify_waiters();
    StatusCode::OK.into_response()
}

async fn close(State(state): State<Arc<Shared>>, Path(connection_id): Path<String>) -> Response {
    if let Some(refusal) = state.refusal(&connection_id).await {
        return refusal;
    }
    state.closed.lock().expect("no test panics while it holds this").push(connection_id);
    StatusCode::NO_CONTENT.into_response()
}

impl Shared {
    /// What a test says that this connection answers, unless it takes what it gets.
    async fn refusal(&self, connection_id: &str) -> Option<Response> {
        let status = {
            let mut answers = self.answers.lock().expect("no test panics while it holds this");
            let statuses = answers.get_mut(connection_id)?;
            if statuses.len() > 1 { statuses.remove(0) } else { statuses.first().copied().unwrap_or(200) }
        };
        let error = match status {
            SILENCE => std::future::pending().await,
            200 => return None,
            410 => "GoneException",
            413 => "PayloadTooLargeException",
            429 => "LimitExceededException",
            _ => "InternalServerException",
        };
        let status = StatusCode::from_u16(status).expect("a test names a real status");
        Some((status, [("x-amzn-ErrorType", error)], "{}").into_response())
    }
}
