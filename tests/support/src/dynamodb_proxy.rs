//! A proxy in front of DynamoDB that writes down every call, and may disturb it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

use crate::upstream::{Upstream, broken};

/// One call as it was seen.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `PutItem`.
    pub operation: String,
    /// The request.
    pub body: Value,
}

/// What becomes of a call.
#[derive(Clone)]
pub enum Outcome {
    /// It goes through.
    Forward,
    /// It is done, but the caller gets a dropped connection instead of the answer.
    LoseResponse,
    /// It is not done; the caller gets this status and DynamoDB error.
    Fail(u16, &'static str),
    /// It is not done; the caller gets this status and body.
    Respond(u16, Value),
    /// It goes through once this is notified.
    Hold(Arc<Notify>),
    /// It is done, and the caller gets the answer once this is notified.
    HoldResponse(Arc<Notify>),
}

type Plan = dyn FnMut(&Call) -> Outcome + Send;

/// The proxy.
#[derive(Clone)]
pub struct DynamoDbProxy {
    url: String,
    state: Arc<Shared>,
}

struct Shared {
    upstream: OnceLock<Upstream>,
    calls: Mutex<Vec<Call>>,
    plan: Mutex<Box<Plan>>,
    arrived: Notify,
}

impl DynamoDbProxy {
    /// Listens on a free port and forwards to `target`.
    pub async fn start(target: String) -> Self {
        let wire = Self::unbound().await;
        wire.set_upstream(target);
        wire
    }

    /// Listens on a free port, and leads nowhere yet.
    pub async fn unbound() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(Shared {
            upstream: OnceLock::new(),
            calls: Mutex::default(),
            plan: Mutex::new(Box::new(|_| Outcome::Forward)),
            arrived: Notify::new(),
        });
        let router = Router::new().fallback(forward).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Leads a loose one to `target`. One that leads somewhere already stays so.
    pub fn set_upstream(&self, target: String) {
        let _ = self.state.upstream.set(Upstream::new(target));
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Decides what becomes of every call from now on.
    pub fn inject(&self, plan: impl FnMut(&Call) -> Outcome + Send + 'static) {
        *self.state.plan.lock().expect("no test panics while it holds this") = Box::new(plan);
    }

    /// Forgets the calls so far, and gives how many there were of each operation.
    pub fn take_counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.take_calls() {
            *counts.entry(call.operation).or_default() += 1;
        }
        counts
    }

    /// Forgets the calls so far, and gives them in the order in which they came.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.calls.lock().expect("no test panics while it holds this"))
    }

    /// Waits until this many calls of this operation have come since the last `take`.
    pub async fn saw(&self, operation: &str, count: usize) {
        loop {
            let arrived = self.state.arrived.notified();
            let calls = self.state.calls.lock().expect("no test panics while it holds this").clone();
            if calls.iter().filter(|call| call.operation == operation).count() >= count {
                return;
            }
            arrived.await;
        }
    }
}

async fn forward(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let call = Call {
        operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let fate = (state.plan.lock().expect("a plan does not panic"))(&call);
    state.calls.lock().expect("no test panics while it holds this").push(call);
    state.arrived.notify_waiters();
    match &fate {
        Outcome::Fail(status, error) => {
            let kind = format!("com.amazonaws.dynamodb.v20120810#{error}");
            return answer(*status, &json!({ "__type": kind, "message": "disturbed" }));
        }
        Outcome::Respond(status, body) => return answer(*status, body),
        Outcome::Hold(released) => released.notified().await,
        Outcome::Forward | Outcome::LoseResponse | Outcome::HoldResponse(_) => {}
    }
    let upstream = state.upstream.get().expect("the wire leads somewhere");
    let answer = upstream.forward(Method::POST, "", headers, body).await.expect("the embedded DynamoDB answers");
    match fate {
        Outcome::LoseResponse => return broken(),
        Outcome::HoldResponse(released) => released.notified().await,
        _ => {}
    }
    answer.map(Body::from)
}

fn answer(status: u16, body: &Value) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("a test names a real status");
    let answer = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    answer.body(body.to_string().into()).expect("the parts are valid")
}
