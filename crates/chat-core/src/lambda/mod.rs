//! The Lambda edge: the only code that knows events, responses and the Lambda runtime.

mod authorizer;
mod backend;
mod identity;
mod log_settings;
mod request_log;
mod response;
mod route;
mod span;
mod start_error;
mod subprotocols;

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    model::error::Error,
    protocol::{
        replies::Reply,
        request::{ConnectRequest, Identity, Request},
    },
    push::connections_api::ConnectionsApi,
};
use span::SpanLayer;

pub use authorizer::{AuthorizerEvent, authorize};
pub use backend::handle_backend;
pub use log_settings::LogSettings;
pub use request_log::{Handled, LogEntry, RequestLog};
pub use response::RouteResponse;
pub use route::{handle_event, handle_message};
pub(crate) use start_error::StartError;

/// Serves the route of a message, one event after another.
pub(crate) async fn serve_messages<C>(
    context: &C,
    connections: &ConnectionsApi,
    log: &RequestLog,
    route: impl AsyncFn(&C, Request) -> Result<Reply, Error>,
) -> Result<(), StartError> {
    let route = &route;
    serve(log, async |event| handle_message(context, connections, event, route).await.map(Ok)).await
}

/// Serves `$connect` or `$disconnect`, whose connection can't get a frame.
pub(crate) async fn serve_lifecycle<C>(
    context: &C,
    log: &RequestLog,
    route: impl AsyncFn(&C, Request) -> Result<Reply, Error>,
) -> Result<(), StartError> {
    let route = &route;
    serve(log, async |event| handle_event(context, event, route).await.map(Ok)).await
}

/// Serves the requests of backends.
pub(crate) async fn serve_backends<C>(
    context: &C,
    log: &RequestLog,
    route: impl AsyncFn(&C, Request) -> Result<Reply, Error>,
) -> Result<(), StartError> {
    let route = &route;
    serve(log, async |event| handle_backend(context, event, route).await.map(Ok)).await
}

/// Serves the authorizer.
pub(crate) async fn serve_authorizer<C>(
    context: &C,
    log: &RequestLog,
    authorizer: impl AsyncFn(&C, ConnectRequest) -> Result<Identity, Error>,
) -> Result<(), StartError> {
    let authorizer = &authorizer;
    serve(log, async |event| authorize(context, event, authorizer).await).await
}

/// Takes events from the Runtime API, without end, and logs each.
async fn serve<E, R>(
    log: &RequestLog,
    handle: impl AsyncFn(LambdaEvent<E>) -> Handled<Result<R, Diagnostic>>,
) -> Result<(), StartError>
where
    E: DeserializeOwned,
    R: Serialize,
{
    let handle = &handle;
    let service = service_fn(async |event| {
        // Boxed, because the nested futures are too deep for the compiler otherwise.
        let handled = Box::pin(handle(event)).await;
        log.write(&handled.entry);
        handled.response
    });
    Runtime::new(service).layer(SpanLayer).run().await.map_err(StartError::new)
}

impl<R> Handled<R> {
    fn map<T>(self, change: impl FnOnce(R) -> T) -> Handled<T> {
        Handled { response: change(self.response), entry: self.entry }
    }
}
