//! Times in the formats of API Gateway, all in UTC.

use std::time::SystemTime;

use jiff::Timestamp;

/// Now, in milliseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    millis(SystemTime::now())
}

/// Milliseconds since the Unix epoch; 0 for a time before it.
pub(crate) fn millis(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// The format of an event's `requestTime`: `26/Oct/2022:01:52:49 +0000`.
pub(crate) fn request_time(millis: i64) -> String {
    timestamp(millis).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// The format of `@connections`: `2022-10-26T01:52:49.042Z`.
pub(crate) fn iso(millis: i64) -> String {
    format!("{:.3}", timestamp(millis))
}

/// The format of a log line: `01:52:49.042`.
pub(crate) fn time_of_day(millis: i64) -> String {
    timestamp(millis).strftime("%H:%M:%S%.3f").to_string()
}

/// A time after the year 9999 becomes 1970. No real clock returns such a time.
fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_recorded_from_aws() {
        assert_eq!(request_time(1_666_749_169_042), "26/Oct/2022:01:52:49 +0000");
        assert_eq!(request_time(1_645_556_857_902), "22/Feb/2022:19:07:37 +0000");
        assert_eq!(iso(1_666_749_169_042), "2022-10-26T01:52:49.042Z");
        assert_eq!(iso(1_666_749_169_000), "2022-10-26T01:52:49.000Z");
        assert_eq!(time_of_day(1_666_749_169_000), "01:52:49.000");
    }

    #[test]
    fn the_calendar_knows_leap_days_and_the_turn_of_the_year() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_709_251_200, "2024-03-01"),
            (1_735_689_599, "2024-12-31"),
            (1_735_689_600, "2025-01-01"),
        ] {
            assert_eq!(&iso(seconds * 1_000)[..10], day);
        }
    }
}
