//! The budgets, as checks that noise can't trip: calls, depth, units, bytes and sizes exactly, time only against the
//! function that does nothing, in the same run and with a wide margin.

use crate::report::{Binary, Figures, Report};

/// What one event of an action may take of AWS: calls, how many of them wait for one another, read and write units, and
/// bytes on the wire over plain HTTP.
struct Budget {
    action: &'static str,
    calls: usize,
    depth: usize,
    read_units: f64,
    write_units: f64,
    wire_bytes: f64,
}

const fn budget(
    action: &'static str,
    (calls, depth): (usize, usize),
    (read_units, write_units): (f64, f64),
    wire_bytes: f64,
) -> Budget {
    Budget { action, calls, depth, read_units, write_units, wire_bytes }
}

const BUDGETS: [Budget; 12] = [
    budget("no-op", (0, 0), (0.0, 0.0), 0.0),
    budget("authorizer, open mode", (0, 0), (0.0, 0.0), 0.0),
    budget("connect", (2, 1), (1.0, 1.0), 2_500.0),
    budget("disconnect", (1, 1), (0.0, 1.0), 1_200.0),
    budget("sendMessage, nobody is there", (4, 2), (3.0, 1.0), 5_800.0),
    budget("sendMessage, 1 push", (5, 3), (3.0, 1.0), 7_200.0),
    budget("sendMessage, 10 pushes", (14, 3), (3.0, 1.0), 21_000.0),
    budget("sendMessage, a repeat", (4, 2), (4.0, 0.0), 6_000.0),
    budget("getMessages, 50", (1, 1), (4.0, 0.0), 26_000.0),
    budget("getConversations, 20", (22, 2), (61.0, 0.0), 42_000.0),
    budget("markRead, 1 push", (4, 2), (2.0, 4.0), 5_300.0),
    budget("ping", (0, 0), (0.0, 0.0), 0.0),
];

/// A binary, in bytes.
const BINARY: usize = 6_000_000;
/// What a process may have in use, in KB.
const MEMORY: f64 = 12.0 * 1_024.0;
/// An answer, in bytes: a page of 30,000 as a string of JSON within the answer's own.
const ANSWER: f64 = 40_000.0;
/// How many times that of the no-op something may take. What is aimed at is in `docs/performance.md`; this is two to four
/// times what is measured, so that a busy machine doesn't trip it.
struct Margin {
    /// For an action without a call.
    least: f64,
    /// And for each AWS call.
    call: f64,
    /// And for each KB on the wire.
    kilobyte: f64,
}

/// The first answer of a fresh process.
const FIRST_ANSWER: Margin = Margin { least: 8.0, call: 1.0, kilobyte: 0.2 };
/// The processor time of an event.
const CPU: Margin = Margin { least: 4.0, call: 3.0, kilobyte: 0.5 };

impl Margin {
    fn of(&self, budget: &Budget) -> f64 {
        self.least + self.call * budget.calls as f64 + self.kilobyte * budget.wire_bytes / 1_000.0
    }
}

/// Everything in a report that is beyond its budget, in sentences; nothing where all is well.
pub fn broken(report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, Binary { bytes, .. }) in &report.binaries {
        if *bytes > BINARY {
            broken.push(format!("{name} has {bytes} bytes, of {BINARY}"));
        }
    }
    for (transport, rows) in [("plain HTTP", &report.plain), ("TLS", &report.encrypted)] {
        for budget in &BUDGETS {
            let Some((_, figures)) = rows.iter().find(|(name, _)| name == budget.action) else {
                broken.push(format!("{}, {transport}: not measured", budget.action));
                continue;
            };
            let faults = faults(budget, figures, &rows[0].1, transport == "TLS");
            broken.extend(faults.into_iter().map(|fault| format!("{}, {transport}: {fault}", budget.action)));
        }
        for (name, _) in rows.iter().filter(|(name, _)| BUDGETS.iter().all(|budget| budget.action != name)) {
            broken.push(format!("{name}, {transport}: has no budget"));
        }
    }
    broken
}

fn faults(budget: &Budget, figures: &Figures, noop: &Figures, encrypted: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut exactly = |what: &str, is: f64, should: f64| {
        if is != should {
            faults.push(format!("{is} {what}, not {should}"));
        }
    };
    exactly("AWS calls", figures.calls as f64, budget.calls as f64);
    exactly("calls that wait for one another", figures.depth.unwrap_or(usize::MAX) as f64, budget.depth as f64);
    exactly("read units", figures.read_units, budget.read_units);
    exactly("write units", figures.write_units, budget.write_units);
    let mut at_most = |what: &str, is: f64, most: f64| {
        if is.is_nan() || is > most {
            faults.push(format!("{is:.1} {what}, of {most:.1}"));
        }
    };
    // 20 bytes a record, and no more than a dozen records a call.
    let records = if encrypted { 240.0 * budget.calls as f64 } else { 0.0 };
    at_most("bytes on the wire", figures.wire_bytes, budget.wire_bytes + records);
    at_most("bytes of an answer", figures.answer_bytes, ANSWER);
    at_most("KB of memory", figures.peak_memory, MEMORY);
    let times = |now: f64, floor: f64| if floor > 0.0 { now / floor } else { f64::NAN };
    at_most(
        "times the first answer of a no-op",
        times(figures.fresh.median, noop.fresh.median),
        FIRST_ANSWER.of(budget),
    );
    at_most("times the processor time of a no-op", times(figures.warm.cpu, noop.warm.cpu), CPU.of(budget));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Times;

    /// A report in which everything is just within its budget.
    fn sound() -> Report {
        let times = Times { first_poll: 1.0, median: 1_000.0, p99: 1_000.0, cpu: 100.0 };
        let rows = BUDGETS.iter().map(|budget| {
            let figures = Figures {
                fresh: times,
                delayed_fresh: times,
                thawed: times,
                warm: times,
                delayed: times,
                peak_memory: MEMORY,
                calls: budget.calls,
                depth: Some(budget.depth),
                read_units: budget.read_units,
                write_units: budget.write_units,
                wire_bytes: budget.wire_bytes,
                answer_bytes: ANSWER,
            };
            (budget.action.to_owned(), figures)
        });
        let plain: Vec<_> = rows.collect();
        let binaries = [("send".to_owned(), Binary { bytes: BINARY, zipped: 1 })].into();
        Report { binaries, encrypted: plain.clone(), plain }
    }

    #[test]
    fn what_is_within_its_budget_is_sound() {
        assert_eq!(broken(&sound()), Vec::<String>::new());
    }

    #[test]
    fn every_check_can_fail() {
        type Change = fn(&mut Figures);
        let changes: [(&str, Change); 9] = [
            ("AWS calls", |figures| figures.calls += 1),
            ("wait for one another", |figures| figures.depth = figures.depth.map(|depth| depth + 1)),
            ("wait for one another", |figures| figures.depth = None),
            ("read units", |figures| figures.read_units += 0.5),
            ("write units", |figures| figures.write_units -= 1.0),
            ("bytes on the wire", |figures| figures.wire_bytes += 10_000.0),
            ("bytes of an answer", |figures| figures.answer_bytes += 1.0),
            ("KB of memory", |figures| figures.peak_memory += 1.0),
            ("first answer of a no-op", |figures| figures.fresh.median *= 20.0),
        ];
        for (fault, change) in changes {
            for encrypted in [false, true] {
                let mut report = sound();
                let rows = if encrypted { &mut report.encrypted } else { &mut report.plain };
                let (name, figures) = &mut rows[5];
                change(figures);
                let name = name.clone();
                let broken = broken(&report);
                assert!(broken.len() == 1 && broken[0].starts_with(&name) && broken[0].contains(fault), "{broken:?}");
            }
        }
        let mut slow = sound();
        slow.plain[11].1.warm.cpu *= CPU.least + 0.1;
        assert!(broken(&slow)[0].contains("times the processor time of a no-op"), "{:?}", broken(&slow));
        let mut fat = sound();
        fat.binaries.insert("read".to_owned(), Binary { bytes: BINARY + 1, zipped: 1 });
        assert_eq!(broken(&fat), ["read has 6000001 bytes, of 6000000"]);
        let mut blind = sound();
        blind.plain[0].1.fresh.median = 0.0;
        assert_eq!(broken(&blind).len(), BUDGETS.len(), "without a floor nothing can be said");
        let mut silent = sound();
        let unknown = ("deleteMessage".to_owned(), silent.plain[1].1.clone());
        silent.plain[1] = unknown;
        let broken = broken(&silent);
        assert!(broken.contains(&"authorizer, open mode, plain HTTP: not measured".to_owned()), "{broken:?}");
        assert!(broken.contains(&"deleteMessage, plain HTTP: has no budget".to_owned()), "{broken:?}");
    }
}
