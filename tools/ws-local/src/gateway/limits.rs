//! `Limits`: API Gateway's quotas, and the token buckets that enforce its rates.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::Uri;

use super::refusal::HttpRefusal;

/// The quotas of a WebSocket API. The default values are the quotas of a new AWS account.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest message in bytes, in either direction.
    pub message: usize,
    /// The longest frame in bytes. Longer messages must be split into several frames. Applies in
    /// both directions.
    pub frame: usize,
    /// The longest duration of a connection.
    pub connection: Duration,
    /// How long a connection may be open without a frame in either direction.
    pub idle: Duration,
    /// How long a function may take, even if its own time-out is longer.
    pub integration: Duration,
    /// The longest URL of a request, in characters.
    pub url: usize,
    /// The longest response of an authorizer, in bytes.
    pub authorizer_response: usize,
    /// The rate of new connections.
    pub connections: Rate,
    /// The rate of all requests together: connections, messages and `@connections` calls.
    pub requests: Rate,
    /// The number of messages that may wait for one client to read them. AWS doesn't publish this quota.
    pub queue: usize,
    /// How long the client may take to complete the closing handshake before the connection is dropped.
    pub closing: Duration,
    /// How long a stopping gateway waits for running functions, including `$disconnect` functions.
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
            authorizer_response: 8_192,
            connections: Rate { per_second: 500, burst: 500 },
            requests: Rate { per_second: 10_000, burst: 5_000 },
            queue: 256,
            closing: Duration::from_secs(2),
            stopping: Duration::from_secs(3),
        }
    }
}

/// Rate and burst of a throttle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Number of requests per second that are allowed on average.
    pub per_second: u32,
    /// Number of requests that are allowed at once after a pause.
    pub burst: u32,
}

/// Refuses a URL that is too long. The length includes the scheme and host of the URL that the
/// client called.
pub(super) fn check_url(limits: &Limits, host: &str, uri: &Uri) -> Result<(), HttpRefusal> {
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let length = "wss://".len() + host.len() + target;
    if length > limits.url {
        return Err(HttpRefusal::url_too_long().because(format!("the URL has {length} characters")));
    }
    Ok(())
}

/// A token bucket. Does not use the crate `governor`, because its rate can't be zero, and tests use
/// a zero rate for exact counts.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    level: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, level: Mutex::new((f64::from(rate.burst), Instant::now())) }
    }

    /// Takes one token. False if there is none.
    pub(super) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, filled) = *level;
        let refilled = now.saturating_duration_since(filled).as_secs_f64() * f64::from(self.rate.per_second);
        let tokens = (tokens + refilled).min(f64::from(self.rate.burst));
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
        assert_eq!((limits.url, limits.authorizer_response), (4_096, 8_192));
        assert_eq!(limits.connections.per_second, 500);
        assert_eq!(limits.requests.per_second, 10_000);
    }
}
