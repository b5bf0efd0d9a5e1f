//! Pushes frames to connections through API Gateway's `@connections`.

use std::{pin::pin, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_apigatewaymanagement::{Client, config, primitives::Blob};
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

    /// Pushes `frame` to all of `connections`, all at once, and gives back those that are gone for good.
    ///
    /// A push that fails is logged and left: the client sees the hole in `seq` with the next message, or when it
    /// connects again, and catches up. It may also arrive twice, where an attempt timed out after it was taken.
    pub async fn deliver(&self, frame: &str, connections: Vec<Connection>, now: i64) -> Vec<Connection> {
        let (frame, places) = (&Blob::new(frame), &Semaphore::new(AT_ONCE));
        let pushes = connections.into_iter().map(|connection| async move {
            // Nobody closes it, so there is always a place to come.
            let place = places.acquire().await;
            let mut push = pin!(self.push(frame, connection, now));
            match timeout(SLOW, &mut push).await {
                Ok(gone) => gone,
                Err(_) => {
                    drop(place);
                    push.await
                }
            }
        });
        join_all(pushes).await.into_iter().flatten().collect()
    }

    /// Gives the connection back where it is gone.
    async fn push(&self, frame: &Blob, connection: Connection, now: i64) -> Option<Connection> {
        let post = self.management.post_to_connection().connection_id(&connection.connection_id).data(frame.clone());
        let error = post.send().await.err()?;
        if error.as_service_error().is_some_and(|error| error.is_gone_exception()) {
            return (now - connection.connected_at > MAY_BE_CONNECTING_MS).then_some(connection);
        }
        tracing::warn!(
            connection_id = connection.connection_id,
            cause = %aws_sdk_apigatewaymanagement::error::DisplayErrorContext(&error),
            "a push failed"
        );
        None
    }
}
