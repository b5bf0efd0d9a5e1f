//! Between the functions and DynamoDB.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode},
};
use serde_json::Value;
use support::broken;
use tokio::time::sleep;

use crate::{fault::Fault, storm::Storm, world::Between};

/// Longer than an attempt of a function may take.
const TOO_LATE: Duration = Duration::from_millis(1_200);
/// By how much a connection is made older, in milliseconds.
const AN_HOUR: i64 = 3_600_000;

/// A call, as it was seen.
struct Call {
    kind: &'static str,
    trace: Option<String>,
    headers: HeaderMap,
    body: Bytes,
    value: Value,
}

/// The proxy.
pub(crate) fn router(between: Arc<Between>) -> Router {
    Router::new().fallback(take).with_state(between)
}

async fn take(State(between): State<Arc<Between>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let call = Call::new(headers, body);
    let Some(storm) = between.storm_of(&call.body) else {
        return between.forward(&call).await.map_or_else(broken, |answer| answer.map(Body::from));
    };
    let number = storm.number(call.kind);
    connections_come_and_go(&between, &storm, &call, number);
    if call.kind == "RemoveClient" && is_unheard(&between, &call) {
        return Response::new(Body::from("{}"));
    }
    if !between.latency.is_zero() {
        sleep(between.latency).await;
    }
    if storm.plan.jitter {
        let time = storm.plan.rng("jitter", number).u64(0..12);
        sleep(Duration::from_millis(time)).await;
    }
    let fault = storm.fault(call.kind, number, &Fault::OF_DYNAMODB);
    let answer = between.meet(fault, &storm, Arc::new(call), number).await;
    answer.unwrap_or_else(broken)
}

impl Call {
    fn new(headers: HeaderMap, body: Bytes) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let operation = header("x-amz-target");
        let operation = operation.rsplit('.').next().unwrap_or_default();
        let kind = match (operation, value["TableName"].as_str().unwrap_or_default()) {
            ("Query", "MessagesTable") => "Look",
            ("PutItem", "MessagesTable") => "Put",
            ("GetItem", "MessagesTable") => "Get",
            ("Query", "ClientsTable") => "Connections",
            ("PutItem", "ClientsTable") => "AddClient",
            ("DeleteItem", "ClientsTable") => "RemoveClient",
            _ => "Other",
        };
        let trace = Some(header("x-amzn-trace-id")).filter(|trace| !trace.is_empty());
        Self { kind, trace, headers, body, value }
    }
}

/// Decides which connections end without a `$disconnect`.
fn connections_come_and_go(between: &Between, storm: &Storm, call: &Call, number: u64) {
    if call.kind == "AddClient" && !storm.is_calm() {
        let connection = call.value["Item"]["connectionId"]["S"].as_str().unwrap_or_default();
        if storm.plan.rng("mute", number).u32(0..1_000) < storm.plan.rate(Fault::DisconnectLost) {
            storm.strike(Fault::DisconnectLost, connection);
            between.mute(connection);
        }
    }
}

/// Whether this is the `$disconnect` of a connection that has none. Rows that a push finds to be gone do go.
fn is_unheard(between: &Between, call: &Call) -> bool {
    let connection = call.value["Key"]["connectionId"]["S"].as_str().unwrap_or_default();
    between.is_muted(connection) && between.function(call.trace.as_deref()).as_deref() == Some("DisconnectFunction")
}

impl Between {
    /// The answer, if the function is to get one.
    async fn meet(
        self: &Arc<Self>,
        fault: Option<Fault>,
        storm: &Arc<Storm>,
        call: Arc<Call>,
        number: u64,
    ) -> Option<Response<Body>> {
        let trace = call.trace.as_deref();
        let mut rng = storm.plan.rng("time", number);
        match fault {
            Some(Fault::Throttled) => return Some(failure(400, "ThrottlingException")),
            Some(Fault::ServerError) => return Some(failure(500, "InternalServerError")),
            Some(Fault::Slow) => sleep(Duration::from_millis(rng.u64(20..500))).await,
            Some(Fault::Unanswered) => std::future::pending().await,
            Some(Fault::AppliedLate) => {
                let (between, call) = (self.clone(), call.clone());
                // In a task: this one ends with the function's patience.
                storm.tasks.spawn(async move {
                    sleep(TOO_LATE).await;
                    between.forward(&call).await;
                });
                std::future::pending().await
            }
            Some(Fault::KilledBefore) => {
                self.kill(trace).await;
                return None;
            }
            Some(Fault::KilledAfter | Fault::AnswerLost) => {
                let (between, call) = (self.clone(), call.clone());
                let done = storm.tasks.spawn(async move { between.forward(&call).await });
                // What failed there is as lost as what was done.
                let _ = done.await;
                if fault == Some(Fault::KilledAfter) {
                    self.kill(trace).await;
                }
                return None;
            }
            Some(Fault::Paused) => self.pause(storm, trace, Duration::from_millis(rng.u64(20..1_300))),
            Some(Fault::TimedOut) => self.pause(storm, trace, Duration::from_secs(11)),
            _ => {}
        }
        let answer = self.forward(&call).await?;
        Some(if call.kind == "Connections" && storm.plan.aged { self.aged(answer) } else { answer.map(Body::from) })
    }

    async fn forward(&self, call: &Call) -> Option<Response<Bytes>> {
        let dynamodb = self.dynamodb.get()?;
        dynamodb.forward(Method::POST, "/", call.headers.clone(), call.body.clone()).await
    }

    /// Makes connections an hour older in an answer. Not those whose `$connect` may still be running: of them API
    /// Gateway says 410, and their age is what protects them.
    fn aged(&self, answer: Response<Bytes>) -> Response<Body> {
        let (mut parts, body) = answer.into_parts();
        let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
        for item in value["Items"].as_array_mut().into_iter().flatten() {
            let connected_at = item["connectedAt"]["N"].as_str().and_then(|at| at.parse::<i64>().ok());
            let connection = item["connectionId"]["S"].as_str().unwrap_or_default();
            if let (Some(connected_at), true) = (connected_at, self.was_opened(connection)) {
                item["connectedAt"]["N"] = (connected_at - AN_HOUR).to_string().into();
            }
        }
        for header in ["content-length", "x-amz-crc32"] {
            parts.headers.remove(header);
        }
        Response::from_parts(parts, value.to_string().into())
    }
}

/// An answer of DynamoDB that says no.
fn failure(status: u16, error: &str) -> Response<Body> {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{error}","message":"disturbed"}}"#);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
