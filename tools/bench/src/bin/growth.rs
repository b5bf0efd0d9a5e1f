//! `growth`: prints tables and draws plots of how time and cost grow with the load.

use std::path::{Path, PathBuf};

use bench::{
    growth::{
        conversation::{self, Load, Row},
        fan_out, table,
    },
    measure::DELAY,
    plot::{PlotLabels, Series, draw_lines},
    report::Measurement,
};
use clap::Parser;

/// Messages per second in one conversation.
const RATES: [f64; 7] = [1.0, 20.0, 50.0, 100.0, 125.0, 250.0, 500.0];
/// Concurrent senders in one conversation.
const SENDERS: [usize; 4] = [1, 10, 50, 100];

/// Measures three rising loads: connections of one user, messages per second in one conversation,
/// and messages in the table.
#[derive(Parser)]
struct Arguments {
    /// Folder with the output of `cargo lambda build --release`.
    #[arg(default_value = "target/lambda")]
    binaries: PathBuf,
    /// Numbers of messages in the table. 10 million need 10 GB of memory and several minutes.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000])]
    messages: Vec<u64>,
    /// Folder for the plots.
    #[arg(long, default_value = "target/bench")]
    plots: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { binaries, messages, plots } = Arguments::parse();
    let rounds = SENDERS.map(Load::Senders).into_iter().chain(RATES.map(Load::Rate)).collect::<Vec<_>>();
    let rows = tokio::task::spawn_blocking(move || conversation::measure(&rounds)).await??;
    report_conversation(&rows, &plots)?;
    report_fan_out(&fan_out::measure(&binaries).await?, &plots)?;
    report_table(&table::measure(&binaries, &messages).await?, &plots)
}

fn report_conversation(rows: &[Row], plots: &Path) -> anyhow::Result<()> {
    println!(
        "| load on one conversation | stored per second | puts per message | median | p99 | maximum |\n|---|---|---|---|---|---|"
    );
    for Row { load, stored, puts, latencies: [median, p99, maximum] } in rows {
        let load = match load {
            Load::Senders(1) => "1 sender, one message after the other".to_owned(),
            Load::Senders(count) => format!("{count} senders, each one message after the other"),
            Load::Rate(rate) => format!("{rate} messages per second, at random"),
        };
        println!("| {load} | {stored:.0} | {puts:.2} | {median:.0} ms | {p99:.0} ms | {maximum:.0} ms |");
    }
    let at_rates = |of: fn(&Row) -> f64| -> Vec<(f64, f64)> {
        let rates = rows.iter().filter_map(|row| match row.load {
            Load::Rate(rate) => Some((rate, of(row))),
            Load::Senders(_) => None,
        });
        rates.collect()
    };
    let labels = PlotLabels {
        title: "Rising load on one conversation",
        x: "messages sent per second",
        y: "milliseconds; messages per second",
    };
    let series: [Series; 3] = [
        ("time until the reply, median (ms)".to_owned(), at_rates(|row| row.latencies[0])),
        ("time until the reply, p99 (ms)".to_owned(), at_rates(|row| row.latencies[1])),
        ("stored per second".to_owned(), at_rates(|row| row.stored)),
    ];
    draw_lines(&plots.join("conversation.svg"), labels, &series)
}

fn report_fan_out([plain, encrypted]: &[Vec<(String, Measurement)>; 2], plots: &Path) -> anyhow::Result<()> {
    println!(
        "\n| connections | time until the reply | p99 | CPU | TLS: time until the reply | p99 | CPU | peak memory |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (size, ((_, plain), (_, encrypted))) in fan_out::SIZES.iter().zip(plain[1..].iter().zip(&encrypted[1..])) {
        let times = |row: &Measurement| {
            let ms = [row.delayed.median, row.delayed.p99, row.delayed.cpu].map(|time| time / 1_000.0);
            ms.map(|ms| format!("{ms:.1} ms")).join(" | ")
        };
        let memory = encrypted.peak_memory / 1_024.0;
        println!("| {size} | {} | {} | {memory:.1} MB |", times(plain), times(encrypted));
    }
    let points = |rows: &[(String, Measurement)], value: fn(&Measurement) -> f64| -> Vec<(f64, f64)> {
        let sizes = fan_out::SIZES.iter().zip(&rows[1..]);
        sizes.map(|(size, (_, row))| (*size as f64, value(row) / 1_000.0)).collect()
    };
    let labels = PlotLabels {
        title: "One message to a rising number of connections, 5 ms per call",
        x: "connections",
        y: "milliseconds",
    };
    let series: [Series; 3] = [
        ("time until the reply, plain HTTP".to_owned(), points(plain, |row| row.delayed.median)),
        ("time until the reply, TLS".to_owned(), points(encrypted, |row| row.delayed.median)),
        ("processor time, TLS".to_owned(), points(encrypted, |row| row.delayed.cpu)),
    ];
    draw_lines(&plots.join("fan-out.svg"), labels, &series)
}

fn report_table(rows: &[(u64, Vec<(String, Measurement)>)], plots: &Path) -> anyhow::Result<()> {
    println!("\nHalf of the messages are in the measured conversation; embedded DynamoDB, {DELAY:?} per call:\n");
    println!(
        "| messages | action | calls | read units | write units | time until the reply | p99 |\n|---|---|---|---|---|---|---|"
    );
    for (size, measurements) in rows {
        for (name, measurement) in &measurements[1..] {
            let Measurement { calls, read_units, write_units, delayed, .. } = measurement;
            let [median, p99] = [delayed.median, delayed.p99].map(|time| format!("{:.1} ms", time / 1_000.0));
            println!("| {size} | {name} | {calls} | {read_units} | {write_units} | {median} | {p99} |");
        }
    }
    let names: Vec<_> =
        rows.iter().take(1).flat_map(|(_, measurements)| &measurements[1..]).map(|(name, _)| name).collect();
    let series: Vec<Series> = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let median = |measurements: &[(String, Measurement)]| measurements[index + 1].1.delayed.median / 1_000.0;
            (name.clone(), rows.iter().map(|(size, measurements)| (*size as f64, median(measurements))).collect())
        })
        .collect();
    let labels = PlotLabels {
        title: "Rising number of messages in the table, 5 ms per call",
        x: "messages",
        y: "milliseconds until the reply, median",
    };
    draw_lines(&plots.join("table.svg"), labels, &series)
}
