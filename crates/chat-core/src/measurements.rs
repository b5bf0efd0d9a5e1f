//! What one invocation did, for whoever counts it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// What is counted of one invocation. What did not happen is 0, or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages that were stored.
    pub stored: u64,
    /// Messages that an earlier attempt had stored already.
    pub repeats: u64,
    /// Puts that were made for either; more than one each where others were faster.
    pub attempts: u64,
    /// Pushes that API Gateway took.
    pub pushed: u64,
    /// Pushes to connections that are gone.
    pub gone: u64,
    /// Pushes that failed for another reason; their receivers see the hole.
    pub push_failures: u64,
    /// Bytes of all frames to clients: the answer, and every push that was taken.
    pub bytes: u64,
    /// From when API Gateway received the request until its message was stored, in milliseconds.
    pub time_to_stored: Option<u64>,
    /// From then until the last push had ended, in milliseconds, where one was taken.
    pub time_to_pushed: Option<u64>,
}

/// Where a route notes what it does. Clones note in the same place, so that it is known of a route that was given up, too.
#[derive(Debug, Clone)]
pub struct Measurements {
    /// In milliseconds since 1970, by API Gateway's clock.
    received_at: i64,
    figures: Arc<Mutex<Figures>>,
}

impl Measurements {
    /// Of a request that API Gateway received then, in milliseconds since 1970.
    pub fn new(received_at: i64) -> Self {
        Self { received_at, figures: Arc::default() }
    }

    /// A message is stored now, after so many puts, or was stored before.
    pub fn stored(&self, attempts: u32, repeat: bool) {
        let now = self.elapsed();
        self.note(|figures| {
            figures.attempts += u64::from(attempts);
            if repeat {
                figures.repeats += 1;
            } else {
                figures.stored += 1;
                figures.time_to_stored = Some(now);
            }
        });
    }

    /// The pushes of a frame of so many bytes have all ended now.
    pub fn delivered(&self, bytes: usize, pushed: usize, gone: usize, failed: usize) {
        let now = self.elapsed();
        self.note(|figures| {
            figures.pushed += pushed as u64;
            figures.gone += gone as u64;
            figures.push_failures += failed as u64;
            figures.bytes += (bytes * pushed) as u64;
            if pushed > 0 {
                figures.time_to_pushed = Some(now);
            }
        });
    }

    /// What was noted so far.
    pub fn figures(&self) -> Figures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The two clocks are different machines'; where ours is behind, no time has passed.
    fn elapsed(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        u64::try_from(now.saturating_sub(self.received_at)).unwrap_or(0)
    }

    fn note(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
