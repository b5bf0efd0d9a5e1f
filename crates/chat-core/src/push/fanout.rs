//! `Fanout`: who receives a frame, the pushes, and the removal of connections that are gone.

use std::{pin::pin, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    model::{error::Error, time::Timestamp, user::UserId},
    protocol::{codec, metrics::Delivered, request::Request},
    push::connections_api::{CallError, ConnectionsApi},
    store::connections::{Connection, Connections},
};

/// The number of calls that are started at once.
const CONCURRENT_CALLS: usize = 64;
/// A call that takes longer than this lets another one start, so that slow connections do not delay fast ones. If every
/// connection is silent, at most 640 calls run together, within the 1,024 file descriptors of a function.
const SLOW_CALL: Duration = Duration::from_millis(100);
/// For a connection younger than this, `$connect` may still run (at most 29 s). Until it ends, API Gateway answers 410.
const MAY_BE_CONNECTING_MS: i64 = 60_000;

/// Pushes frames to connections, and keeps the table of connections free of those that are gone.
#[derive(Debug, Clone)]
pub struct Fanout {
    connections: Connections,
    api: ConnectionsApi,
}

enum Push {
    Accepted,
    /// With the connection, if it can be removed.
    Gone(Option<Connection>),
    Failed,
}

impl Fanout {
    /// Pushes through `api` to the connections in `connections`.
    pub fn new(connections: Connections, api: ConnectionsApi) -> Self {
        Self { connections, api }
    }

    /// The connections of these users, without the one that the request came from.
    ///
    /// # Errors
    /// If the connections can't be read.
    pub async fn recipients<'a>(
        &self,
        request: &Request,
        users: impl IntoIterator<Item = &'a UserId>,
    ) -> Result<Vec<Connection>, Error> {
        let mut recipients = self.connections.of_users(users, request.received_at).await?;
        recipients.retain(|connection| connection.connection_id != request.connection_id);
        Ok(recipients)
    }

    /// Pushes a frame to all recipients, concurrently, and records the result in the request's metrics.
    ///
    /// A failed push is logged and not repeated: the client sees the gap in `seq` with the next message, or when it
    /// reconnects, and catches up. A frame can arrive twice if an attempt times out after API Gateway accepted it.
    ///
    /// A connection that is gone is removed. A connection whose token has expired gets the error `token_expired` instead of
    /// the frame, is closed and removed, so that its client reconnects with a valid token.
    pub async fn push(&self, request: &Request, frame: &str, recipients: Vec<Connection>) -> Delivered {
        let now = request.received_at;
        let (expired, open): (Vec<_>, Vec<_>) = recipients.into_iter().partition(|one| one.token_has_expired(now));
        let last_frame = codec::encode_error(&Error::TokenExpired, None);
        let push_all = async {
            let (delivered, gone) = self.push_all(frame, open, now).await;
            request.metrics.delivered(delivered);
            (delivered, gone)
        };
        let ((delivered, mut ended), closed) = tokio::join!(push_all, self.close_all(Some(&last_frame), expired, now));
        ended.extend(closed);
        self.connections.remove_ended(&ended).await;
        delivered
    }

    /// Closes connections, concurrently. Returns those that have ended and can be removed. A failure is logged, and the
    /// connection stays open.
    pub async fn close(&self, connections: Vec<Connection>, now: Timestamp) -> Vec<Connection> {
        self.close_all(None, connections, now).await
    }

    /// Returns the connections that are gone and can be removed, too.
    async fn push_all(&self, frame: &str, open: Vec<Connection>, now: Timestamp) -> (Delivered, Vec<Connection>) {
        let mut delivered = Delivered { frame_bytes: frame.len(), ..Delivered::default() };
        let mut gone = Vec::new();
        for push in for_each(open, async |connection| self.push_one(frame, connection, now).await).await {
            match push {
                Push::Accepted => delivered.pushed += 1,
                Push::Gone(connection) => {
                    delivered.gone += 1;
                    gone.extend(connection);
                }
                Push::Failed => delivered.failed += 1,
            }
        }
        (delivered, gone)
    }

    async fn push_one(&self, frame: &str, connection: Connection, now: Timestamp) -> Push {
        match self.api.post(&connection.connection_id, frame).await {
            Ok(()) => Push::Accepted,
            Err(CallError::Gone) => Push::Gone(unless_connecting(connection, now)),
            Err(error) => {
                error.log("a push failed", &connection.connection_id);
                Push::Failed
            }
        }
    }

    /// Returns the connections that have ended and can be removed: those that it closed, and those that are gone.
    async fn close_all(
        &self,
        last_frame: Option<&str>,
        connections: Vec<Connection>,
        now: Timestamp,
    ) -> Vec<Connection> {
        let closed = for_each(connections, async |connection| self.close_one(last_frame, connection, now).await);
        closed.await.into_iter().flatten().collect()
    }

    /// Returns the connection if it has ended and can be removed.
    async fn close_one(&self, last_frame: Option<&str>, connection: Connection, now: Timestamp) -> Option<Connection> {
        let id = &connection.connection_id;
        if let Some(last_frame) = last_frame
            && let Err(error) = self.api.post(id, last_frame).await
        {
            return if_gone("a last frame could not be pushed", error, connection, now);
        }
        match self.api.close(id).await {
            Ok(()) => Some(connection),
            Err(error) => if_gone("a connection could not be closed", error, connection, now),
        }
    }
}

/// Runs `work` for each connection: [`CONCURRENT_CALLS`] at once, more if some are slow.
async fn for_each<R>(connections: Vec<Connection>, work: impl AsyncFn(Connection) -> R) -> Vec<R> {
    let (work, permits) = (&work, &Semaphore::new(CONCURRENT_CALLS));
    let all = connections.into_iter().map(|connection| async move {
        // It fails only for a closed semaphore, and this one is never closed.
        let permit = permits.acquire().await;
        let mut call = pin!(work(connection));
        match timeout(SLOW_CALL, &mut call).await {
            Ok(result) => result,
            Err(_) => {
                drop(permit);
                call.await
            }
        }
    });
    join_all(all).await
}

/// Returns the connection if that is why the call failed; logs any other failure.
fn if_gone(what: &str, error: CallError, connection: Connection, now: Timestamp) -> Option<Connection> {
    match error {
        CallError::Gone => unless_connecting(connection, now),
        CallError::Failed(_) => {
            error.log(what, &connection.connection_id);
            None
        }
    }
}

/// Returns the connection unless API Gateway may answer 410 because it is still being opened.
fn unless_connecting(connection: Connection, now: Timestamp) -> Option<Connection> {
    (now.millis_since(connection.connected_at) > MAY_BE_CONNECTING_MS).then_some(connection)
}
