//! Times as API Gateway writes them, all in UTC.

use std::time::SystemTime;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Milliseconds since 1970, now.
pub(super) fn now() -> i64 {
    millis(SystemTime::now())
}

/// Milliseconds since 1970; 0 for a clock that stands before it.
pub(super) fn millis(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// As in an event's `requestTime`: `26/Oct/2022:01:52:49 +0000`.
pub(super) fn request_time(millis: i64) -> String {
    let (year, month, day) = date(millis);
    let month = MONTHS[month - 1];
    let time = &time_of_day(millis)[..8];
    format!("{day:02}/{month}/{year}:{time} +0000")
}

/// As in the answers of `@connections`: `2022-10-26T01:52:49.042Z`.
pub(super) fn iso(millis: i64) -> String {
    let (year, month, day) = date(millis);
    let time = time_of_day(millis);
    format!("{year}-{month:02}-{day:02}T{time}Z")
}

/// As in a log's line: `01:52:49.042`.
pub(super) fn time_of_day(millis: i64) -> String {
    let (seconds, millis) = (millis.div_euclid(1_000), millis.rem_euclid(1_000));
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{millis:03}")
}

/// Year, month (from 1) and day, by Howard Hinnant's `civil_from_days`: its years start in March, so that the leap
/// day is the last one.
fn date(millis: i64) -> (i64, usize, i64) {
    let days = millis.div_euclid(86_400_000) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = usize::try_from((month_from_march + 2) % 12 + 1).unwrap_or(1);
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_recorded_from_aws() {
        assert_eq!(request_time(1_666_749_169_042), "26/Oct/2022:01:52:49 +0000");
        assert_eq!(request_time(1_645_556_857_902), "22/Feb/2022:19:07:37 +0000");
        assert_eq!(iso(1_666_749_169_042), "2022-10-26T01:52:49.042Z");
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
