//! What it costs: measured calls, units, bytes and times, at AWS's prices.

use std::fmt::Write;

use crate::{
    report::{Figures, Report},
    share::WHOLE_PROCESSOR,
};

/// US dollars in us-east-1 without free tiers, from the pages <https://aws.amazon.com/api-gateway/pricing/>,
/// <https://aws.amazon.com/lambda/pricing/>, <https://aws.amazon.com/dynamodb/pricing/on-demand/> and
/// <https://aws.amazon.com/cloudwatch/pricing/>, as known in November 2026.
mod usd {
    /// A frame in either direction, of up to 32 KB: the first thousand million a month, and those after.
    pub(super) const FRAME: (f64, f64) = (1.00e-6, 0.80e-6);
    /// How many frames a month are at the first price.
    pub(super) const FRAMES_AT_FIRST_PRICE: f64 = 1e9;
    /// A minute of a connection.
    pub(super) const CONNECTION_MINUTE: f64 = 0.25e-6;
    /// An event of a function.
    pub(super) const EVENT: f64 = 0.20e-6;
    /// A function's second with 1,024 MB, on arm64 (x86-64: 16.6667e-6).
    pub(super) const GB_SECOND: f64 = 13.3334e-6;
    /// A read unit: 4 KB, read strongly consistent.
    pub(super) const READ_UNIT: f64 = 0.125e-6;
    /// A write unit: 1 KB.
    pub(super) const WRITE_UNIT: f64 = 0.625e-6;
    /// A byte of logs.
    pub(super) const LOG_BYTE: f64 = 0.50e-9;
    /// A byte out to the internet; the first 100 GB a month are free, which is left out here.
    pub(super) const BYTE_OUT: f64 = 0.09e-9;
}

/// Frames of this size around a message of some 60 bytes, in bytes.
const FRAME_BYTES: f64 = 400.0;

/// What is paid for; the first is what gets cheaper with many.
const PARTS: [&str; 7] = [
    "API Gateway, frames",
    "Lambda, events",
    "Lambda, time",
    "DynamoDB, reads",
    "DynamoDB, writes",
    "CloudWatch, logs",
    "traffic out",
];

/// What something costs in dollars, by part, in the order of [`PARTS`].
#[derive(Debug, Clone, Copy)]
pub struct Cost([f64; PARTS.len()]);

impl Cost {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    fn gateway(&self) -> f64 {
        self.0[0]
    }

    fn times(self, count: f64) -> Self {
        Self(self.0.map(|part| part * count))
    }

    fn plus(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(part, more)| *part += more);
        self
    }
}

/// One event of an action: with so many frames from and to clients, by a function with so much memory (MB) that logs
/// so many bytes.
///
/// Its time is what it waits, as measured with 5 ms a call, and what it computes, slowed down to its share of a
/// processor. Lambda bills whole milliseconds.
pub fn event(figures: &Figures, frames_in: f64, frames_out: f64, memory: f64, log_bytes: f64) -> Cost {
    let share = (memory / WHOLE_PROCESSOR).min(1.0);
    let waits = (figures.delayed.median - figures.warm.cpu).max(0.0);
    let seconds = ((waits + figures.warm.cpu / share) / 1_000.0).ceil() / 1_000.0;
    Cost([
        (frames_in + frames_out) * usd::FRAME.0,
        usd::EVENT,
        seconds * memory / 1_024.0 * usd::GB_SECOND,
        figures.read_units * usd::READ_UNIT,
        figures.write_units * usd::WRITE_UNIT,
        log_bytes * usd::LOG_BYTE,
        frames_out * FRAME_BYTES * usd::BYTE_OUT,
    ])
}

/// The section on costs of `docs/performance.md`, computed from a report, with what a function logs of an event.
pub fn section(report: &Report, log_bytes: f64) -> String {
    let of = |name: &str| {
        let row = report.encrypted.iter().find(|(row, _)| row == name);
        row.map(|(_, figures)| figures.clone()).unwrap_or_default()
    };
    let message = |memory| event(&of("sendMessage, 1 push"), 1.0, 2.0, memory, log_bytes);
    let receipt = |memory| event(&of("markRead, 1 push"), 1.0, 2.0, memory, log_bytes);
    let mut text = String::new();
    let _ = writeln!(text, "Dollars for a million messages, each stored, answered and pushed to one connection:\n");
    const SIZES: [f64; 5] = [128.0, 256.0, 512.0, 1_024.0, 1_769.0];
    let _ = writeln!(text, "| | {} |", SIZES.map(|size| format!("{size} MB")).join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(SIZES.len()));
    let row = |text: &mut String, name: &str, of: &dyn Fn(f64) -> f64| {
        let _ = writeln!(text, "| {name} | {} |", SIZES.map(|size| format!("{:.2}", of(size) * 1e6)).join(" | "));
    };
    for (part, name) in PARTS.into_iter().enumerate() {
        row(&mut text, name, &|memory| message(memory).0[part]);
    }
    row(&mut text, "**together**", &|memory| message(memory).total());
    row(&mut text, "with a receipt for each, in addition", &|memory| receipt(memory).total());

    // Connected round the clock for 30 days; a connection lasts two hours, and each begins with one look at the inbox.
    const HOURS: f64 = 720.0;
    let connection = |memory| {
        let [authorizer, connect, disconnect] = ["authorizer, open mode", "connect", "disconnect"].map(of);
        let lifecycle = [authorizer, connect, disconnect].map(|figures| event(&figures, 0.0, 0.0, memory, log_bytes));
        let inbox = event(&of("getConversations, 20"), 1.0, 1.0, memory, log_bytes);
        lifecycle.into_iter().fold(inbox, Cost::plus)
    };
    let _ = writeln!(
        text,
        "\nDollars a month for users who are connected all the time and send 20 messages an hour, 256 MB:\n"
    );
    let _ = writeln!(
        text,
        "| users | messages a second | messages | connections renewed | minutes of connection | together | each user |"
    );
    let _ = writeln!(text, "|---|---|---|---|---|---|---|");
    for users in [1e3, 1e5, 1e6] {
        let month = message(256.0).times(users * 20.0 * HOURS);
        let renewals = connection(256.0).times(users * HOURS / 2.0);
        let frames = (month.gateway() + renewals.gateway()) / usd::FRAME.0;
        let cheaper = (frames - usd::FRAMES_AT_FIRST_PRICE).max(0.0) * (usd::FRAME.0 - usd::FRAME.1);
        let minutes = users * HOURS * 60.0 * usd::CONNECTION_MINUTE;
        let (messages, renewed) = (month.total() - cheaper, renewals.total());
        let together = messages + renewed + minutes;
        let _ = writeln!(
            text,
            "| {users} | {:.0} | {messages:.0} | {renewed:.0} | {minutes:.0} | {together:.0} | {:.3} |",
            users * 20.0 / 3_600.0,
            together / users,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Times;

    /// Reckoned by hand, from the prices of the four pages.
    #[test]
    fn a_million_messages_cost_what_they_cost_by_hand() {
        let figures = Figures {
            // Waits 21 ms, and computes 0.9 ms, which with 256 of 1,769 MB take 6.2 ms: 28 ms are billed.
            delayed: Times { median: 21_900.0, ..Times::default() },
            warm: Times { cpu: 900.0, ..Times::default() },
            read_units: 3.0,
            write_units: 1.0,
            ..Figures::default()
        };
        let cost = event(&figures, 1.0, 2.0, 256.0, 648.0).times(1e6);
        let expected = [3.0, 0.2, 0.028 * 0.25 * 13.3334, 0.375, 0.625, 0.324, 0.072];
        for ((part, is), should) in PARTS.into_iter().zip(cost.0).zip(expected) {
            assert!((is - should).abs() < 1e-6, "{part}: {is}, not {should}");
        }
        assert!((cost.total() - 4.689).abs() < 0.001, "{}", cost.total());
    }
}
