//! `chaos`: carries out many runs, each with its own seed and faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use chaos::{
    checker::traces,
    harness::Harness,
    host::{Host, ModulePaths},
    plan::Plan,
    run::{Outcome, run},
};
use clap::Parser;
use futures_util::{StreamExt, stream};
use serde_json::Value;

/// Folder of the reports of failed runs.
const REPORTS: &str = "target/chaos";
/// Maximum number of violations to print per run. The report contains all of them.
const PRINTED_VIOLATIONS: usize = 10;

/// Runs the whole chat with injected faults, and checks that nothing is lost, duplicated or reordered.
///
/// Each run has a seed, which determines its clients, messages, changes and faults. The exit status is 0 if no run finds a
/// violation. The report of a failed run is written to target/chaos/SEED.log.
#[derive(Parser)]
struct Arguments {
    /// Run the seeds from 1 to this number.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// Run only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of concurrent runs.
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Start no run after this number of seconds.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// Longest time in seconds that a run may take to come to rest after its last fault.
    #[arg(long, default_value_t = 300)]
    rest: u64,
    /// Continue after a failed run.
    #[arg(long)]
    keep_going: bool,
    /// Use web/chat-client.js in Node.js as the client, instead of the client in Rust.
    #[arg(long)]
    module: bool,
    /// The client that `--module` uses.
    #[arg(long, default_value = "web/chat-client.js")]
    client: PathBuf,
    /// The fake-indexeddb module that stores the outbox of `--module`. `make tools` installs it.
    #[arg(long, default_value = "tests/node_modules/fake-indexeddb/build/esm/index.js")]
    fake_indexeddb: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let seeds = arguments.seed.map_or(1..=arguments.seeds, |seed| seed..=seed);
    let paths = ModulePaths { client: arguments.client, indexed_db: arguments.fake_indexeddb };
    let host = arguments.module.then(|| Host::start(&paths)).transpose()?;
    let harness = Harness::start(Duration::from_secs(arguments.rest)).await;
    let plan = |seed| if host.is_some() { Plan::new(seed).for_module() } else { Plan::new(seed) };
    let start = Instant::now();
    let mut totals = Totals::default();
    let is_over = || start.elapsed() > Duration::from_secs(arguments.seconds);
    let seeds = stream::iter(seeds).take_while(|_| std::future::ready(!is_over()));
    let mut outcomes = seeds.map(|seed| run(&harness, plan(seed), host.as_ref())).buffer_unordered(arguments.at_once);
    while let Some(outcome) = outcomes.next().await {
        totals.add(&outcome);
        if !outcome.violations.is_empty() {
            print_failure(&outcome, arguments.module)?;
            if !arguments.keep_going {
                break;
            }
        }
        if totals.runs % 100 == 0 {
            println!("{} runs in {:.0?}, {} failed", totals.runs, start.elapsed(), totals.failed.len());
        }
    }
    drop(outcomes);
    let Totals { runs, messages, changes, refused, attempts, longest, gone, failed } = totals;
    println!(
        "{runs} runs in {:.0?} (longest {longest:.1?}): {messages} messages, {changes} changes, {refused} refused, \
         {attempts} attempts",
        start.elapsed()
    );
    let traces = traces_in_tables(&harness, &gone).await;
    traces.iter().take(PRINTED_VIOLATIONS).for_each(|trace| println!("  A table holds {trace}"));
    println!("Injected faults:");
    for (fault, count) in harness.total.all() {
        println!("{count:8} {fault:?}");
    }
    harness.stop().await;
    Ok(if failed.is_empty() && traces.is_empty() {
        println!("OK: nothing was lost, duplicated or reordered");
        ExitCode::SUCCESS
    } else {
        println!("FAILED: seeds {failed:?}");
        ExitCode::FAILURE
    })
}

/// Totals of all runs.
#[derive(Default)]
struct Totals {
    runs: usize,
    messages: usize,
    changes: usize,
    refused: usize,
    attempts: usize,
    longest: Duration,
    /// Texts that were replaced or deleted, by seed.
    gone: BTreeMap<u64, BTreeSet<String>>,
    failed: Vec<u64>,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.messages += outcome.messages;
        self.changes += outcome.changes;
        self.refused += outcome.refused;
        self.gone.insert(outcome.seed, outcome.gone.clone());
        self.attempts += outcome.attempts;
        self.longest = self.longest.max(outcome.duration);
        if !outcome.violations.is_empty() {
            self.failed.push(outcome.seed);
        }
    }
}

/// The texts that were replaced or deleted and stand in an item of any table.
async fn traces_in_tables(harness: &Harness, gone: &BTreeMap<u64, BTreeSet<String>>) -> Vec<String> {
    // Every item holds a user id of its run: `~SEED~NAME`.
    let mut items = BTreeMap::<u64, Vec<Value>>::new();
    for item in harness.local.items().await {
        let seed = item.to_string().split('~').nth(1).and_then(|seed| seed.parse().ok());
        items.entry(seed.unwrap_or_default()).or_default().push(item);
    }
    let counts = (gone.values().map(BTreeSet::len).sum::<usize>(), items.values().map(Vec::len).sum::<usize>());
    println!("{} texts were replaced or deleted; {} items are searched for them", counts.0, counts.1);
    let of_run = |(seed, gone)| items.get(seed).into_iter().flat_map(move |items| traces(gone, items.iter()));
    gone.iter().flat_map(of_run).collect()
}

/// Writes the report of a failed run and prints its violations.
fn print_failure(outcome: &Outcome, is_module: bool) -> anyhow::Result<()> {
    let Outcome { seed, violations, report, .. } = outcome;
    fs::create_dir_all(REPORTS)?;
    let file = Path::new(REPORTS).join(format!("{seed}.log"));
    fs::write(&file, report)?;
    println!("Seed {seed} FAILED with {} violations. Report: {}", violations.len(), file.display());
    violations.iter().take(PRINTED_VIOLATIONS).for_each(|violation| println!("  {violation}"));
    println!("  Run it again: make chaos SEED={seed}{}", if is_module { " MODULE=1" } else { "" });
    Ok(())
}
