//! The connections that are open, and what is known of each.

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

use super::{clock, id, opening::Opening};

/// One client's connection, from its `$connect` to its `$disconnect`.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: String,
    /// Milliseconds since 1970.
    pub(super) connected_at: i64,
    pub(super) source_ip: IpAddr,
    pub(super) user_agent: Option<String>,
    /// The `domainName` of its events.
    pub(super) host: String,
    /// `principalId` and context, all strings, once the authorizer has agreed.
    pub(super) authorizer: Option<Map<String, Value>>,
    /// Woken when a `DELETE` ends it.
    pub(super) deleted: Notify,
    outbox: mpsc::Sender<String>,
    opened: Instant,
    /// Milliseconds after `opened`.
    active: AtomicU64,
}

/// Why a message was not taken for a client.
#[derive(Debug, PartialEq)]
pub(super) enum NotTaken {
    /// It reads too slowly: as many messages as may wait are waiting.
    Full,
    /// It is gone.
    Gone,
}

impl Connection {
    /// A connection that is about to be asked for, and the other end of its outbox, which holds `queue` messages.
    pub(super) fn new(opening: &Opening, queue: usize) -> (Self, mpsc::Receiver<String>) {
        let (outbox, messages) = mpsc::channel(queue.max(1));
        let connection = Self {
            id: id::fresh(),
            connected_at: clock::now(),
            source_ip: opening.source_ip,
            user_agent: opening.user_agent.clone(),
            host: opening.host.clone(),
            authorizer: None,
            deleted: Notify::new(),
            outbox,
            opened: Instant::now(),
            active: AtomicU64::new(0),
        };
        (connection, messages)
    }

    /// Puts a message at the end of those that wait for the client, if there is room.
    pub(super) fn push(&self, message: String) -> Result<(), NotTaken> {
        self.outbox.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotTaken::Full,
            mpsc::error::TrySendError::Closed(_) => NotTaken::Gone,
        })
    }

    /// Waits for room and puts a message there. A client that has gone meanwhile gets nothing more.
    pub(super) async fn reply(&self, message: String) {
        // An error says that the connection is closed, which its own task deals with.
        let _ = self.outbox.send(message).await;
    }

    /// Notes that a frame came or went.
    pub(super) fn touch(&self) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.fetch_max(since, Ordering::Relaxed);
    }

    /// When the last frame came or went, in milliseconds since 1970.
    pub(super) fn last_active_at(&self) -> i64 {
        let active = self.active.load(Ordering::Relaxed);
        self.connected_at.saturating_add_unsigned(active)
    }

    /// Comes back once there has been no frame for so long.
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

/// All connections whose `$connect` has finished and that nobody has closed.
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

    /// A panic elsewhere leaves the map whole, so its poison is of no interest.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
