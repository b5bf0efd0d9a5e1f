//! Requests of a device, and the kinds of failure that it distinguishes.

use std::time::Duration;

use chat_client::{Connection, Cut, RequestError};
use serde_json::Value;

/// Cut a silent connection only if the timeout is longer than this, because a device may be
/// configured with a shorter timeout.
const SILENCE: Duration = Duration::from_secs(5);
/// Error codes after which the same request may succeed. `internal` is none of them, because no
/// injected fault is a fault of the functions.
const RETRYABLE: [&str; 3] = ["unavailable", "out_of_date", "rate_limited"];

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestFailure {
    /// The connection is closed.
    Offline,
    /// No reply came in time.
    Timeout,
    /// The same request may succeed later.
    Retryable(String),
    /// The state of the message or of the group does not allow the request.
    Forbidden(String),
    /// The request refers to what does not exist, or is not the user's to know.
    Invalid(String),
    /// The same request never succeeds.
    Permanent(String),
}

/// Sends a request and returns the `value` of its reply. If a long timeout passes without any
/// frame, cuts the connection, because it may be dead.
pub(super) async fn request(
    connection: &Connection,
    frame: Value,
    patience: Duration,
    cut: Option<Cut>,
) -> Result<Value, RequestFailure> {
    let received = connection.frames_received();
    match connection.request(frame, patience, cut).await {
        Ok(reply) => classify(reply),
        Err(RequestError::Closed) => Err(RequestFailure::Offline),
        Err(RequestError::Timeout) => {
            if connection.frames_received() == received && patience > SILENCE {
                connection.cut();
            }
            Err(RequestFailure::Timeout)
        }
    }
}

fn classify(reply: Value) -> Result<Value, RequestFailure> {
    match (reply["type"].as_str(), reply["code"].as_str()) {
        (None, _) => Err(RequestFailure::Retryable(reply["message"].to_string())),
        (Some("error"), Some(code)) if RETRYABLE.contains(&code) => Err(RequestFailure::Retryable(code.to_owned())),
        (Some("error"), Some("forbidden")) => Err(RequestFailure::Forbidden(reply.to_string())),
        (Some("error"), Some("bad_request")) => Err(RequestFailure::Invalid(reply.to_string())),
        (Some("error"), _) => Err(RequestFailure::Permanent(reply.to_string())),
        _ => Ok(reply["value"].clone()),
    }
}
