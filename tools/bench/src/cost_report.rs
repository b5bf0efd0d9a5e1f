//! The tables of `docs/costs.md`, in Markdown.

use std::fmt::{self, Write};

use crate::{
    cost::{Cost, Deployment, Frames, ITEMS, event_cost},
    prices::Prices,
    report::{Measurement, Report},
};

/// Hours in a month of 30 days.
const HOURS: f64 = 720.0;
/// `FunctionMemory` of the template, in MB.
const DEFAULT_MEMORY: f64 = 256.0;
/// `ThrottleRate` of the template: frames and new connections per second, from all clients together.
const DEFAULT_THROTTLE_RATE: f64 = 1_000.0;
/// Messages per hour that a user sends.
const MESSAGES_PER_HOUR: f64 = 20.0;
/// API Gateway closes a connection after this many hours.
const CONNECTION_HOURS: f64 = 2.0;

/// Returns the cost tables, computed from the TLS measurements of a report. `log_bytes` is the size
/// of one log line in bytes.
///
/// # Errors
/// If the prices can't be read.
pub fn cost_tables(report: &Report, log_bytes: f64) -> anyhow::Result<String> {
    let tables = CostTables { prices: Prices::read()?, report, log_bytes };
    let mut text = String::new();
    tables.per_million_messages(&mut text)?;
    tables.per_month(&mut text)?;
    tables.worst_case(&mut text)?;
    Ok(text)
}

struct CostTables<'r> {
    prices: Prices,
    report: &'r Report,
    log_bytes: f64,
}

impl CostTables<'_> {
    fn per_million_messages(&self, text: &mut String) -> fmt::Result {
        const SIZES: [f64; 5] = [128.0, 256.0, 512.0, 1_024.0, 1_769.0];
        writeln!(text, "USD per million messages, each stored, acknowledged and pushed to one connection:\n")?;
        writeln!(text, "| | {} |", SIZES.map(|size| format!("{size} MB")).join(" | "))?;
        writeln!(text, "|---|{}", "---|".repeat(SIZES.len()))?;
        let messages = SIZES.map(|memory| self.message(memory).times(1e6));
        let receipts = SIZES.map(|memory| self.receipt(memory).times(1e6));
        let changes = SIZES.map(|memory| self.change(memory).times(1e6));
        let mut row = |name: &str, values: [f64; SIZES.len()]| {
            writeln!(text, "| {name} | {} |", values.map(|value| format!("{value:.2}")).join(" | "))
        };
        for (index, item) in ITEMS.into_iter().enumerate() {
            row(item, messages.map(|cost| cost.0[index]))?;
        }
        row("**total**", messages.map(|cost| cost.total()))?;
        row("read receipts, one per message, in addition", receipts.map(|cost| cost.total()))?;
        row("a million edits, deletions or reactions, in addition", changes.map(|cost| cost.total()))
    }

    fn per_month(&self, text: &mut String) -> fmt::Result {
        writeln!(
            text,
            "\nUSD per month for users who are always connected and send {MESSAGES_PER_HOUR} messages per hour, \
             {DEFAULT_MEMORY} MB:\n"
        )?;
        writeln!(
            text,
            "| users | messages per second | messages | reconnections | connection minutes | total | per user |"
        )?;
        writeln!(text, "|---|---|---|---|---|---|---|")?;
        for users in [1e3, 1e5, 1e6] {
            let messages = self.message(DEFAULT_MEMORY).times(users * MESSAGES_PER_HOUR * HOURS);
            let reconnections = self.reconnection(DEFAULT_MEMORY).times(users * HOURS / CONNECTION_HOURS);
            let discount = self.discount(messages.plus(reconnections));
            let minutes = users * HOURS * 60.0 * self.prices.connection_minute;
            let (messages, reconnections) = (messages.total() - discount, reconnections.total());
            let total = messages + reconnections + minutes;
            writeln!(
                text,
                "| {users} | {:.0} | {messages:.0} | {reconnections:.0} | {minutes:.0} | {total:.0} | {:.3} |",
                users * MESSAGES_PER_HOUR / 3_600.0,
                total / users,
            )?;
        }
        Ok(())
    }

    fn worst_case(&self, text: &mut String) -> fmt::Result {
        writeln!(
            text,
            "\nUSD per month if clients send one action without a pause at {DEFAULT_THROTTLE_RATE} frames per second, \
             {DEFAULT_MEMORY} MB:\n"
        )?;
        writeln!(text, "| action | USD per million | USD per month |\n|---|---|---|")?;
        let reply = |action| Frames::reply(self.measurement(action).reply_bytes);
        for (action, frames) in [
            ("ping", Frames::small(1.0)),
            ("sendMessage, 1 push", Frames::small(2.0)),
            ("sendMessage, 10 pushes", Frames::small(11.0)),
            ("editMessage, 1 push", Frames::small(2.0)),
            ("getMessages, 50", reply("getMessages, 50")),
            ("getConversations, 20", reply("getConversations, 20")),
        ] {
            let event = self.event(action, frames, DEFAULT_MEMORY);
            let month = event.times(DEFAULT_THROTTLE_RATE * HOURS * 3_600.0);
            let month = month.total() - self.discount(month);
            writeln!(text, "| {action} | {:.2} | {month:.0} |", event.total() * 1e6)?;
        }
        Ok(())
    }

    /// A message with one push.
    fn message(&self, memory: f64) -> Cost {
        self.event("sendMessage, 1 push", Frames::small(2.0), memory)
    }

    /// A read receipt with one push.
    fn receipt(&self, memory: f64) -> Cost {
        self.event("markRead, 1 push", Frames::small(2.0), memory)
    }

    /// A change of a message with one push.
    fn change(&self, memory: f64) -> Cost {
        self.event("editMessage, 1 push", Frames::small(2.0), memory)
    }

    /// The end of a connection, the start of the next one, and one page of the inbox.
    fn reconnection(&self, memory: f64) -> Cost {
        let lifecycle = ["authorizer, open mode", "connect", "disconnect"];
        let inbox = self.event("getConversations, 20", Frames::small(1.0), memory);
        lifecycle.map(|action| self.event(action, Frames::NONE, memory)).into_iter().fold(inbox, Cost::plus)
    }

    fn event(&self, action: &str, frames: Frames, memory: f64) -> Cost {
        let deployment = Deployment { memory, log_bytes: self.log_bytes };
        event_cost(&self.prices, &self.measurement(action), frames, deployment)
    }

    fn measurement(&self, action: &str) -> Measurement {
        let row = self.report.encrypted.iter().find(|(name, _)| name == action);
        row.map(|(_, measurement)| measurement.clone()).unwrap_or_default()
    }

    fn discount(&self, month: Cost) -> f64 {
        self.prices.tier_discount(month.frames() / self.prices.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_template() {
        let template = std::fs::read_to_string(support::template()).unwrap();
        for (parameter, value) in [("ThrottleRate", DEFAULT_THROTTLE_RATE), ("FunctionMemory", DEFAULT_MEMORY)] {
            let (_, rest) = template.split_once(&format!("\n  {parameter}:\n")).unwrap();
            let (_, rest) = rest.split_once("Default: ").unwrap();
            assert_eq!(rest.lines().next(), Some(value.to_string().as_str()), "{parameter}");
        }
    }

    /// 2,592 million pings make 5,184 million frames. Prices in USD per million: 1.00 for the first
    /// 1,000 million frames and 0.80 for the others; per ping, 0.20 for the invocation, 0.0033 for
    /// one billed millisecond with 256 MB, 0.324 for 648 bytes of log and 0.036 for 400 bytes out.
    #[test]
    fn the_worst_case_of_pings_is_the_throttle_for_a_month() {
        let ping = Measurement {
            delayed: crate::report::TimeStats { median: 500.0, ..Default::default() },
            ..Default::default()
        };
        let report = Report { encrypted: vec![("ping".to_owned(), ping)], ..Report::default() };
        let text = cost_tables(&report, 648.0).unwrap();
        let expected = 1_000.0 + 4_184.0 * 0.80 + 2_592.0 * (0.20 + 0.0033 + 0.324 + 0.036);
        assert!(text.contains(&format!("| ping | 2.56 | {expected:.0} |")), "{text}");
    }
}
