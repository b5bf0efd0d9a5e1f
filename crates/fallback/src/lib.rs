//! `$default`: `ping`, and every frame that no other route accepts.

#![warn(clippy::unwrap_used)]

use chat_core::{Error, Reply, Request};
use serde::Deserialize;

#[derive(Deserialize)]
struct Frame {
    action: String,
}

/// Makes no AWS call, so that a client may ping often.
///
/// # Errors
/// [`Error::UnknownAction`], and [`Error::BadRequest`] if the frame has no `action`.
pub async fn handle(_: &(), request: Request) -> Result<Reply, Error> {
    match request.body::<Frame>()?.action.as_str() {
        "ping" => Ok(Reply::Pong),
        _ => Err(Error::UnknownAction),
    }
}
