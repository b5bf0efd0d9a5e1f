//! `Connection`: one client's connection. `Connections`: all open connections.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc};

use super::{id::new_id, upgrade_request::UpgradeRequest};
use crate::clock;

/// A connection, from its `$connect` to its `$disconnect`.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: String,
    /// Milliseconds since the Unix epoch.
    pub(super) connected_at: i64,
    pub(super) source_ip: IpAddr,
    pub(super) user_agent: Option<String>,
    /// `domainName` in the connection's events.
    pub(super) host: String,
    /// `principalId` and the authorizer's context. All values are strings.
    pub(super) authorizer: Option<Map<String, Value>>,
    /// Notified when a `DELETE` closes the connection.
    pub(super) deleted: Notify,
    queue: mpsc::Sender<String>,
    opened: Instant,
    /// When the last frame was received or sent, in milliseconds after `opened`.
    active: AtomicU64,
}

/// Why a message was not queued for a client.
#[derive(Debug, PartialEq)]
pub(super) enum PushError {
    /// The queue is full, because the client reads too slowly.
    Full,
    /// The connection is closed.
    Gone,
}

impl Connection {
    /// A connection that is not accepted yet, and the receiver of its queue, which holds at most `queue` messages.
    pub(super) fn new(upgrade: &UpgradeRequest, queue: usize) -> (Self, mpsc::Receiver<String>) {
        let (sender, messages) = mpsc::channel(queue.max(1));
        let connection = Self {
            id: new_id(),
            connected_at: clock::now(),
            source_ip: upgrade.source_ip,
            user_agent: upgrade.user_agent.clone(),
            host: upgrade.host.clone(),
            authorizer: None,
            deleted: Notify::new(),
            queue: sender,
            opened: Instant::now(),
            active: AtomicU64::new(0),
        };
        (connection, messages)
    }

    /// Queues a message for the client, if there is room.
    pub(super) fn push(&self, message: String) -> Result<(), PushError> {
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PushError::Full,
            mpsc::error::TrySendError::Closed(_) => PushError::Gone,
        })
    }

    /// Waits for room in the queue and queues a message. If the connection closes while it waits,
    /// the message is dropped.
    pub(super) async fn reply(&self, message: String) {
        // An error means that the connection is closed. The connection's own task handles that.
        let _ = self.queue.send(message).await;
    }

    /// Records that a frame was received or sent now.
    pub(super) fn touch(&self) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.fetch_max(since, Ordering::Relaxed);
    }

    /// When the last frame was received or sent, in milliseconds since the Unix epoch.
    pub(super) fn last_active_at(&self) -> i64 {
        let active = self.active.load(Ordering::Relaxed);
        self.connected_at.saturating_add_unsigned(active)
    }

    /// Returns after no frame has been received or sent for `limit`.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let active = Duration::from_millis(self.active.load(Ordering::Relaxed));
            let quiet = self.opened.elapsed().saturating_sub(active);
            match limit.checked_sub(quiet) {
                None | Some(Duration::ZERO) => return,
                Some(rest) => tokio::time::sleep(rest).await,
            }
        }
    }
}

/// All open connections by id: accepted and not yet closed.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashMap<String, Arc<Connection>>>);

impl Connections {
    pub(super) fn insert(&self, connection: Arc<Connection>) {
        self.lock().insert(connection.id.clone(), connection);
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Connection>> {
        self.lock().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) -> Option<Arc<Connection>> {
        self.lock().remove(id)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Ignores poison, because no panic can leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
