//! What API Gateway allows, and the throttles that hold it to that.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::Uri;

use super::{Core, refusal::Refusal};

/// The quotas of a WebSocket API. The default is what an AWS account starts with; tests set smaller ones.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one message, in either direction.
    pub message: usize,
    /// Bytes of one frame; a longer message has to come in several, and leaves in several.
    pub frame: usize,
    /// How long a connection may last.
    pub connection: Duration,
    /// How long a connection may go without a frame in either direction.
    pub idle: Duration,
    /// How long a function may take to answer, whatever its own time-out.
    pub integration: Duration,
    /// Characters of the URL of a request.
    pub url: usize,
    /// Bytes of an authorizer's answer.
    pub authorizer_answer: usize,
    /// New connections.
    pub connections: Rate,
    /// Requests of every kind together: connections, messages and `@connections` calls.
    pub requests: Rate,
    /// Messages that wait for one client to read them; AWS doesn't publish its figure.
    pub queue: usize,
    /// How long the other side of a closing handshake may take before the connection is dropped.
    pub closing: Duration,
    /// How long a stopping gateway waits for functions that run, those of `$disconnect` among them.
    pub stopping: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 131_072,
            frame: 32_768,
            connection: Duration::from_secs(2 * 60 * 60),
            idle: Duration::from_secs(10 * 60),
            integration: Duration::from_secs(29),
            url: 4_096,
            authorizer_answer: 8_192,
            connections: Rate { per_second: 500, burst: 500 },
            requests: Rate { per_second: 10_000, burst: 5_000 },
            queue: 256,
            closing: Duration::from_secs(2),
            stopping: Duration::from_secs(3),
        }
    }
}

/// A throttle's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What comes back in a second.
    pub per_second: u32,
    /// What may be taken at once after a pause.
    pub burst: u32,
}

impl Core {
    /// Refuses a URL that is too long: as a client writes it, with the host that it called.
    pub(super) fn check_url(&self, host: &str, uri: &Uri) -> Result<(), Refusal> {
        let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
        let length = "wss://".len() + host.len() + target;
        if length > self.limits.url {
            return Err(Refusal::url_too_long().because(format!("the URL has {length} characters")));
        }
        Ok(())
    }
}

/// A token bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    level: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, level: Mutex::new((f64::from(rate.burst), Instant::now())) }
    }

    /// Takes one token, or says that there is none.
    pub(super) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, filled) = *level;
        let back = now.saturating_duration_since(filled).as_secs_f64() * f64::from(self.rate.per_second);
        let tokens = (tokens + back).min(f64::from(self.rate.burst));
        let taken = tokens >= 1.0;
        *level = (if taken { tokens - 1.0 } else { tokens }, now.max(filled));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let bucket = Bucket::new(Rate { per_second: 10, burst: 3 });
        let start = Instant::now();
        let taken = |at| (0..10).filter(|_| bucket.take_at(start + Duration::from_millis(at))).count();
        assert_eq!(taken(1), 3);
        assert_eq!(taken(2), 0);
        assert_eq!(taken(210), 2);
        assert_eq!(taken(60_000), 3);
    }

    #[test]
    fn the_defaults_are_those_of_an_aws_account() {
        let limits = Limits::default();
        assert_eq!((limits.message, limits.frame), (131_072, 32_768));
        assert_eq!(limits.connection.as_secs(), 7_200);
        assert_eq!(limits.idle.as_secs(), 600);
        assert_eq!(limits.integration.as_secs(), 29);
        assert_eq!((limits.url, limits.authorizer_answer), (4_096, 8_192));
        assert_eq!(limits.connections.per_second, 500);
        assert_eq!(limits.requests.per_second, 10_000);
    }
}
