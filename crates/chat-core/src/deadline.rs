//! Giving up in time.

use std::time::Instant;

use tokio::time::timeout_at;

use crate::{error::Error, request::Request};

/// Gives up while there is still time to answer.
///
/// # Errors
/// [`Error::Unavailable`] then, and those of the work.
pub async fn in_time<T>(request: &Request, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    until(request.answer_by(), work).await
}

/// Gives up at this moment.
///
/// # Errors
/// As [`in_time`].
pub(crate) async fn until<T>(end: Instant, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::Unavailable("the function's time was up".into()));
    timeout_at(end.into(), work).await.unwrap_or_else(late)
}
