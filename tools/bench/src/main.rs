//! `bench`: measures the release binaries, holds them to their budgets, and says what they cost.

use std::{path::PathBuf, process::ExitCode};

use bench::{
    budget,
    measure::{self, Rounds},
    price,
    report::Report,
};
use clap::Parser;

/// The line that a function logs of a message, and the 26 bytes that CloudWatch adds; `crates/support/tests/instruments`
/// holds it to that.
const LOG_BYTES: f64 = 648.0;

/// Measures the functions as they are deployed: each as a process of its own behind a Lambda Runtime API, with an
/// embedded DynamoDB and an `@connections` endpoint that take a settable time.
#[derive(Parser)]
struct Arguments {
    /// Where `cargo lambda build --release` has put the functions. Of several folders, which are measured in turn, each
    /// further one is compared with the first.
    #[arg(default_value = "target/lambda")]
    binaries: Vec<PathBuf>,
    /// Only the actions with this in their name, and the one that does nothing.
    #[arg(long, default_value = "")]
    only: String,
    /// Fresh processes of each function.
    #[arg(long, default_value_t = 20)]
    fresh: usize,
    /// Events of each action for warm processes.
    #[arg(long, default_value_t = 500)]
    warm: usize,
    /// Write what was measured here, as JSON.
    #[arg(long, default_value = "target/bench/last.json")]
    json: PathBuf,
    /// Compare with what was written before.
    #[arg(long)]
    base: Option<PathBuf>,
    /// Give each process, from its first poll on, the share of a processor that Lambda gives a function with so many MB.
    #[arg(long)]
    memory: Option<f64>,
    /// Let API Gateway speak HTTP/1.1 only.
    #[arg(long)]
    no_http2: bool,
    /// Say nothing but what is beyond its budget, and fail there.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let base = arguments.base.as_deref().map(Report::read).transpose()?;
    let rounds = Rounds { fresh: arguments.fresh, warm: arguments.warm };
    let Arguments { binaries, only, no_http2, memory, .. } = &arguments;
    let reports = measure::everything(binaries, only, rounds, !no_http2, *memory).await?;
    let (report, others) = reports.split_first().expect("clap asks for one folder at least");
    report.write(&arguments.json)?;
    if arguments.check {
        let broken = budget::broken(report);
        broken.iter().for_each(|fault| println!("beyond its budget: {fault}"));
        return Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    print!("{}", report.tables());
    for (folder, other) in arguments.binaries[1..].iter().zip(others) {
        print!("\n## {}\n\n{}", folder.display(), other.against(report));
    }
    if let Some(base) = base {
        print!("\n{}", report.against(&base));
    }
    if arguments.only.is_empty() {
        print!("\n{}", price::section(report, LOG_BYTES));
    }
    Ok(ExitCode::SUCCESS)
}
