//! Between the functions and the gateway's `@connections`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri},
};
use support::broken;
use tokio::time::sleep;

use crate::{fault::Fault, storm::Storm, world::Between};

/// A call, as it was seen.
struct Push {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// The proxy.
pub(crate) fn router(between: Arc<Between>) -> Router {
    Router::new().fallback(take).with_state(between)
}

async fn take(
    State(between): State<Arc<Between>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let trace = headers.get("x-amzn-trace-id").and_then(|trace| trace.to_str().ok()).map(str::to_owned);
    let push = Push { method, path: uri.path().to_owned(), headers, body };
    let Some(storm) = between.storm_of(&push.body) else {
        return between.pass_on(push).await.map_or_else(broken, |answer| answer.map(Body::from));
    };
    let number = storm.number("Push");
    let fault = storm.fault("Push", number, &Fault::OF_PUSHES);
    let answer = between.push(fault, &storm, push, trace.as_deref(), number).await;
    if let Some(answer) = answer.as_ref().filter(|answer| answer.status() != StatusCode::OK) {
        storm.note(format_args!("Push {number} to {} comes to {}", uri.path(), answer.status()));
    }
    answer.unwrap_or_else(broken)
}

impl Between {
    async fn push(
        self: &Arc<Self>,
        fault: Option<Fault>,
        storm: &Storm,
        push: Push,
        trace: Option<&str>,
        number: u64,
    ) -> Option<Response<Body>> {
        let mut rng = storm.plan.rng("push", number);
        match fault {
            Some(Fault::PushGone) => return Some(refusal(StatusCode::GONE, "GoneException")),
            Some(Fault::PushThrottled) => {
                return Some(refusal(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException"));
            }
            Some(Fault::PushFailed) => return Some(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure")),
            Some(Fault::PushSlow) => sleep(Duration::from_millis(rng.u64(50..390))).await,
            Some(Fault::PushUnanswered) => std::future::pending().await,
            Some(Fault::KilledBefore) => {
                self.kill(trace).await;
                return None;
            }
            Some(Fault::KilledAfter | Fault::PushAnswerLost) => {
                self.pass_on(push).await;
                if fault == Some(Fault::KilledAfter) {
                    self.kill(trace).await;
                }
                return None;
            }
            Some(Fault::Paused) => self.pause(storm, trace, Duration::from_millis(rng.u64(20..1_300))),
            _ => {}
        }
        self.pass_on(push).await.map(|answer| answer.map(Body::from))
    }

    async fn pass_on(&self, push: Push) -> Option<Response<Bytes>> {
        let gateway = self.gateway.get()?;
        gateway.forward(push.method, &push.path, push.headers, push.body).await
    }
}

/// What API Gateway says when it says no.
fn refusal(status: StatusCode, error: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(r#"{"message":"disturbed"}"#));
    *response.status_mut() = status;
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(error));
    response
}
