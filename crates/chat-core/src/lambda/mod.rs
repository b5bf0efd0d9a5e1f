//! The Lambda edge: the only code that knows what an event and an answer look like.

mod authorizer;
mod route;

use std::{error::Error as StdError, fmt};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    configuration::{Configuration, InvalidConfiguration, Log, Provide},
    delivery::Delivery,
    error::{Error as RouteError, chain},
    frames::Reply,
    request::{Identity, Request, Upgrade},
};

pub use authorizer::{Authorize, policy};
pub use route::{answer, answer_or_close};

/// The header in which a client offers subprotocols, and a browser its token.
const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";

/// The single offers of one such header.
fn offers(header: &str) -> impl Iterator<Item = String> {
    header.split(',').map(|offer| offer.trim().to_owned())
}

/// Runs the route of a message: makes what it works with, then hands it one event after the other. A connection whose
/// token has expired is answered that, and closed.
///
/// # Errors
/// Where a variable is missing or wrong, or the Runtime API can't be reached. The process then ends.
pub async fn run<T: Provide>(route: impl AsyncFn(&T, Request) -> Result<Reply, RouteError>) -> Result<(), Error> {
    let route = &route;
    serve(true, async |(tools, delivery): &(T, Delivery), event| {
        Ok(answer_or_close(tools, delivery, event, route).await)
    })
    .await
}

/// Runs `$connect`, the route of a connection that is none yet.
///
/// # Errors
/// As [`run`].
pub async fn run_connect<T: Provide>(
    route: impl AsyncFn(&T, Request) -> Result<Reply, RouteError>,
) -> Result<(), Error> {
    serve(true, async |tools: &T, event| Ok(answer(tools, event, &route).await)).await
}

/// Runs `$disconnect`, the route of a connection that is none any more. Nobody waits for it, so nothing is opened before
/// it is needed.
///
/// # Errors
/// As [`run`].
pub async fn run_disconnect<T: Provide>(
    route: impl AsyncFn(&T, Request) -> Result<Reply, RouteError>,
) -> Result<(), Error> {
    serve(false, async |tools: &T, event| Ok(answer(tools, event, &route).await)).await
}

/// Runs the authorizer in the same way.
///
/// # Errors
/// As [`run`].
pub async fn run_authorizer<T: Provide>(
    authorizer: impl AsyncFn(&T, Upgrade) -> Result<Identity, RouteError>,
) -> Result<(), Error> {
    serve(true, async |tools: &T, event| policy(tools, event, &authorizer).await).await
}

/// Runs any function: the same start for the routes and for the authorizer, whose events differ.
async fn serve<T: Provide, E, A>(
    warm: bool,
    function: impl AsyncFn(&T, LambdaEvent<E>) -> Result<A, Diagnostic>,
) -> Result<(), Error>
where
    E: DeserializeOwned,
    A: Serialize,
{
    let configuration = Configuration::of_process();
    log(&configuration.log()?);
    let tools = T::provide(&configuration).await?;
    if warm {
        tools.warm().await;
    }
    lambda_runtime::run(service_fn(|event| function(&tools, event))).await?;
    Ok(())
}

/// Writes log lines to where Lambda collects them, which adds the time by itself.
fn log(log: &Log) {
    let lines = tracing_subscriber::fmt().with_max_level(log.level).with_target(false).without_time();
    match log.json {
        true => lines.json().init(),
        false => lines.init(),
    }
}

/// Why a function can't run. Its `Debug` form, which is what Rust prints of a failed `main`, is the sentence itself.
pub struct Error(Box<dyn StdError + Send + Sync>);

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self.0.as_ref()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Error {}

impl From<InvalidConfiguration> for Error {
    fn from(error: InvalidConfiguration) -> Self {
        Self(error.into())
    }
}

impl From<lambda_runtime::Error> for Error {
    fn from(error: lambda_runtime::Error) -> Self {
        Self(error)
    }
}
