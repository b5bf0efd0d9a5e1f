//! What was measured, as tables for people and JSON for the next run.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// One run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// By name.
    pub binaries: BTreeMap<String, Binary>,
    /// The actions over plain HTTP, in the order of the table.
    pub plain: Vec<(String, Figures)>,
    /// The same over TLS.
    pub encrypted: Vec<(String, Figures)>,
}

/// What a binary weighs, in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Binary {
    /// As it lies there.
    pub bytes: usize,
    /// Deflated, as in the package that Lambda fetches.
    pub zipped: usize,
}

/// One action. Times are in microseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Fresh processes: from the start to the first answer; the processor time is that until then.
    pub fresh: Times,
    /// The same where every call takes 5 ms more.
    pub delayed_fresh: Times,
    /// The same for a warm process that was frozen, and whose connections were closed meanwhile.
    #[serde(default)]
    pub thawed: Times,
    /// Warm ones: from event to answer; the processor time is that of an event.
    pub warm: Times,
    /// The same where every call takes 5 ms more.
    pub delayed: Times,
    /// The most that was in use, in KB.
    pub peak_memory: f64,
    /// Calls of AWS services for one event.
    pub calls: usize,
    /// How many of them wait for one another; measured with a delay only.
    pub depth: Option<usize>,
    /// Of DynamoDB, for one event.
    pub read_units: f64,
    /// Of DynamoDB, for one event.
    pub write_units: f64,
    /// Between the function and the services, both directions, for one event, encryption included.
    pub wire_bytes: f64,
    /// What the function answers the Lambda runtime.
    pub answer_bytes: f64,
}

/// How long something took, in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// From the start of a fresh process until it asks for an event; nothing for a warm one.
    pub first_poll: f64,
    /// Half of them took less.
    pub median: f64,
    /// 99 of 100 took no more.
    pub p99: f64,
    /// Processor time, the median.
    pub cpu: f64,
}

impl Report {
    /// Reads what [`Report::write`] wrote.
    ///
    /// # Errors
    /// Where it is not there, or no report.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| format!("no report at {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no report of this version", path.display()))
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(path, serde_json::to_string_pretty(self)?)?)
    }

    /// The tables of `docs/performance.md`, in Markdown.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        for (title, rows) in [("Plain HTTP", &self.plain), ("TLS", &self.encrypted)] {
            text += &format!("**{title}**\n\n{}\n{}\n", times(rows), what_it_takes(rows));
        }
        text + "**Binaries**\n\n" + &binaries(&self.binaries)
    }

    /// Each figure beside what it was.
    pub fn against(&self, base: &Self) -> String {
        let mut text = String::new();
        for (title, rows, old) in [("plain HTTP", &self.plain, &base.plain), ("TLS", &self.encrypted, &base.encrypted)]
        {
            let noop =
                |rows: &[(String, Figures)]| rows.first().map(|(_, figures)| figures.clone()).unwrap_or_default();
            let (floor, old_floor) = (noop(rows), noop(old));
            let _ = writeln!(text, "Against the base, {title}: now / before, of what a no-op takes in the same run\n");
            let _ =
                writeln!(text, "| action | first answer | CPU until then | warm median | CPU | memory | wire bytes |");
            let _ = writeln!(text, "|---|---|---|---|---|---|---|");
            for (name, now) in rows {
                let Some((_, before)) = old.iter().find(|(old, _)| old == name) else { continue };
                let change = |of: fn(&Figures) -> f64| {
                    let (now, before) = (of(now) / of(&floor), of(before) / of(&old_floor));
                    format!("{now:.2} / {before:.2}")
                };
                let plain = |of: fn(&Figures) -> f64| format!("{:.0} / {:.0}", of(now), of(before));
                let _ = writeln!(
                    text,
                    "| {name} | {} | {} | {} | {} | {} | {} |",
                    change(|figures| figures.fresh.median),
                    change(|figures| figures.fresh.cpu),
                    change(|figures| figures.warm.median),
                    change(|figures| figures.warm.cpu),
                    plain(|figures| figures.peak_memory),
                    plain(|figures| figures.wire_bytes),
                );
            }
            text += "\n";
        }
        for (name, now) in &self.binaries {
            if let Some(before) = base.binaries.get(name) {
                let _ = writeln!(text, "{name}: {} bytes, before {}", now.bytes, before.bytes);
            }
        }
        text
    }
}

fn times(rows: &[(String, Figures)]) -> String {
    const COLUMNS: [&str; 11] = [
        "action",
        "first poll",
        "first answer",
        "with 5 ms a call",
        "CPU until then",
        "warm median",
        "p99",
        "with 5 ms a call",
        "p99",
        "after a freeze",
        "CPU",
    ];
    let mut text = format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    let floor = rows.first().map(|(_, figures)| figures);
    for (name, figures) in rows {
        let beside = |of: fn(&Figures) -> f64| {
            let ratio = floor.map_or(f64::NAN, |floor| of(figures) / of(floor));
            format!("{} ({ratio:.1}×)", ms(of(figures)))
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            ms(figures.fresh.first_poll),
            beside(|figures| figures.fresh.median),
            ms(figures.delayed_fresh.median),
            ms(figures.fresh.cpu),
            ms(figures.warm.median),
            ms(figures.warm.p99),
            ms(figures.delayed.median),
            ms(figures.delayed.p99),
            ms(figures.thawed.median),
            beside(|figures| figures.warm.cpu),
        );
    }
    text
}

fn what_it_takes(rows: &[(String, Figures)]) -> String {
    let mut text =
        "| action | AWS calls | depth | read units | write units | bytes on the wire | of the answer | peak \
                    memory |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for (name, figures) in rows {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {:.1} MB |",
            figures.calls,
            figures.depth.unwrap_or_default(),
            figures.read_units,
            figures.write_units,
            figures.wire_bytes,
            figures.answer_bytes,
            figures.peak_memory / 1_024.0,
        );
    }
    text
}

fn binaries(binaries: &BTreeMap<String, Binary>) -> String {
    let mut text = "| binary | MB | zipped |\n|---|---|---|\n".to_owned();
    for (name, Binary { bytes, zipped }) in binaries {
        let mb = |bytes: &usize| *bytes as f64 / 1e6;
        let _ = writeln!(text, "| {name} | {:.2} | {:.2} |", mb(bytes), mb(zipped));
    }
    text
}

fn ms(micros: f64) -> String {
    format!("{:.2} ms", micros / 1_000.0)
}
