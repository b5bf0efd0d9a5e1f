//! `FakeConnections`: an `@connections` endpoint that records pushes and closed connections.

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

/// One frame pushed to a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    pub connection_id: String,
    pub frame: Value,
}

/// An `@connections` endpoint. Every call succeeds unless a test sets other responses.
#[derive(Clone)]
pub struct FakeConnections {
    url: String,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    pushes: Mutex<Vec<Push>>,
    closed: Mutex<Vec<String>>,
    /// Response statuses by connection id. Each call uses the next one; the last one is used
    /// repeatedly.
    responses: Mutex<HashMap<String, Vec<u16>>>,
    arrived: Notify,
}

/// Pseudo status: never respond.
const SILENCE: u16 = 0;

impl FakeConnections {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/prod", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(Shared::default());
        let router = Router::new().route("/prod/@connections/{id}", post(push).delete(close)).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Value of `CONNECTIONS_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets the statuses of the next responses for this connection, in order. The last one applies
    /// to all later calls.
    pub fn answer(&self, connection_id: &str, statuses: &[u16]) {
        let mut responses = self.state.responses.lock().expect("no test panics while it holds this");
        responses.insert(connection_id.to_owned(), statuses.to_vec());
    }

    /// Never responds to calls for this connection.
    pub fn silence(&self, connection_id: &str) {
        self.answer(connection_id, &[SILENCE]);
    }

    /// Removes the recorded pushes and returns them.
    pub fn take_pushes(&self) -> Vec<Push> {
        std::mem::take(&mut self.state.pushes.lock().expect("no test panics while it holds this"))
    }

    /// Removes the recorded closes and returns their connection ids.
    pub fn take_closed(&self) -> Vec<String> {
        std::mem::take(&mut self.state.closed.lock().expect("no test panics while it holds this"))
    }

    /// Waits until `count` pushes are recorded.
    pub async fn wait_for_pushes(&self, count: usize) {
        loop {
            let arrived = self.state.arrived.notified();
            if self.state.pushes.lock().expect("no test panics while it holds this").len() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Like [`FakeConnections::take_pushes`], but returns only the connection ids, sorted.
    pub fn take_receivers(&self) -> Vec<String> {
        let mut receivers: Vec<_> = self.take_pushes().into_iter().map(|push| push.connection_id).collect();
        receivers.sort();
        receivers
    }
}

async fn push(State(state): State<Arc<Shared>>, Path(connection_id): Path<String>, body: Bytes) -> Response {
    if let Some(response) = state.error_response(&connection_id).await {
        return response;
    }
    let frame = serde_json::from_slice(&body).unwrap_or_default();
    state.pushes.lock().expect("no test panics while it holds this").push(Push { connection_id, frame });
    state.arrived.notify_waiters();
    StatusCode::OK.into_response()
}

async fn close(State(state): State<Arc<Shared>>, Path(connection_id): Path<String>) -> Response {
    if let Some(response) = state.error_response(&connection_id).await {
        return response;
    }
    state.closed.lock().expect("no test panics while it holds this").push(connection_id);
    StatusCode::NO_CONTENT.into_response()
}

impl Shared {
    /// The error response that a test has set for this connection, if any.
    async fn error_response(&self, connection_id: &str) -> Option<Response> {
        let status = {
            let mut responses = self.responses.lock().expect("no test panics while it holds this");
            let statuses = responses.get_mut(connection_id)?;
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
        let status = StatusCode::from_u16(status).expect("a test uses a real status");
        Some((status, [("x-amzn-ErrorType", error)], "{}").into_response())
    }
}
