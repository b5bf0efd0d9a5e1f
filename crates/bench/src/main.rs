//! `bench`: measures the release binaries, holds them to their budgets, and says what they cost.

use std::{path::PathBuf, process::ExitCode};

use bench::{measure, report::Report};
use clap::Parser;

/// Measures the functions as they are deployed: each as a process of its own behind a Lambda Runtime API, with an
/// embedded DynamoDB and an `@connections` endpoint that take a settable time.
#[derive(Parser)]
struct Arguments {
    /// Where `cargo lambda build --release` has put the functions.
    #[arg(long, default_value = "target/lambda")]
    binaries: PathBuf,
    /// Fresh processes of each function.
    #[arg(long, default_value_t = 15)]
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
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let base = arguments.base.as_deref().map(Report::read).transpose()?;
    let rounds = measure::Rounds { fresh: arguments.fresh, warm: arguments.warm };
    let report = measure::all(&arguments.binaries, rounds).await?;
    report.write(&arguments.json)?;
    print!("{}", report.tables());
    if let Some(base) = base {
        print!("\n{}", report.against(&base));
    }
    Ok(ExitCode::SUCCESS)
}
