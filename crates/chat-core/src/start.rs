//! The start of a function: read the configuration, build the context, serve.

use std::{process::ExitCode, time::Instant};

use crate::{
    configuration::{Configuration, FromConfiguration},
    lambda::{self, LogSettings, RequestLog, StartError},
    model::error::{Error, chain},
    protocol::{
        replies::Reply,
        request::{ConnectRequest, Identity, Request},
    },
    push::connections_api::ConnectionsApi,
};

/// Runs the route of a message. A message on a connection whose token has expired gets the error `token_expired`, and the
/// connection is closed.
///
/// It returns if a variable is missing or invalid, or if the Runtime API can't be reached. The cause is logged then, as one
/// line at level ERROR.
pub async fn run<C: FromConfiguration>(route: impl AsyncFn(&C, Request) -> Result<Reply, Error>) -> ExitCode {
    exit_code(async |start| {
        let context: C = start.build()?;
        let connections: ConnectionsApi = start.build()?;
        lambda::serve_messages(&context, &connections, &start.request_log()?, route).await
    })
    .await
}

/// Runs the route `$connect` or `$disconnect`. It returns as [`run`] does.
pub async fn run_lifecycle<C: FromConfiguration>(route: impl AsyncFn(&C, Request) -> Result<Reply, Error>) -> ExitCode {
    exit_code(async |start| {
        let context: C = start.build()?;
        lambda::serve_lifecycle(&context, &start.request_log()?, route).await
    })
    .await
}

/// Runs the function that backends invoke. It returns as [`run`] does.
pub async fn run_backend<C: FromConfiguration>(route: impl AsyncFn(&C, Request) -> Result<Reply, Error>) -> ExitCode {
    exit_code(async |start| {
        let context: C = start.build()?;
        lambda::serve_backends(&context, &start.request_log()?, route).await
    })
    .await
}

/// Runs the authorizer. It returns as [`run`] does.
pub async fn run_authorizer<C: FromConfiguration>(
    authorizer: impl AsyncFn(&C, ConnectRequest) -> Result<Identity, Error>,
) -> ExitCode {
    exit_code(async |start| {
        let context: C = start.build()?;
        lambda::serve_authorizer(&context, &start.request_log()?, authorizer).await
    })
    .await
}

/// Starts a function, and returns its exit code when it ends. `main` doesn't return the error, because Rust would print it
/// as plain text, which Lambda drops if the log level is above INFO.
async fn exit_code(run: impl AsyncFnOnce(Start) -> Result<(), StartError>) -> ExitCode {
    let began = Instant::now();
    let configuration = Configuration::from_environment();
    let function = configuration.function_name();
    let result = async { run(Start::new(began, configuration)?).await };
    match result.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function, cause = chain(&error), "the function can't start");
            ExitCode::FAILURE
        }
    }
}

/// A process before its first event.
struct Start {
    began: Instant,
    configuration: Configuration,
    log: LogSettings,
}

impl Start {
    fn new(began: Instant, configuration: Configuration) -> Result<Self, StartError> {
        let log = configuration.log();
        // An invalid level is an error that the log must show.
        log.as_ref().unwrap_or(&configuration.log_of_errors()).install()?;
        Ok(Self { began, configuration, log: log.map_err(StartError::new)? })
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
