//! `ConnectionsApi`: a client of API Gateway's `@connections`.

use std::{error::Error as StdError, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_apigatewaymanagement::{
    Client, config,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::Blob,
};

/// Sends a frame to one connection, or closes it.
#[derive(Debug, Clone)]
pub struct ConnectionsApi {
    client: Client,
}

/// How long a call for one connection may take.
#[derive(Debug, Clone, Copy)]
pub struct PushTimeouts {
    /// One attempt. API Gateway answers in about 10 ms; a connection whose buffer is full gets a 429.
    pub attempt: Duration,
    /// All attempts together. The sender's acknowledgement waits no longer than this for the slowest connection.
    pub total: Duration,
}

impl Default for PushTimeouts {
    fn default() -> Self {
        Self { attempt: Duration::from_millis(400), total: Duration::from_secs(1) }
    }
}

/// Why a call for a connection failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// API Gateway answers 410: the connection does not exist, or not yet.
    Gone,
    /// Any other reason, for the log.
    Failed(String),
}

impl ConnectionsApi {
    /// A client of the API at `endpoint`: `https://{api}.execute-api.{region}.{suffix}/{stage}`.
    pub(crate) fn new(aws: &SdkConfig, endpoint: String) -> Self {
        let retries = RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(50));
        Self::build(config::Builder::from(aws).endpoint_url(endpoint).retry_config(retries), PushTimeouts::default())
    }

    /// The same client with other time-outs.
    pub fn with_timeouts(self, timeouts: PushTimeouts) -> Self {
        Self::build(self.client.config().to_builder(), timeouts)
    }

    fn build(config: config::Builder, timeouts: PushTimeouts) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(timeouts.attempt)
            .operation_attempt_timeout(timeouts.attempt)
            .operation_timeout(timeouts.total)
            .build();
        Self { client: Client::from_conf(config.timeout_config(timeouts).build()) }
    }

    /// Closes the caller's own connection after a last frame. Returns whether API Gateway accepted that frame; if not, the
    /// connection stays open, so that the frame can be the function's response.
    pub(crate) async fn close_after(&self, connection_id: &str, last_frame: &str) -> bool {
        if let Err(error) = self.post(connection_id, last_frame).await {
            error.log("a last frame could not be pushed", connection_id);
            return false;
        }
        // A client may close the connection by itself when it gets the frame.
        if let Err(error) = self.close(connection_id).await
            && !matches!(error, CallError::Gone)
        {
            error.log("a connection could not be closed", connection_id);
        }
        true
    }

    pub(super) async fn post(&self, connection_id: &str, frame: &str) -> Result<(), CallError> {
        let call = self.client.post_to_connection().connection_id(connection_id).data(Blob::new(frame));
        call.send().await.map(drop).map_err(call_error)
    }

    pub(super) async fn close(&self, connection_id: &str) -> Result<(), CallError> {
        let call = self.client.delete_connection().connection_id(connection_id);
        call.send().await.map(drop).map_err(call_error)
    }
}

impl CallError {
    pub(super) fn log(&self, what: &str, connection_id: &str) {
        let cause = match self {
            Self::Gone => "the connection is gone",
            Self::Failed(cause) => cause,
        };
        tracing::warn!(connection_id, cause, "{what}");
    }
}

fn call_error<E>(error: SdkError<E>) -> CallError
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("GoneException") => CallError::Gone,
        _ => CallError::Failed(DisplayErrorContext(&error).to_string()),
    }
}
