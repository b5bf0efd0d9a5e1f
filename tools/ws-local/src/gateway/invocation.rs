//! One call of a function, for no longer than an integration may take.

use std::time::Duration;

use serde_json::Value;

use super::{Core, answer::Malformed};
use crate::invoke::InvokeError;

/// Why a function's answer can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Function(#[from] InvokeError),
    #[error("the integration timed out after {0:?}")]
    TimedOut(Duration),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Failure {
    /// What HTTP calls it. A function's own time-out is a failure like any other; the integration's is not.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::TimedOut(_) => 504,
            Self::Function(_) | Self::Malformed(_) => 502,
        }
    }
}

impl Core {
    /// Gives a function an event, and its answer `limit` to come, or less where the gateway allows less.
    pub(super) async fn call(&self, function: &str, event: &Value, limit: Duration) -> Result<Vec<u8>, Failure> {
        let limit = limit.min(self.limits.integration);
        let answer = self.invoke.invoke(function, event.to_string().into_bytes());
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure::TimedOut(limit)),
        }
    }
}
