//! The integration of a route with its function: one invocation, limited by the integration time-out.

use std::time::Duration;

use serde_json::Value;

use super::{proxy_response::InvalidResponse, state::GatewayState};
use crate::invoke::InvokeError;

/// Why a function returned no usable response.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntegrationError {
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    #[error("the integration timed out after {0:?}")]
    TimedOut(Duration),
    #[error(transparent)]
    InvalidResponse(#[from] InvalidResponse),
}

impl IntegrationError {
    /// The HTTP status. Only a time-out of the integration is 504. A time-out of the function is
    /// 502, like other failures.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::TimedOut(_) => 504,
            Self::Invoke(_) | Self::InvalidResponse(_) => 502,
        }
    }

    /// The error and its causes in one line.
    pub(super) fn into_detail(self) -> String {
        format!("{:#}", anyhow::Error::new(self))
    }
}

/// Invokes a function and waits at most for `limit`, or for the gateway's own limit if that is
/// shorter.
pub(super) async fn call(
    state: &GatewayState,
    function: &str,
    event: &Value,
    limit: Duration,
) -> Result<Vec<u8>, IntegrationError> {
    let limit = limit.min(state.limits.integration);
    let result = state.invoke.invoke(function, event.to_string().into_bytes());
    match tokio::time::timeout(limit, result).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(IntegrationError::TimedOut(limit)),
    }
}
