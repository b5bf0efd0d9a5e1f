//! Request deadlines.

use std::time::Instant;

use tokio::time::timeout_at;

use crate::{model::error::Error, protocol::request::Request};

/// Runs `work` until [`Request::answer_by`], so that there is time left to answer. It is boxed, because the futures of one
/// caller together would fill the stack of a thread in a debug build.
///
/// # Errors
/// [`Error::Unavailable`] if `work` takes longer, and those of `work`.
pub fn in_time<T>(
    request: &Request,
    work: impl Future<Output = Result<T, Error>>,
) -> impl Future<Output = Result<T, Error>> {
    until(request.answer_by(), Box::pin(work))
}

/// As [`in_time`], until `end`.
pub(crate) async fn until<T>(end: Instant, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::Unavailable("the function ran out of time".into()));
    timeout_at(end.into(), work).await.unwrap_or_else(late)
}
