//! The start of a function: read the configuration, build the context, serve.

use std::time::Instant;

use crate::{
    configuration::{Configuration, FromConfiguration},
    lambda::{self, LogSettings, RequestLog, StartError},
    model::error::Error,
    protocol::{
        replies::Reply,
        request::{ConnectRequest, Identity, Request},
    },
    push::connections_api::ConnectionsApi,
};

/// Runs the route of a message. A message on a connection whose token has expired gets the error `token_expired`, and the
/// connection is closed.
///
/// # Errors
/// If a variable is missing or invalid, or the Runtime API can't be reached. The process must end then.
pub async fn run<C: FromConfiguration>(
    route: impl AsyncFn(&C, Request) -> Result<Reply, Error>,
) -> Result<(), StartError> {
    let start = Start::new()?;
    let context: C = start.build()?;
    let connections: ConnectionsApi = start.build()?;
    lambda::serve_messages(&context, &connections, &start.request_log()?, route).await
}

/// Runs the route `$connect` or `$disconnect`.
///
/// # Errors
/// As [`run`].
pub async fn run_lifecycle<C: FromConfiguration>(
    route: impl AsyncFn(&C, Request) -> Result<Reply, Error>,
) -> Result<(), StartError> {
    let start = Start::new()?;
    let context: C = start.build()?;
    lambda::serve_lifecycle(&context, &start.request_log()?, route).await
}

/// Runs the authorizer.
///
/// # Errors
/// As [`run`].
pub async fn run_authorizer<C: FromConfiguration>(
    authorizer: impl AsyncFn(&C, ConnectRequest) -> Result<Identity, Error>,
) -> Result<(), StartError> {
    let start = Start::new()?;
    let context: C = start.build()?;
    lambda::serve_authorizer(&context, &start.request_log()?, authorizer).await
}

/// A process before its first event.
struct Start {
    began: Instant,
    configuration: Configuration,
    log: LogSettings,
}

impl Start {
    fn new() -> Result<Self, StartError> {
        let began = Instant::now();
        let configuration = Configuration::from_environment();
        let log = configuration.log().map_err(StartError::new)?;
        log.install()?;
        Ok(Self { began, configuration, log })
    }

    fn build<T: FromConfiguration>(&self) -> Result<T, StartError> {
        T::from_configuration(&self.configuration).map_err(StartError::new)
    }

    /// Called last, because the log contains how long the start took.
    fn request_log(&self) -> Result<RequestLog, StartError> {
        let namespace = self.configuration.metrics_namespace().map_err(StartError::new)?;
        Ok(RequestLog::new(&self.log, namespace, self.began.elapsed()))
    }
}
