//! `large-group`: measures one message to 250 members with two connections each, of which three never answer.

use std::path::PathBuf;

use bench::{
    group_actions,
    measure::{Bench, DELAY, MeasuredEvent},
    tls::CertificateAuthority,
};
use clap::Parser;

const MEMBERS: usize = 250;
const CONNECTIONS: usize = 2;
/// What the ids of the connections contain that never answer.
const HANGING: [&str; 3] =
    ["connection%200%20of%20large%207", "connection%201%20of%20large%20100", "connection%200%20of%20large%20249"];

/// Measures the fan-out to the largest group over TLS, with 5 ms per AWS call.
#[derive(Parser)]
struct Arguments {
    /// Folder with the output of `cargo lambda build --release`.
    #[arg(default_value = "target/lambda")]
    binaries: PathBuf,
    /// Number of messages.
    #[arg(long, default_value_t = 10)]
    events: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { binaries, events } = Arguments::parse();
    let authority = CertificateAuthority::new()?;
    println!(
        "| connections that hang | good pushes | slowest good push, median | maximum | reply, median | CPU, median | peak memory |"
    );
    println!("|---|---|---|---|---|---|---|");
    for hanging in [&[][..], &HANGING] {
        let workload = group_actions::large_group(MEMBERS, CONNECTIONS);
        let mut bench = Bench::start(&binaries, support::tables(), Some(&authority), workload, None).await?;
        bench.hang(hanging);
        bench.set_delay(DELAY);
        // The first event reads the members.
        bench.measure_event(0).await?;
        let mut measured = Vec::new();
        for _ in 0..events {
            measured.push(bench.measure_event(0).await?);
        }
        let sorted = |value: fn(&MeasuredEvent) -> f64| {
            let mut values: Vec<_> = measured.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let median = |value| sorted(value)[events / 2];
        let slowest = sorted(|event| event.slowest_push.as_secs_f64() * 1_000.0);
        let pushes = measured.iter().map(|event| event.pushes).min().unwrap_or_default();
        println!(
            "| {} | {pushes} | {:.0} ms | {:.0} ms | {:.0} ms | {:.1} ms | {:.1} MB |",
            hanging.len(),
            slowest[events / 2],
            slowest[events - 1],
            median(|event| event.took.as_secs_f64() * 1_000.0),
            median(|event| event.cpu.as_secs_f64() * 1_000.0),
            measured.iter().map(|event| event.peak_memory).fold(0.0, f64::max) / 1_024.0,
        );
    }
    Ok(())
}
