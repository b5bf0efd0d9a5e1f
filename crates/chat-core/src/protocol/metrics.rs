//! `Metrics`: what is measured of one invocation. `MetricsRecorder`: the handle through which a route records it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::model::time::Timestamp;

/// The metrics of one invocation. What did not happen is 0 or `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Entries that this invocation stored.
    pub stored: u64,
    /// Entries that an earlier invocation had stored.
    pub repeats: u64,
    /// Puts to store a message; more than one each if concurrent senders took the slot.
    pub attempts: u64,
    /// Pushes that API Gateway accepted.
    pub pushed: u64,
    /// Pushes to connections that are gone (410).
    pub gone: u64,
    /// Pushes that failed for another reason. Their receivers see the gap in `seq` and catch up.
    pub push_failures: u64,
    /// Bytes of all frames to clients: the reply, and every push that API Gateway accepted.
    pub bytes: u64,
    /// Milliseconds from when API Gateway received the request until its message was stored.
    pub time_to_stored: Option<u64>,
    /// Milliseconds from when API Gateway received the request until the last push ended, if any was accepted.
    pub time_to_pushed: Option<u64>,
}

/// How the pushes of one frame ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Bytes of the frame.
    pub frame_bytes: usize,
    /// Pushes that API Gateway accepted.
    pub pushed: usize,
    /// Pushes to connections that are gone (410).
    pub gone: usize,
    /// Pushes that failed for another reason.
    pub failed: usize,
}

/// Records the metrics of one invocation. Clones share one record, which outlives a route that runs out of time.
#[derive(Debug, Clone)]
pub struct MetricsRecorder {
    received_at: Timestamp,
    metrics: Arc<Mutex<Metrics>>,
}

impl MetricsRecorder {
    /// Starts with nothing recorded, for a request that API Gateway received at `received_at`.
    pub fn new(received_at: Timestamp) -> Self {
        Self { received_at, metrics: Arc::default() }
    }

    /// Records that a message is stored as of now, after `attempts` puts; or was stored before, if `duplicate`.
    pub fn stored(&self, attempts: u32, duplicate: bool) {
        let now = self.elapsed();
        self.record(|metrics| {
            metrics.attempts += u64::from(attempts);
            if duplicate {
                metrics.repeats += 1;
            } else {
                metrics.stored += 1;
                metrics.time_to_stored = Some(now);
            }
        });
    }

    /// Records that all pushes of a frame have ended as of now.
    pub fn delivered(&self, delivered: Delivered) {
        let now = self.elapsed();
        self.record(|metrics| {
            metrics.pushed += delivered.pushed as u64;
            metrics.gone += delivered.gone as u64;
            metrics.push_failures += delivered.failed as u64;
            metrics.bytes += (delivered.frame_bytes * delivered.pushed) as u64;
            if delivered.pushed > 0 {
                metrics.time_to_pushed = Some(now);
            }
        });
    }

    /// The metrics recorded so far.
    pub fn snapshot(&self) -> Metrics {
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds; 0 if this machine's clock is behind API Gateway's.
    fn elapsed(&self) -> u64 {
        let now = Timestamp::from(SystemTime::now());
        u64::try_from(now.millis_since(self.received_at)).unwrap_or(0)
    }

    fn record(&self, change: impl FnOnce(&mut Metrics)) {
        change(&mut self.metrics.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
