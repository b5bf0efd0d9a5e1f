//! Budgets for actions, chosen so that other load on the machine does not fail a check. Calls,
//! depth and units must match exactly. Bytes, sizes and memory have upper limits. Times are limited
//! to a multiple of the no-op function's time in the same run, with a wide margin.

use crate::report::{BinarySize, Measurement, Report};

/// Budget of one event of an action: AWS calls and the length of their longest chain, read and write units, and bytes
/// on the wire over plain HTTP.
struct Budget {
    action: &'static str,
    calls: usize,
    /// None if the pushes run in waves, whose number depends on the machine.
    depth: Option<usize>,
    read_units: f64,
    write_units: f64,
    wire_bytes: f64,
}

impl Budget {
    /// The actions of a function share its process.
    fn max_memory(&self) -> f64 {
        if self.action.starts_with("sendMessage") { MAX_MEMORY_OF_SEND } else { MAX_MEMORY }
    }
}

const fn budget(
    action: &'static str,
    (calls, depth): (usize, usize),
    (read_units, write_units): (f64, f64),
    wire_bytes: f64,
) -> Budget {
    let depth = if calls > MOST_AT_ONCE { None } else { Some(depth) };
    Budget { action, calls, depth, read_units, write_units, wire_bytes }
}

/// With more calls than this, a function does not start all of them at once.
const MOST_AT_ONCE: usize = 64;

const BUDGETS: [Budget; 33] = [
    budget("no-op", (0, 0), (0.0, 0.0), 0.0),
    budget("authorizer, open mode", (0, 0), (0.0, 0.0), 0.0),
    budget("connect", (1, 1), (0.0, 1.0), 1_600.0),
    budget("disconnect", (1, 1), (0.0, 1.0), 1_400.0),
    budget("sendMessage, no connections", (2, 1), (2.0, 1.0), 3_400.0),
    budget("sendMessage, 1 push", (3, 2), (2.0, 1.0), 4_900.0),
    budget("sendMessage, 1 push, lastSeq", (4, 3), (3.0, 1.0), 6_300.0),
    budget("sendMessage, 10 pushes", (12, 2), (2.0, 1.0), 19_500.0),
    budget("sendMessage, duplicate", (3, 2), (4.0, 0.0), 4_900.0),
    budget("editMessage, 1 push", (4, 3), (3.0, 4.0), 9_000.0),
    budget("editMessage, 1 push, lastSeq", (5, 3), (4.0, 4.0), 10_400.0),
    budget("deleteMessage, 1 push", (5, 3), (4.0, 4.0), 10_400.0),
    budget("react, 1 push", (5, 3), (4.0, 4.0), 10_400.0),
    budget("getMessages, 50", (1, 1), (4.0, 0.0), 26_000.0),
    budget("getMessages, 10 changed", (2, 2), (12.0, 0.0), 26_000.0),
    budget("getConversations, 20", (22, 2), (61.0, 0.0), 42_000.0),
    budget("markRead, 1 push", (3, 2), (2.0, 1.0), 4_200.0),
    budget("markRead, 1 push, no position", (4, 3), (3.0, 1.0), 5_400.0),
    budget("sendMessage, group of 3", (5, 2), (3.0, 2.0), 8_000.0),
    budget("sendMessage, group of 10", (12, 2), (10.0, 2.0), 20_000.0),
    budget("sendMessage, group of 50", (52, 2), (50.0, 2.0), 88_000.0),
    budget("sendMessage, group of 250", (254, 5), (250.0, 2.0), 460_000.0),
    budget("getMessages, 50, group", (2, 2), (6.0, 0.0), 32_000.0),
    budget("markRead, group of 3", (6, 4), (6.0, 1.0), 8_700.0),
    budget("changeGroup, group of 10", (12, 2), (10.0, 9.0), 20_500.0),
    budget("createGroup, 10 members", (3, 2), (10.0, 45.0), 10_000.0),
    budget("getGroup, group of 10", (2, 2), (2.0, 0.0), 3_000.0),
    budget("typing, 1 push", (3, 2), (2.0, 0.0), 4_500.0),
    budget("typing, group of 10", (12, 4), (11.0, 0.0), 17_500.0),
    budget("getPresence, 20", (21, 1), (30.0, 0.0), 38_000.0),
    budget("getPresence, group of 10", (3, 3), (7.0, 0.0), 6_300.0),
    budget("api: sendMessage, 1 push", (3, 2), (2.0, 1.0), 4_900.0),
    budget("ping", (0, 0), (0.0, 0.0), 0.0),
];

/// Largest size of a binary, in bytes.
const MAX_BINARY: usize = 6_000_000;
/// The same for `api`, which holds the handlers of all routes. No client waits for it to start.
const MAX_BINARY_OF_API: usize = 7_000_000;
/// Largest resident memory of a process, in KB.
const MAX_MEMORY: f64 = 12.0 * 1_024.0;
/// The same for a process that has sent to a group of 250.
const MAX_MEMORY_OF_SEND: f64 = 16.0 * 1_024.0;
/// Largest reply, in bytes: a page of 30,000 bytes, escaped as a JSON string.
const MAX_REPLY: f64 = 40_000.0;
/// The largest allowed multiple of the no-op function's time. It is two to four times the measured value, so that load on
/// the machine does not fail the check. `docs/costs.md` has the targets.
struct TimeBudget {
    /// Multiple for an action without AWS calls.
    base: f64,
    /// Added for each AWS call.
    per_call: f64,
    /// Added for each KB on the wire.
    per_kilobyte: f64,
}

/// Time until the first reply of a fresh process.
const FIRST_REPLY: TimeBudget = TimeBudget { base: 8.0, per_call: 1.0, per_kilobyte: 0.2 };
/// Processor time of an event.
const CPU: TimeBudget = TimeBudget { base: 4.0, per_call: 3.0, per_kilobyte: 0.5 };

impl TimeBudget {
    fn multiple(&self, budget: &Budget) -> f64 {
        self.base + self.per_call * budget.calls as f64 + self.per_kilobyte * budget.wire_bytes / 1_000.0
    }
}

/// One line for each value that misses its budget, and for each action without a measurement or a
/// budget.
pub fn exceeded(report: &Report) -> Vec<String> {
    let mut exceeded = Vec::new();
    for (name, BinarySize { bytes, .. }) in &report.binaries {
        let most = if name == "api" { MAX_BINARY_OF_API } else { MAX_BINARY };
        if *bytes > most {
            exceeded.push(format!("{name} has {bytes} bytes, at most {most}"));
        }
    }
    for (transport, rows) in [("plain HTTP", &report.plain), ("TLS", &report.encrypted)] {
        for budget in &BUDGETS {
            let Some((_, measurement)) = rows.iter().find(|(name, _)| name == budget.action) else {
                exceeded.push(format!("{}, {transport}: not measured", budget.action));
                continue;
            };
            let excesses = compare(budget, measurement, &rows[0].1, transport == "TLS");
            exceeded.extend(excesses.into_iter().map(|excess| format!("{}, {transport}: {excess}", budget.action)));
        }
        for (name, _) in rows.iter().filter(|(name, _)| BUDGETS.iter().all(|budget| budget.action != name)) {
            exceeded.push(format!("{name}, {transport}: has no budget"));
        }
    }
    exceeded
}

fn compare(budget: &Budget, measurement: &Measurement, noop: &Measurement, encrypted: bool) -> Vec<String> {
    let mut excesses = Vec::new();
    let mut exactly = |what: &str, actual: f64, expected: f64| {
        if actual != expected {
            excesses.push(format!("{actual} {what}, not {expected}"));
        }
    };
    exactly("AWS calls", measurement.calls as f64, budget.calls as f64);
    if let Some(depth) = budget.depth {
        exactly("calls that wait for one another", measurement.depth.unwrap_or(usize::MAX) as f64, depth as f64);
    }
    exactly("read units", measurement.read_units, budget.read_units);
    exactly("write units", measurement.write_units, budget.write_units);
    let mut at_most = |what: &str, actual: f64, limit: f64| {
        if actual.is_nan() || actual > limit {
            excesses.push(format!("{actual:.1} {what}, at most {limit:.1}"));
        }
    };
    // TLS adds about 20 bytes to each record, and a call has no more than a dozen records.
    let records = if encrypted { 240.0 * budget.calls as f64 } else { 0.0 };
    at_most("bytes on the wire", measurement.wire_bytes, budget.wire_bytes + records);
    at_most("bytes of a reply", measurement.reply_bytes, MAX_REPLY);
    at_most("KB of memory", measurement.peak_memory, budget.max_memory());
    let multiple = |time: f64, noop: f64| if noop > 0.0 { time / noop } else { f64::NAN };
    at_most(
        "times the first reply of the no-op function",
        multiple(measurement.fresh.median, noop.fresh.median),
        FIRST_REPLY.multiple(budget),
    );
    at_most(
        "times the processor time of the no-op function",
        multiple(measurement.warm.cpu, noop.warm.cpu),
        CPU.multiple(budget),
    );
    excesses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TimeStats;

    /// A report in which every value just meets its budget.
    fn within_budget() -> Report {
        let times = TimeStats { first_poll: 1.0, median: 1_000.0, p99: 1_000.0, cpu: 100.0 };
        let rows = BUDGETS.iter().map(|budget| {
            let measurement = Measurement {
                fresh: times,
                delayed_fresh: times,
                resumed: times,
                warm: times,
                delayed: times,
                peak_memory: budget.max_memory(),
                calls: budget.calls,
                depth: budget.depth,
                read_units: budget.read_units,
                write_units: budget.write_units,
                wire_bytes: budget.wire_bytes,
                reply_bytes: MAX_REPLY,
            };
            (budget.action.to_owned(), measurement)
        });
        let plain: Vec<_> = rows.collect();
        let binaries = [("send".to_owned(), BinarySize { bytes: MAX_BINARY, zipped: 1 })].into();
        Report { binaries, encrypted: plain.clone(), plain }
    }

    #[test]
    fn a_report_within_its_budgets_passes() {
        assert_eq!(exceeded(&within_budget()), Vec::<String>::new());
    }

    #[test]
    fn each_check_fails_alone_if_its_value_is_over_budget() {
        type Change = fn(&mut Measurement);
        let changes: [(&str, Change); 9] = [
            ("AWS calls", |row| row.calls += 1),
            ("wait for one another", |row| row.depth = row.depth.map(|depth| depth + 1)),
            ("wait for one another", |row| row.depth = None),
            ("read units", |row| row.read_units += 0.5),
            ("write units", |row| row.write_units -= 1.0),
            ("bytes on the wire", |row| row.wire_bytes += 10_000.0),
            ("bytes of a reply", |row| row.reply_bytes += 1.0),
            ("KB of memory", |row| row.peak_memory += 1.0),
            ("first reply of the no-op function", |row| row.fresh.median *= 20.0),
        ];
        for (excess, change) in changes {
            for encrypted in [false, true] {
                let mut report = within_budget();
                let rows = if encrypted { &mut report.encrypted } else { &mut report.plain };
                let (name, measurement) = &mut rows[5];
                change(measurement);
                let name = name.clone();
                let found = exceeded(&report);
                assert!(found.len() == 1 && found[0].starts_with(&name) && found[0].contains(excess), "{found:?}");
            }
        }
        let mut slow = within_budget();
        slow.plain[BUDGETS.len() - 1].1.warm.cpu *= CPU.base + 0.1;
        assert!(exceeded(&slow)[0].contains("times the processor time of the no-op function"), "{:?}", exceeded(&slow));
        let mut large = within_budget();
        large.binaries.insert("read".to_owned(), BinarySize { bytes: MAX_BINARY + 1, zipped: 1 });
        assert_eq!(exceeded(&large), ["read has 6000001 bytes, at most 6000000"]);
        let mut without_noop = within_budget();
        without_noop.plain[0].1.fresh.median = 0.0;
        let found = exceeded(&without_noop);
        assert_eq!(found.len(), BUDGETS.len(), "every multiple needs the time of the no-op function");
        let mut unmeasured = within_budget();
        let unknown = ("deleteMessage".to_owned(), unmeasured.plain[1].1.clone());
        unmeasured.plain[1] = unknown;
        let found = exceeded(&unmeasured);
        assert!(found.contains(&"authorizer, open mode, plain HTTP: not measured".to_owned()), "{found:?}");
        assert!(found.contains(&"deleteMessage, plain HTTP: has no budget".to_owned()), "{found:?}");
    }
}
