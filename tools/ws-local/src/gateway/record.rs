//! What the gateway tells whoever watches it: one record per event.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::clock;

/// Takes each record as it is made. It is called on the gateway's tasks and must not block.
pub type Recorder = Arc<dyn Fn(Record) + Send + Sync>;

/// One event that the gateway has dealt with. It displays as one line.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was done.
    pub at: SystemTime,
    /// The connection's id.
    pub connection: String,
    /// The route key, or the method and `@connections`.
    pub route: String,
    /// What the client got as an HTTP status, or would have got.
    pub status: u16,
    /// From its arrival to its end.
    pub duration: Duration,
    /// Why it went wrong, or how a connection ended.
    pub detail: Option<String>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, route, status, .. } = self;
        let time = clock::time_of_day(clock::millis(self.at));
        let took = self.duration.as_secs_f64() * 1_000.0;
        write!(f, "{time} {connection} {route} {status} {took:.1} ms")?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_with_time_connection_route_status_and_duration() {
        let record = Record {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_666_749_169_042),
            connection: "L0SM9cOFvHcCIhw=".into(),
            route: "$connect".into(),
            status: 502,
            duration: Duration::from_micros(1_540),
            detail: Some("it failed".into()),
        };
        assert_eq!(record.to_string(), "01:52:49.042 L0SM9cOFvHcCIhw= $connect 502 1.5 ms (it failed)");
    }
}
