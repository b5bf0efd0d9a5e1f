//! `Timestamp` and `UnixSeconds`: points in time, in milliseconds and in seconds.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, by API Gateway's clock unless stated otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point in time this many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Microseconds since the Unix epoch.
    pub(crate) const fn as_micros(self) -> i64 {
        self.0.saturating_mul(1_000)
    }

    /// The same point in time in whole seconds.
    pub const fn unix_seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1_000)
    }

    /// Milliseconds from `earlier` to this; negative if `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<UnixSeconds> for Timestamp {
    fn from(seconds: UnixSeconds) -> Self {
        Self(seconds.0.saturating_mul(1_000))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock set before 1970 counts as 1970.
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Seconds since the Unix epoch: the unit of a token's `exp` and of DynamoDB's TTL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(i64);

impl UnixSeconds {
    /// The earliest point in time. What expires then has expired.
    pub const MIN: Self = Self(i64::MIN);

    /// The point in time this many seconds after the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs)
    }

    /// Seconds since the Unix epoch.
    pub const fn as_secs(self) -> i64 {
        self.0
    }

    /// The point in time `secs` later.
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs))
    }
}
