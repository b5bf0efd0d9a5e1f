//! The Lambda edge: the only code that knows what an event and an answer look like.

mod authorizer;
mod journal;
mod route;
mod span;

use std::{error::Error as StdError, fmt, time::Instant};

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use tracing::subscriber::set_global_default;

use crate::{
    configuration::{Configuration, InvalidConfiguration, Log, Provide},
    delivery::Delivery,
    error::{Error as RouteError, chain},
    frames::Reply,
    request::{Identity, Request, Upgrade},
};
use span::Spans;

pub use authorizer::{Authorize, policy};
pub use journal::{Answered, Journal, Line};
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
    serve(async |(tools, delivery): &(T, Delivery), event| answer_or_close(tools, delivery, event, route).await.map(Ok))
        .await
}

/// Runs `$connect` or `$disconnect`, the routes of a connection that is none yet, or none any more.
///
/// # Errors
/// As [`run`].
pub async fn run_lifecycle<T: Provide>(
    route: impl AsyncFn(&T, Request) -> Result<Reply, RouteError>,
) -> Result<(), Error> {
    serve(async |tools: &T, event| answer(tools, event, &route).await.map(Ok)).await
}

/// Runs the authorizer in the same way.
///
/// # Errors
/// As [`run`].
pub async fn run_authorizer<T: Provide>(
    authorizer: impl AsyncFn(&T, Upgrade) -> Result<Identity, RouteError>,
) -> Result<(), Error> {
    serve(async |tools: &T, event| policy(tools, event, &authorizer).await).await
}

/// Runs any function: the same start for the routes and for the authorizer, whose events differ. Each event is a line of
/// the log once it is answered.
async fn serve<T: Provide, E, A>(
    function: impl AsyncFn(&T, LambdaEvent<E>) -> Answered<Result<A, Diagnostic>>,
) -> Result<(), Error>
where
    E: DeserializeOwned,
    A: Serialize,
{
    let began = Instant::now();
    let configuration = Configuration::of_process();
    let log = configuration.log()?;
    write_lines(&log)?;
    let tools = T::provide(&configuration).await?;
    let journal = Journal::new(&log, configuration.metrics_namespace()?, began.elapsed());
    let (tools, journal, function) = (&tools, &journal, &function);
    let handle = service_fn(async |event| {
        let answered = function(tools, event).await;
        journal.write(&answered.line);
        answered.answer
    });
    Runtime::new(handle).layer(Spans).run().await?;
    Ok(())
}

/// Writes log lines to where Lambda collects them, which adds the time by itself.
///
/// # Errors
/// Where something else writes them already.
fn write_lines(log: &Log) -> Result<(), Error> {
    let lines = tracing_subscriber::fmt().with_max_level(log.level).with_target(false).without_time();
    let done = match log.json {
        true => set_global_default(lines.json().flatten_event(true).with_span_list(false).finish()),
        false => set_global_default(lines.with_ansi(false).finish()),
    };
    done.map_err(|error| Error(error.into()))
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
