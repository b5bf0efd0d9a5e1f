//! How an event reaches a function: the seam between the gateway and whatever runs the functions.

use std::{future::Future, pin::Pin, time::Duration};

/// The answer of one invocation.
pub type Answer = Result<Vec<u8>, InvokeError>;

/// Something that runs functions: processes on this machine, or a Lambda Invoke endpoint elsewhere.
pub trait Invoke: Send + Sync + 'static {
    /// Gives `event` (JSON) to the function with this logical id and waits for its answer (JSON), for as long as the
    /// function's own time-out allows.
    fn invoke(&self, function: &str, event: Vec<u8>) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
}

/// Why an invocation has no answer. What a client sees of it is for the gateway to say.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The function reported an error instead of an answer: its payload, `{"errorType", "errorMessage"}`.
    #[error("the function failed: {0}")]
    Failed(String),
    /// It was killed when its time was up.
    #[error("the function timed out after {0:?}")]
    TimedOut(Duration),
    /// The process ended before it answered.
    #[error("the function's process ended before it answered ({0})")]
    Exited(String),
    /// More events at once than the function may handle; Lambda's `TooManyRequestsException`.
    #[error("too many events at once (limit {0})")]
    Throttled(usize),
    /// It could not be started or reached.
    #[error("the function could not be run")]
    Unreachable(#[source] anyhow::Error),
}
