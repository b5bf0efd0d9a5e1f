//! `DynamoDbProxy`: a proxy in front of DynamoDB. It records every call and can fail or hold calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::fault_proxy::{FaultProxy, HttpCall, Upstream, lost_response};

/// One recorded call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The DynamoDB operation, such as `PutItem`.
    pub operation: String,
    /// The request as JSON.
    pub body: Value,
    /// The access key that signed it; see [`FakeAws::context_of`](crate::FakeAws::context_of).
    pub access_key: String,
}

impl Call {
    /// Whether the call reads or writes items of this table only.
    pub fn is_on(&self, table: &str) -> bool {
        self.body["TableName"] == table || self.body["RequestItems"].get(table).is_some()
    }
}

/// How the proxy handles a call.
#[derive(Clone)]
pub enum Outcome {
    Forward,
    /// Forward the call, then break the connection instead of sending the response.
    LoseResponse,
    /// Respond with this status and DynamoDB error, without forwarding.
    Fail(u16, &'static str),
    /// Respond with this status and body, without forwarding.
    Respond(u16, Value),
    /// Forward the call only when this is notified.
    Hold(Arc<Notify>),
    /// Forward the call at once; send the response only when this is notified.
    HoldResponse(Arc<Notify>),
}

type Plan = dyn FnMut(&Call) -> Outcome + Send;

#[derive(Clone)]
pub struct DynamoDbProxy {
    proxy: FaultProxy,
    state: Arc<Shared>,
}

struct Shared {
    calls: Mutex<Vec<Call>>,
    plan: Mutex<Box<Plan>>,
    arrived: Notify,
}

impl DynamoDbProxy {
    /// Starts a proxy that forwards to `target`.
    pub async fn start(target: String) -> Self {
        let proxy = Self::unbound().await;
        proxy.set_upstream(target);
        proxy
    }

    /// Starts a proxy without an upstream, for a system that needs the proxy's address before its
    /// DynamoDB has started.
    pub async fn unbound() -> Self {
        let state = Arc::new(Shared {
            calls: Mutex::default(),
            plan: Mutex::new(Box::new(|_| Outcome::Forward)),
            arrived: Notify::new(),
        });
        let shared = state.clone();
        let proxy = FaultProxy::start(move |upstream, call| handle(shared.clone(), upstream, call)).await;
        Self { proxy, state }
    }

    /// Sets the upstream. Later calls have no effect.
    pub fn set_upstream(&self, target: String) {
        self.proxy.set_upstream(target);
    }

    /// The endpoint for clients.
    pub fn url(&self) -> &str {
        self.proxy.url()
    }

    /// Sets the function that decides the outcome of every later call.
    pub fn inject(&self, plan: impl FnMut(&Call) -> Outcome + Send + 'static) {
        *self.state.plan.lock().expect("no test panics while it holds this") = Box::new(plan);
    }

    /// Removes the recorded calls and returns how many there were of each operation.
    pub fn take_counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.take_calls() {
            *counts.entry(call.operation).or_default() += 1;
        }
        counts
    }

    /// Removes the recorded calls and returns them in the order of arrival.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.calls.lock().expect("no test panics while it holds this"))
    }

    /// Waits until `count` calls of this operation are recorded.
    pub async fn wait_for_calls(&self, operation: &str, count: usize) {
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

async fn handle(state: Arc<Shared>, upstream: Upstream, http_call: HttpCall) -> Response<Body> {
    let call = Call {
        operation: http_call.operation().to_owned(),
        body: serde_json::from_slice(&http_call.body).unwrap_or_default(),
        access_key: http_call.access_key().to_owned(),
    };
    let outcome = (state.plan.lock().expect("a plan does not panic"))(&call);
    state.calls.lock().expect("no test panics while it holds this").push(call);
    state.arrived.notify_waiters();
    match &outcome {
        Outcome::Fail(status, error) => {
            let kind = format!("com.amazonaws.dynamodb.v20120810#{error}");
            return respond(*status, &json!({ "__type": kind, "message": "injected by a test" }));
        }
        Outcome::Respond(status, body) => return respond(*status, body),
        Outcome::Hold(released) => released.notified().await,
        Outcome::Forward | Outcome::LoseResponse | Outcome::HoldResponse(_) => {}
    }
    let response = upstream.forward(http_call).await.expect("the embedded DynamoDB responds");
    match outcome {
        Outcome::LoseResponse => return lost_response(),
        Outcome::HoldResponse(released) => released.notified().await,
        _ => {}
    }
    response.map(Body::from)
}

fn respond(status: u16, body: &Value) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("a test uses a real status");
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(body.to_string().into()).expect("the parts are valid")
}
