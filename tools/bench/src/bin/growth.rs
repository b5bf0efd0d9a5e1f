//! `growth`: how it grows, as tables and plots.

use std::path::{Path, PathBuf};

use bench::{
    growth::{
        conversation::{self, Row, Writers},
        fan_out, table,
    },
    measure::DELAY,
    plot::{Labels, Series, lines},
    report::Figures,
};
use clap::Parser;

/// Messages a second in one conversation.
const RATES: [f64; 7] = [1.0, 20.0, 50.0, 100.0, 125.0, 250.0, 500.0];
/// Senders at once in one conversation.
const SENDERS: [usize; 4] = [1, 10, 50, 100];

/// One user with ever more connections, one conversation with ever more messages a second, one table with ever more
/// messages.
#[derive(Parser)]
struct Arguments {
    /// Where `cargo lambda build --release` has put the functions.
    #[arg(default_value = "target/lambda")]
    binaries: PathBuf,
    /// How many messages there are in the table; 10 million take 10 GB of memory and some minutes.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000])]
    messages: Vec<u64>,
    /// Where the plots go.
    #[arg(long, default_value = "target/bench")]
    plots: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { binaries, messages, plots } = Arguments::parse();
    let rounds = SENDERS.map(Writers::AtOnce).into_iter().chain(RATES.map(Writers::Rate)).collect::<Vec<_>>();
    let busier = tokio::task::spawn_blocking(move || conversation::rows(&rounds)).await??;
    conversations(&busier, &plots)?;
    fanned_out(&fan_out::rows(&binaries).await?, &plots)?;
    tables(&table::rows(&binaries, &messages).await?, &plots)
}

fn conversations(rows: &[Row], plots: &Path) -> anyhow::Result<()> {
    println!("| one conversation | stored a second | puts each | median | p99 | longest |\n|---|---|---|---|---|---|");
    for Row { writers, stored, puts, waits: [median, p99, longest] } in rows {
        let writers = match writers {
            Writers::AtOnce(1) => "1 sender, one message after the other".to_owned(),
            Writers::AtOnce(count) => format!("{count} senders, each one message after the other"),
            Writers::Rate(rate) => format!("{rate} messages a second, at random"),
        };
        println!("| {writers} | {stored:.0} | {puts:.2} | {median:.0} ms | {p99:.0} ms | {longest:.0} ms |");
    }
    let at_rates = |of: fn(&Row) -> f64| -> Vec<(f64, f64)> {
        let rates = rows.iter().filter_map(|row| match row.writers {
            Writers::Rate(rate) => Some((rate, of(row))),
            Writers::AtOnce(_) => None,
        });
        rates.collect()
    };
    let labels = Labels {
        title: "One conversation, ever busier",
        x: "messages a second that come",
        y: "milliseconds; messages a second",
    };
    let series: [Series; 3] = [
        ("answered after, median (ms)".to_owned(), at_rates(|row| row.waits[0])),
        ("answered after, p99 (ms)".to_owned(), at_rates(|row| row.waits[1])),
        ("stored a second".to_owned(), at_rates(|row| row.stored)),
    ];
    lines(&plots.join("conversation.svg"), labels, &series)
}

fn fanned_out([plain, encrypted]: &[Vec<(String, Figures)>; 2], plots: &Path) -> anyhow::Result<()> {
    println!("\n| one message to | answered after | p99 | CPU | TLS: answered after | p99 | CPU | peak memory |");
    println!("|---|---|---|---|---|---|---|---|");
    for (size, ((_, plain), (_, encrypted))) in fan_out::SIZES.iter().zip(plain[1..].iter().zip(&encrypted[1..])) {
        let times = |figures: &Figures| {
            let ms = [figures.delayed.median, figures.delayed.p99, figures.delayed.cpu].map(|time| time / 1_000.0);
            ms.map(|ms| format!("{ms:.1} ms")).join(" | ")
        };
        let memory = encrypted.peak_memory / 1_024.0;
        println!("| {size} | {} | {} | {memory:.1} MB |", times(plain), times(encrypted));
    }
    let points = |rows: &[(String, Figures)], of: fn(&Figures) -> f64| -> Vec<(f64, f64)> {
        let sizes = fan_out::SIZES.iter().zip(&rows[1..]);
        sizes.map(|(size, (_, figures))| (*size as f64, of(figures) / 1_000.0)).collect()
    };
    let labels =
        Labels { title: "One message to ever more connections, 5 ms a call", x: "connections", y: "milliseconds" };
    let series: [Series; 3] = [
        ("answered after, plain HTTP".to_owned(), points(plain, |figures| figures.delayed.median)),
        ("answered after, TLS".to_owned(), points(encrypted, |figures| figures.delayed.median)),
        ("processor time, TLS".to_owned(), points(encrypted, |figures| figures.delayed.cpu)),
    ];
    lines(&plots.join("fan-out.svg"), labels, &series)
}

fn tables(rows: &[(u64, Vec<(String, Figures)>)], plots: &Path) -> anyhow::Result<()> {
    println!("\nWith so many messages, half of them in this conversation; embedded DynamoDB, {DELAY:?} a call:\n");
    println!(
        "| messages | action | calls | read units | write units | answered after | p99 |\n|---|---|---|---|---|---|---|"
    );
    for (size, figures) in rows {
        for (name, figures) in &figures[1..] {
            let Figures { calls, read_units, write_units, delayed, .. } = figures;
            let [median, p99] = [delayed.median, delayed.p99].map(|time| format!("{:.1} ms", time / 1_000.0));
            println!("| {size} | {name} | {calls} | {read_units} | {write_units} | {median} | {p99} |");
        }
    }
    let names: Vec<_> = rows.iter().take(1).flat_map(|(_, figures)| &figures[1..]).map(|(name, _)| name).collect();
    let series: Vec<Series> = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let of = |figures: &[(String, Figures)]| figures[index + 1].1.delayed.median / 1_000.0;
            (name.clone(), rows.iter().map(|(size, figures)| (*size as f64, of(figures))).collect())
        })
        .collect();
    let labels = Labels {
        title: "Ever more messages in the table, 5 ms a call",
        x: "messages",
        y: "milliseconds until the answer, median",
    };
    lines(&plots.join("table.svg"), labels, &series)
}
