//! `Invoke`: the interface between the gateway and the component that runs the functions.

use std::{future::Future, pin::Pin, time::Duration};

/// The payload that a function returned (JSON), or why there is none.
pub type InvokeResult = Result<Vec<u8>, InvokeError>;

/// Runs functions.
pub trait Invoke: Send + Sync + 'static {
    /// Invokes the function with this logical id and waits for its result, at most for the
    /// function's own time-out. `payload` is JSON.
    fn invoke(&self, function: &str, payload: Vec<u8>) -> Pin<Box<dyn Future<Output = InvokeResult> + Send>>;
}

/// Why an invocation has no result. The gateway selects the error that the client gets.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The function reported an error. Holds its payload: `{"errorType", "errorMessage"}`.
    #[error("the function failed: {0}")]
    Failed(String),
    /// The function exceeded its time-out, and its process was killed.
    #[error("the function timed out after {0:?}")]
    TimedOut(Duration),
    /// The process ended before it responded. Holds its exit status and last lines.
    #[error("the function's process ended before it responded ({0})")]
    Exited(String),
    /// The function already handles its maximum number of invocations. Corresponds to Lambda's
    /// `TooManyRequestsException`.
    #[error("too many invocations at once (limit {0})")]
    Throttled(usize),
    /// The function is unknown, or its process can't be started.
    #[error("the function could not be run")]
    Unreachable(#[source] anyhow::Error),
}
