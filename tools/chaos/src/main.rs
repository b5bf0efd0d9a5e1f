//! `chaos`: many runs, each with its own seed and its own faults.

use std::{
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use chaos::{
    host::Host,
    plan::Plan,
    run::run,
    world::{Options, World},
};
use clap::Parser;
use futures_util::{StreamExt, stream};

/// Breaks the chat on purpose, many times, and checks that nothing was lost, doubled or reordered.
#[derive(Parser)]
struct Arguments {
    /// How many seeds, from 1 on.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// Only this one.
    #[arg(long)]
    seed: Option<u64>,
    /// How many runs at once.
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Begin no further run after so many seconds.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// How many seconds everybody may take to come to rest when the storm is over.
    #[arg(long, default_value_t = 300)]
    rest: u64,
    /// Go on after a run that failed.
    #[arg(long)]
    keep_going: bool,
    /// With `web/chat-client.js` in Node.js in place of the harness's own client.
    #[arg(long)]
    module: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let seeds = arguments.seed.map_or(1..=arguments.seeds, |seed| seed..=seed);
    let world = World::start(Options { rest: Duration::from_secs(arguments.rest), ..Options::default() }).await?;
    let host = arguments.module.then(Host::start).transpose()?;
    let plan = |seed| if host.is_some() { Plan::new(seed).for_module() } else { Plan::new(seed) };
    let began = Instant::now();
    let (mut runs, mut failed, mut messages, mut attempts, mut longest) = (0, Vec::new(), 0, 0, Duration::ZERO);
    let is_over = || began.elapsed() > Duration::from_secs(arguments.seconds);
    let started = stream::iter(seeds).take_while(|_| std::future::ready(!is_over()));
    let mut outcomes = started.map(|seed| run(&world, plan(seed), host.as_ref())).buffer_unordered(arguments.at_once);
    while let Some(outcome) = outcomes.next().await {
        runs += 1;
        messages += outcome.messages;
        attempts += outcome.attempts;
        longest = longest.max(outcome.took);
        if !outcome.wrong.is_empty() {
            failed.push(outcome.seed);
            let history = write_history(outcome.seed, &outcome.history)?;
            println!("seed {} FAILED; its history is in {history}", outcome.seed);
            outcome.wrong.iter().take(10).for_each(|wrong| println!("  {wrong}"));
            println!("  again: make chaos SEED={}{}", outcome.seed, if host.is_some() { " MODULE=1" } else { "" });
            if !arguments.keep_going {
                break;
            }
        }
        if runs % 100 == 0 {
            println!("{runs} runs in {:.0?}, {} failed", began.elapsed(), failed.len());
        }
    }
    drop(outcomes);
    println!(
        "{runs} runs with {messages} messages in {attempts} attempts, in {:.0?} (the longest {longest:.1?})",
        began.elapsed()
    );
    for (fault, count) in world.total.all() {
        println!("{count:8} {fault:?}");
    }
    world.stop().await;
    Ok(if failed.is_empty() {
        println!("nothing was lost, doubled or reordered");
        ExitCode::SUCCESS
    } else {
        println!("failed: {failed:?}");
        ExitCode::FAILURE
    })
}

/// Where a failed run is told whole.
fn write_history(seed: u64, history: &str) -> anyhow::Result<String> {
    let folder = Path::new("target/chaos");
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{seed}.log"));
    fs::write(&file, history)?;
    Ok(file.display().to_string())
}
