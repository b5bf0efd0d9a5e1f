//! Answers what no other route takes: `ping`, and every mistake in naming an action.

#![warn(clippy::unwrap_used)]

use chat_core::{Error, Reply, Request};
use serde::Deserialize;

#[derive(Deserialize)]
struct Named {
    action: String,
}

/// Makes no AWS call, so that a client may ping as often as it likes.
///
/// # Errors
/// [`Error::UnknownAction`], and [`Error::BadRequest`] where the frame names no action at all.
pub async fn handle(_: &(), request: Request) -> Result<Reply, Error> {
    match request.body::<Named>()?.action.as_str() {
        "ping" => Ok(Reply::Pong),
        _ => Err(Error::UnknownAction),
    }
}
