//! Requests of backends, which invoke the function `api`: a frame of the protocol and `as`, the user that the caller acts as.

use std::time::SystemTime;

use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    lambda::{
        request_log::{Handled, LogEntry},
        route::deadline,
    },
    model::{error::Error, time::Timestamp, user::UserId},
    protocol::{
        codec::{self, Envelope},
        deadline::until,
        metrics::MetricsRecorder,
        replies::Reply,
        request::{Origin, Request},
    },
};

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Event {
    r#as: Option<UserId>,
    action: Option<String>,
}

/// Handles one request of a backend. The response is the frame that a client would get; null for an action without a reply. An
/// error is a frame, too, so that the caller need not tell two kinds of failures apart.
pub async fn handle_backend<C>(
    context: &C,
    event: LambdaEvent<Value>,
    route: impl AsyncFn(&C, Request) -> Result<Reply, Error>,
) -> Handled<Value> {
    let (event, lambda) = event.into_parts();
    let mut entry = LogEntry::new(&lambda);
    // Nothing but Lambda's event tells the time, and it has none.
    let now = Timestamp::from(SystemTime::now());
    let metrics = MetricsRecorder::new(now);
    let frame = event.to_string();
    let reference = codec::parse::<Envelope>(&frame).map(|envelope| envelope.reference);
    let request = codec::parse::<Event>(&frame).and_then(|Event { r#as, action }| {
        let user =
            r#as.ok_or(Error::bad_request("as: name the user that you act as, such as {\"as\":\"support\", …}"))?;
        entry.route = action;
        Ok(Request {
            user,
            origin: Origin::Backend,
            connection_id: String::new(),
            connected_at: now,
            token_expires_at: None,
            client: None,
            received_at: now,
            deadline: deadline(&lambda),
            subprotocols: Vec::new(),
            frame,
            metrics: metrics.clone(),
        })
    });
    let (reference, result) = match (reference, request) {
        (Err(refused), _) => (None, Err(refused)),
        (Ok(reference), Err(refused)) => (reference, Err(refused)),
        (Ok(reference), Ok(request)) => {
            let end = request.give_up_at();
            // Boxed, because the SDK's futures nest too deep for the compiler otherwise.
            (reference, Box::pin(until(end, route(context, request))).await)
        }
    };
    if let Err(Error::UnknownAction) = &result {
        // Anything can be in there.
        entry.route = None;
    }
    let frame = codec::encode_reply(&result, reference.as_ref());
    entry.end(&result, &metrics, frame.as_deref());
    let response = frame.map_or(Value::Null, |frame| serde_json::from_str(&frame).expect("a frame is JSON"));
    Handled { response, entry }
}
