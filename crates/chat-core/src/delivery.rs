//! Pushes frames to connections, and closes them, through API Gateway's `@connections`.

use std::{error::Error as StdError, pin::pin, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_apigatewaymanagement::{
    Client, config,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::{
        delete_connection::{DeleteConnectionError, DeleteConnectionOutput},
        post_to_connection::{PostToConnectionError, PostToConnectionOutput},
    },
    primitives::Blob,
};
use futures_util::future::join_all;
use tokio::{sync::Semaphore, time::timeout};

use crate::clients::Connection;

/// How many pushes are begun at once.
const AT_ONCE: usize = 64;
/// A push that has taken so long lets another one begin: slow connections don't hold up fast ones. Even where all are
/// silent, no more than 640 run together, within the 1,024 descriptors that a function has.
const SLOW: Duration = Duration::from_millis(100);
/// How long one attempt may take. API Gateway answers in some 10 ms; a connection whose buffer is full gets a 429.
const ATTEMPT: Duration = Duration::from_millis(400);
/// What one connection gets in all, its retry included. The sender waits no longer than this for the slowest.
const BUDGET: Duration = Duration::from_secs(1);
/// A connection younger than this may still be waiting for its `$connect` to finish, at most 29 s: until then API
/// Gateway answers 410 for it.
const MAY_BE_CONNECTING_MS: i64 = 60_000;

/// The way to other connections.
#[derive(Debug, Clone)]
pub struct Delivery {
    management: Client,
}

/// How the pushes of one frame ended.
#[derive(Debug, Default)]
pub struct Delivered {
    /// How many API Gateway took.
    pub pushed: usize,
    /// How many it answered 410.
    pub gone: usize,
    /// How many failed for another reason.
    pub failed: usize,
    /// Those of the gone whose row can go: all but the youngest, which may not be there yet.
    pub gone_for_good: Vec<Connection>,
}

enum Push {
    Taken,
    /// With the connection, where its row can go.
    Gone(Option<Connection>),
    Failed,
}

impl Delivery {
    /// Delivers by `endpoint`: `https://{api}.execute-api.{region}.{suffix}/{stage}`.
    pub fn new(aws: &SdkConfig, endpoint: String) -> Self {
        Self::patient(aws, endpoint, ATTEMPT, BUDGET)
    }

    /// As [`Delivery::new`], with another idea of how long an attempt and a push may take, so that tests need not lean
    /// on time.
    pub fn patient(aws: &SdkConfig, endpoint: String, attempt: Duration, budget: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(attempt)
            .operation_attempt_timeout(attempt)
            .operation_timeout(budget)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(50));
        let config = config::Builder::from(aws).endpoint_url(endpoint).timeout_config(timeouts).retry_config(retries);
        Self { management: Client::from_conf(config.build()) }
    }

    /// Pushes `frame` to all of `connections`, all at once, and tells how that ended.
    ///
    /// A push that fails is logged and left: the client sees the hole in `seq` with the next message, or when it
    /// connects again, and catches up. It may also arrive twice, where an attempt timed out after it was taken.
    pub async fn deliver(&self, frame: &str, connections: Vec<Connection>, now: i64) -> Delivered {
        let frame = &Blob::new(frame);
        let mut delivered = Delivered::default();
        for push in for_each(connections, async |connection| self.push(frame, connection, now).await).await {
            match push {
                Push::Taken => delivered.pushed += 1,
                Push::Gone(connection) => {
                    delivered.gone += 1;
                    delivered.gone_for_good.extend(connection);
                }
                Push::Failed => delivered.failed += 1,
            }
        }
        delivered
    }

    /// Closes all of `connections`, all at once, each after a last frame where there is one, and gives back those that are
    /// gone for good. Their rows go with `$disconnect`, which API Gateway runs for each that it closes.
    ///
    /// One that can't be closed is logged and left.
    pub async fn close(&self, farewell: Option<&str>, connections: Vec<Connection>, now: i64) -> Vec<Connection> {
        let farewell = farewell.map(Blob::new);
        let closed = for_each(connections, async |connection| self.close_one(farewell.clone(), connection, now).await);
        closed.await.into_iter().flatten().collect()
    }

    /// Closes the caller's own connection after a last frame, and says whether that frame was taken. Where it wasn't, the
    /// connection stays open, so that the frame can still be its answer.
    pub async fn dismiss(&self, connection_id: &str, farewell: &str) -> bool {
        if let Err(error) = self.post(connection_id, Blob::new(farewell)).await {
            failed("a last frame could not be pushed", connection_id, &error);
            return false;
        }
        if let Err(error) = self.delete(connection_id).await {
            failed("a connection could not be closed", connection_id, &error);
        }
        true
    }

    async fn push(&self, frame: &Blob, connection: Connection, now: i64) -> Push {
        match self.post(&connection.connection_id, frame.clone()).await {
            Ok(_) => Push::Taken,
            Err(error) if is_gone(&error) => Push::Gone(for_good(connection, now)),
            Err(error) => {
                failed("a push failed", &connection.connection_id, &error);
                Push::Failed
            }
        }
    }

    /// Gives the connection back where it is gone.
    async fn close_one(&self, farewell: Option<Blob>, connection: Connection, now: i64) -> Option<Connection> {
        if let Some(farewell) = farewell
            && let Err(error) = self.post(&connection.connection_id, farewell).await
        {
            return gone("a last frame could not be pushed", connection, &error, now);
        }
        match self.delete(&connection.connection_id).await {
            Ok(_) => None,
            Err(error) => gone("a connection could not be closed", connection, &error, now),
        }
    }

    async fn post(&self, id: &str, frame: Blob) -> Result<PostToConnectionOutput, SdkError<PostToConnectionError>> {
        self.management.post_to_connection().connection_id(id).data(frame).send().await
    }

    async fn delete(&self, id: &str) -> Result<DeleteConnectionOutput, SdkError<DeleteConnectionError>> {
        self.management.delete_connection().connection_id(id).send().await
    }
}

/// Does `work` for all connections, [`AT_ONCE`] and more where some are slow, and gives back what it gives back.
async fn for_each<R>(connections: Vec<Connection>, work: impl AsyncFn(Connection) -> R) -> Vec<R> {
    let (work, places) = (&work, &Semaphore::new(AT_ONCE));
    let all = connections.into_iter().map(|connection| async move {
        // Nobody closes it, so there is always a place to come.
        let place = places.acquire().await;
        let mut one = pin!(work(connection));
        match timeout(SLOW, &mut one).await {
            Ok(done) => done,
            Err(_) => {
                drop(place);
                one.await
            }
        }
    });
    join_all(all).await
}

/// Gives the connection back where that is why the call failed; logs any other failure.
fn gone<E>(what: &str, connection: Connection, error: &SdkError<E>, now: i64) -> Option<Connection>
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if is_gone(error) {
        return for_good(connection, now);
    }
    failed(what, &connection.connection_id, error);
    None
}

fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("GoneException")
}

/// Gives the connection back unless it may not be there yet.
fn for_good(connection: Connection, now: i64) -> Option<Connection> {
    (now - connection.connected_at > MAY_BE_CONNECTING_MS).then_some(connection)
}

fn failed<E: StdError + 'static>(what: &str, connection_id: &str, error: &SdkError<E>) {
    tracing::warn!(connection_id, cause = %DisplayErrorContext(error), "{what}");
}
