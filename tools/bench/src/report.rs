//! `Report`: the measurements of a run, as Markdown tables and as JSON for later comparisons.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    fs,
    path::Path,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The measurements of one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Sizes of the binaries, by name.
    pub binaries: BTreeMap<String, BinarySize>,
    /// Actions over plain HTTP, the no-op function first.
    pub plain: Vec<(String, Measurement)>,
    /// Actions over TLS, in the same order.
    pub encrypted: Vec<(String, Measurement)>,
}

/// The size of a binary in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct BinarySize {
    /// Uncompressed.
    pub bytes: usize,
    /// Compressed, as in the package that Lambda loads.
    pub zipped: usize,
}

/// The measurements of one action. Times are in microseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// Fresh processes, from the start to the first reply.
    pub fresh: TimeStats,
    /// Fresh processes with 5 ms more per AWS call.
    pub delayed_fresh: TimeStats,
    /// First event after a suspension during which all connections were closed, with 5 ms more per
    /// AWS call.
    pub resumed: TimeStats,
    /// Warm processes, from event to reply.
    pub warm: TimeStats,
    /// Warm processes with 5 ms more per AWS call.
    pub delayed: TimeStats,
    /// Largest resident memory in KB.
    pub peak_memory: f64,
    /// AWS calls of one event.
    pub calls: usize,
    /// Length of the longest chain of calls in which each waits for the previous one. Measured only
    /// with a delay.
    pub depth: Option<usize>,
    /// DynamoDB read units of one event.
    pub read_units: f64,
    /// DynamoDB write units of one event.
    pub write_units: f64,
    /// Bytes of one event between the function and AWS services, in both directions, encryption included.
    pub wire_bytes: f64,
    /// Bytes of the function's reply to the Lambda runtime.
    pub reply_bytes: f64,
}

/// Statistics of a series of events, in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeStats {
    /// From the start of a fresh process until it polls for an event; 0 for a warm one.
    pub first_poll: f64,
    /// Median time until the reply.
    pub median: f64,
    /// 99th percentile of the time until the reply.
    pub p99: f64,
    /// Median processor time: for a fresh process, until its first reply; for a warm process, per
    /// event.
    pub cpu: f64,
}

impl Report {
    /// Reads a file that [`Report::write`] wrote.
    ///
    /// # Errors
    /// If the file is missing or not a report of this version.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| format!("no report at {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not a report of this version", path.display()))
    }

    /// Writes the report as JSON.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(path, serde_json::to_string_pretty(self)?)?)
    }

    /// The tables of measurements in `docs/costs.md`, in Markdown.
    ///
    /// # Errors
    /// None in practice: a `String` accepts every write.
    pub fn tables(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        for (title, rows) in [("Plain HTTP", &self.plain), ("TLS", &self.encrypted)] {
            writeln!(text, "**{title}**\n")?;
            time_table(&mut text, rows)?;
            text.push('\n');
            resource_table(&mut text, rows)?;
            text.push('\n');
        }
        writeln!(text, "**Binaries**\n")?;
        size_table(&mut text, &self.binaries)?;
        Ok(text)
    }

    /// A table that compares this report with `base`. Times are relative to the no-op function of
    /// the same run.
    ///
    /// # Errors
    /// As [`Report::tables`].
    pub fn compare(&self, base: &Self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        compare_rows(&mut text, "plain HTTP", &self.plain, &base.plain)?;
        compare_rows(&mut text, "TLS", &self.encrypted, &base.encrypted)?;
        for (name, now) in &self.binaries {
            if let Some(before) = base.binaries.get(name) {
                writeln!(text, "{name}: {} bytes, before {}", now.bytes, before.bytes)?;
            }
        }
        Ok(text)
    }
}

fn compare_rows(
    text: &mut String,
    title: &str,
    rows: &[(String, Measurement)],
    old: &[(String, Measurement)],
) -> fmt::Result {
    let noop = |rows: &[(String, Measurement)]| rows.first().map(|(_, noop)| noop.clone()).unwrap_or_default();
    let (noop, old_noop) = (noop(rows), noop(old));
    writeln!(
        text,
        "Compared with the base, {title}: now / before, times as multiples of the no-op function in the same run\n"
    )?;
    writeln!(text, "| action | first reply | its CPU | warm median | CPU | memory (KB) | wire bytes |")?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for (name, now) in rows {
        let Some((_, before)) = old.iter().find(|(old, _)| old == name) else { continue };
        let multiples = |value: fn(&Measurement) -> f64| {
            let (now, before) = (value(now) / value(&noop), value(before) / value(&old_noop));
            format!("{now:.2} / {before:.2}")
        };
        let values = |value: fn(&Measurement) -> f64| format!("{:.0} / {:.0}", value(now), value(before));
        writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            multiples(|row| row.fresh.median),
            multiples(|row| row.fresh.cpu),
            multiples(|row| row.warm.median),
            multiples(|row| row.warm.cpu),
            values(|row| row.peak_memory),
            values(|row| row.wire_bytes),
        )?;
    }
    text.push('\n');
    Ok(())
}

fn time_table(text: &mut String, rows: &[(String, Measurement)]) -> fmt::Result {
    const COLUMNS: [&str; 11] = [
        "action",
        "first poll",
        "first reply",
        "with 5 ms per call",
        "its CPU",
        "warm median",
        "p99",
        "with 5 ms per call",
        "p99",
        "resumed",
        "CPU",
    ];
    writeln!(text, "| {} |\n|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()))?;
    let noop = rows.first().map(|(_, noop)| noop);
    for (name, row) in rows {
        let with_multiple = |value: fn(&Measurement) -> f64| {
            let multiple = noop.map_or(f64::NAN, |noop| value(row) / value(noop));
            format!("{} ({multiple:.1}×)", milliseconds(value(row)))
        };
        writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            milliseconds(row.fresh.first_poll),
            with_multiple(|row| row.fresh.median),
            milliseconds(row.delayed_fresh.median),
            milliseconds(row.fresh.cpu),
            milliseconds(row.warm.median),
            milliseconds(row.warm.p99),
            milliseconds(row.delayed.median),
            milliseconds(row.delayed.p99),
            milliseconds(row.resumed.median),
            with_multiple(|row| row.warm.cpu),
        )?;
    }
    Ok(())
}

fn resource_table(text: &mut String, rows: &[(String, Measurement)]) -> fmt::Result {
    const COLUMNS: [&str; 8] =
        ["action", "AWS calls", "depth", "read units", "write units", "wire bytes", "reply bytes", "peak memory"];
    writeln!(text, "| {} |\n|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()))?;
    for (name, row) in rows {
        writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {:.1} MB |",
            row.calls,
            row.depth.unwrap_or_default(),
            row.read_units,
            row.write_units,
            row.wire_bytes,
            row.reply_bytes,
            row.peak_memory / 1_024.0,
        )?;
    }
    Ok(())
}

fn size_table(text: &mut String, binaries: &BTreeMap<String, BinarySize>) -> fmt::Result {
    writeln!(text, "| binary | MB | zipped |\n|---|---|---|")?;
    for (name, BinarySize { bytes, zipped }) in binaries {
        let megabytes = |bytes: &usize| *bytes as f64 / 1e6;
        writeln!(text, "| {name} | {:.2} | {:.2} |", megabytes(bytes), megabytes(zipped))?;
    }
    Ok(())
}

fn milliseconds(micros: f64) -> String {
    format!("{:.2} ms", micros / 1_000.0)
}
