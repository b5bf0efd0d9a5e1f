//! `$default`: `ping`, and every frame that no other route accepts.

#![warn(clippy::unwrap_used)]

use chat_core::{Error, Reply, Request};

/// Makes no AWS call, so that a client may ping often.
///
/// # Errors
/// [`Error::UnknownAction`], and [`Error::BadRequest`] if the frame has no `action`.
pub async fn handle(_: &(), request: Request) -> Result<Reply, Error> {
    match request.action()?.as_str() {
        "ping" => Ok(Reply::Pong),
        _ => Err(Error::UnknownAction),
    }
}
