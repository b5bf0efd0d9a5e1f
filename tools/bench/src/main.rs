//! `bench`: measures the release binaries, checks their budgets and computes their costs.

use std::{path::PathBuf, process::ExitCode};

use bench::{
    budget, cost_report,
    measure::{self, Rounds, RunOptions},
    report::Report,
};
use clap::Parser;

/// Bytes that a function logs for a message: its log line plus the 26 bytes that CloudWatch adds.
/// Tests in `tests/observability` check the length of the line.
const LOG_BYTES: f64 = 648.0;

/// Measures the functions as they are deployed. Each function is a process behind a Lambda Runtime
/// API. It calls an embedded DynamoDB and an `@connections` endpoint.
#[derive(Parser)]
struct Arguments {
    /// Folders with the output of `cargo lambda build --release`. The actions of all folders take
    /// turns. Each additional folder is compared with the first one.
    #[arg(default_value = "target/lambda")]
    binaries: Vec<PathBuf>,
    /// Measure only actions whose name contains this text, and the no-op function.
    #[arg(long, default_value = "")]
    only: String,
    /// Number of fresh processes of each function.
    #[arg(long, default_value_t = 20)]
    fresh: usize,
    /// Number of events per action on warm processes.
    #[arg(long, default_value_t = 500)]
    warm: usize,
    /// File for the measurements, as JSON.
    #[arg(long, default_value = "target/bench/last.json")]
    json: PathBuf,
    /// Compare with the measurements in this file, which an earlier run wrote.
    #[arg(long)]
    base: Option<PathBuf>,
    /// Limit each process, after its initialization, to the share of a processor that Lambda assigns to a function with
    /// this memory in MB. Needs root.
    #[arg(long)]
    memory: Option<f64>,
    /// Offer only HTTP/1.1 at the `@connections` endpoint.
    #[arg(long)]
    no_http2: bool,
    /// Print only values that miss their budget. Exit with status 1 if there are any.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let base = arguments.base.as_deref().map(Report::read).transpose()?;
    let options = RunOptions {
        only: arguments.only,
        rounds: Rounds { fresh: arguments.fresh, warm: arguments.warm },
        http2: !arguments.no_http2,
        memory: arguments.memory,
    };
    let reports = measure::run_all(&arguments.binaries, &options).await?;
    let (report, others) = reports.split_first().expect("clap requires at least one folder");
    report.write(&arguments.json)?;
    if arguments.check {
        let exceeded = budget::exceeded(report);
        exceeded.iter().for_each(|excess| println!("over budget: {excess}"));
        return Ok(if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    print!("{}", report.tables()?);
    for (folder, other) in arguments.binaries[1..].iter().zip(others) {
        print!("\n## {}\n\n{}", folder.display(), other.compare(report)?);
    }
    if let Some(base) = base {
        print!("\n{}", report.compare(&base)?);
    }
    if options.only.is_empty() {
        print!("\n{}", cost_report::cost_tables(report, LOG_BYTES)?);
    }
    Ok(ExitCode::SUCCESS)
}
