//! Measuring: fresh processes and warm ones, with and without a delay of each call, plain and encrypted.
//!
//! All actions take turns, in blocks, so that whatever else the machine does falls on each of them alike; and figures
//! are compared with those of the function that does nothing, of the same run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use dynoxide::Database;
use flate2::{Compression, write::DeflateEncoder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use ws_local::{
    event::{Event, EventSink},
    functions::{FunctionOptions, Functions, Process},
    invoke::Invoke,
};

use crate::{
    actions::{self, Action, NOOP, Workload},
    meter::depth,
    report::{Binary, Figures, Report, Times},
    services::Services,
    share::Share,
    tls::Authority,
};

/// What a call takes, where it takes a time of its own.
pub const DELAY: Duration = Duration::from_millis(5);
/// How many events of one action come before those of the next.
const BLOCK: usize = 25;
/// A fifth of the warm rounds is enough where most of each is the delay.
const DELAYED_PART: usize = 5;

/// How often each thing is done.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Fresh processes, without and with a delay.
    pub fresh: usize,
    /// Events for warm processes, without a delay; a fifth of them with one.
    pub warm: usize,
}

impl Rounds {
    /// At most so many events each action has: fresh processes twice, two events around each freeze, and blocks of warm
    /// ones, of which each has one event more.
    fn events(self) -> usize {
        let blocks = self.warm.div_ceil(BLOCK) + (self.warm / DELAYED_PART).div_ceil(BLOCK);
        4 * self.fresh + blocks * (BLOCK + 1)
    }
}

/// Everything, for each of these folders of binaries: all actions with `only` in their name, plain and encrypted.
///
/// # Errors
/// Where a binary is missing, doesn't start, or answers something that it should not.
pub async fn everything(
    folders: &[PathBuf],
    only: &str,
    rounds: Rounds,
    http2: bool,
    memory: Option<f64>,
) -> anyhow::Result<Vec<Report>> {
    let mut authority = Authority::new()?;
    authority.http2 = http2;
    let mut rows = [const { Vec::new() }; 2];
    for (rows, authority) in rows.iter_mut().zip([None, Some(&authority)]) {
        let mut benches = Vec::new();
        for folder in folders {
            let mut workload = actions::every_action(rounds.events());
            workload.actions.retain(|action| action.function == NOOP || action.name.contains(only));
            benches.push(Bench::start(folder, support::tables(), authority, workload, memory).await?);
        }
        *rows = run(benches, rounds).await?;
    }
    let [plain, encrypted] = rows;
    let reports = folders.iter().zip(plain.into_iter().zip(encrypted));
    reports.map(|(folder, (plain, encrypted))| Ok(Report { binaries: weigh(folder)?, plain, encrypted })).collect()
}

/// Measures all benches, whose actions take turns.
///
/// # Errors
/// As [`everything`].
pub async fn run(mut benches: Vec<Bench>, rounds: Rounds) -> anyhow::Result<Vec<Vec<(String, Figures)>>> {
    for delay in [Duration::ZERO, DELAY] {
        let delayed = !delay.is_zero();
        for bench in &benches {
            bench.services.delay(delay);
        }
        for _ in 0..rounds.fresh {
            for bench in &mut benches {
                bench.fresh(delayed).await?;
                if delayed {
                    bench.thawed().await?;
                }
            }
        }
        let parts = if delayed { DELAYED_PART } else { 1 };
        for _ in 0..(rounds.warm / parts).div_ceil(BLOCK) {
            for bench in &mut benches {
                bench.warm(delayed).await?;
            }
        }
    }
    let mut figures = Vec::new();
    for bench in benches {
        bench.functions.stop().await;
        figures.push(bench.subjects.into_iter().map(Subject::finish).collect());
    }
    Ok(figures)
}

/// The functions of one folder, with services of their own.
pub struct Bench {
    services: Services,
    functions: Functions,
    subjects: Vec<Subject>,
    /// Holds what is trusted.
    _folder: TempDir,
}

/// One action while it is measured.
struct Subject {
    action: Action,
    /// The frame that its last event was answered.
    last: Value,
    fresh: Samples,
    delayed_fresh: Samples,
    thawed: Samples,
    warm: Samples,
    delayed: Samples,
    figures: Figures,
}

/// What was measured event by event, in microseconds.
#[derive(Default)]
struct Samples {
    first_poll: Vec<f64>,
    took: Vec<f64>,
    cpu: Vec<f64>,
}

impl Bench {
    /// Starts the functions of a folder over these tables, encrypted where there is an authority. With so much memory (MB)
    /// they have its share of a processor from their first poll on, else a whole one.
    ///
    /// # Errors
    /// Where a binary is missing, or an event that comes before is refused.
    pub async fn start(
        folder: &Path,
        database: Database,
        authority: Option<&Authority>,
        workload: Workload,
        memory: Option<f64>,
    ) -> anyhow::Result<Self> {
        let services = Services::start(database, authority).await?;
        let mut environment = BTreeMap::from([
            ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), services.dynamodb.clone()),
            ("CONNECTIONS_ENDPOINT".to_owned(), services.connections.clone()),
            // So that each event is a line of the log with its metrics, as on AWS.
            ("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned()),
        ]);
        let trusted = tempfile::tempdir()?;
        if let Some(authority) = authority {
            for (variable, file) in authority.write_roots(trusted.path())? {
                environment.insert(variable.to_owned(), file);
            }
        }
        let prebuilt = folder.canonicalize().with_context(|| format!("there is no {}", folder.display()))?;
        let options = FunctionOptions { prebuilt: Some(prebuilt), environment, ..FunctionOptions::default() };
        let share = memory.map(Share::of).transpose()?;
        let events = EventSink::new(move |event| {
            if let (Event::ProcessReady { process, .. }, Some(share)) = (event, &share)
                && let Err(error) = share.limit(process.process)
            {
                eprintln!("{}: {error:#}", process.function);
            }
        });
        let functions = Functions::start(&actions::stack()?, options, events).await?;
        for (function, event) in workload.before {
            frame(&functions.invoke(function, event.value().to_string().into_bytes()).await?)?;
        }
        let subjects = workload.actions.into_iter().map(Subject::new).collect();
        Ok(Self { services, functions, subjects, _folder: trusted })
    }

    /// For each action a process that has seen nothing yet, from its start to its first answer.
    async fn fresh(&mut self, delayed: bool) -> anyhow::Result<()> {
        for index in 0..self.subjects.len() {
            let function = self.subjects[index].action.function;
            for process in self.functions.processes(function) {
                process.kill();
                process.ended().await;
            }
            let took = self.event(index).await?;
            let process = self.process(function)?;
            let subject = &mut self.subjects[index];
            let samples = if delayed { &mut subject.delayed_fresh } else { &mut subject.fresh };
            samples.first_poll.push(micros(process.first_poll().unwrap_or_default()));
            samples.took.push(micros(took));
            samples.cpu.push(micros(cpu(process.id())?));
        }
        Ok(())
    }

    /// For each action an event for a process that was frozen while its connections were closed, as Lambda freezes what has
    /// no event for a while.
    async fn thawed(&mut self) -> anyhow::Result<()> {
        for index in 0..self.subjects.len() {
            self.event(index).await?;
            let process = self.process(self.subjects[index].action.function)?;
            let id = Pid::from_raw(process.id() as i32).context("a process without an id")?;
            kill_process(id, Signal::STOP)?;
            self.services.hang_up();
            kill_process(id, Signal::CONT)?;
            let took = self.event(index).await?;
            self.subjects[index].thawed.took.push(micros(took));
        }
        Ok(())
    }

    /// For each action a block of events for a process that has seen some.
    async fn warm(&mut self, delayed: bool) -> anyhow::Result<()> {
        for index in 0..self.subjects.len() {
            // Whatever the function has not seen of this action yet.
            self.event(index).await?;
            let process = self.process(self.subjects[index].action.function)?;
            self.services.meter.take_bytes();
            self.services.meter.take_calls();
            let before = cpu(process.id())?;
            for _ in 0..BLOCK {
                let took = self.event(index).await?;
                let subject = &mut self.subjects[index];
                let samples = if delayed { &mut subject.delayed } else { &mut subject.warm };
                samples.took.push(micros(took));
                subject.figures.note(&self.services.meter.take_calls(), delayed);
            }
            let subject = &mut self.subjects[index];
            let samples = if delayed { &mut subject.delayed } else { &mut subject.warm };
            samples.cpu.push(micros(cpu(process.id())? - before) / BLOCK as f64);
            subject.figures.wire_bytes = (self.services.meter.take_bytes() as f64 / BLOCK as f64).round();
            subject.figures.peak_memory = peak_memory(process.id())?;
        }
        Ok(())
    }

    /// The next event of an action, and how long its answer took.
    async fn event(&mut self, index: usize) -> anyhow::Result<Duration> {
        let subject = &mut self.subjects[index];
        let event = (subject.action.next)(&subject.last).value().to_string().into_bytes();
        let began = Instant::now();
        let answer = self.functions.invoke(subject.action.function, event).await;
        let took = began.elapsed();
        let answer = answer.with_context(|| subject.action.name.clone())?;
        subject.figures.answer_bytes = answer.len() as f64;
        subject.last = frame(&answer)?;
        Ok(took)
    }

    fn process(&self, function: &str) -> anyhow::Result<Arc<Process>> {
        let processes = self.functions.processes(function);
        ensure!(processes.len() == 1, "{function} has {} processes and not one", processes.len());
        Ok(processes[0].clone())
    }
}

impl Subject {
    fn new(action: Action) -> Self {
        Self {
            action,
            last: Value::Null,
            fresh: Samples::default(),
            delayed_fresh: Samples::default(),
            thawed: Samples::default(),
            warm: Samples::default(),
            delayed: Samples::default(),
            figures: Figures::default(),
        }
    }

    fn finish(self) -> (String, Figures) {
        let figures = Figures {
            fresh: self.fresh.times(),
            delayed_fresh: self.delayed_fresh.times(),
            thawed: self.thawed.times(),
            warm: self.warm.times(),
            delayed: self.delayed.times(),
            ..self.figures
        };
        (self.action.name, figures)
    }
}

impl Samples {
    fn times(mut self) -> Times {
        Times {
            first_poll: part(&mut self.first_poll, 50),
            median: part(&mut self.took, 50),
            p99: part(&mut self.took, 99),
            cpu: part(&mut self.cpu, 50),
        }
    }
}

impl Figures {
    fn note(&mut self, calls: &[crate::meter::Call], delayed: bool) {
        self.calls = calls.len();
        // From 0 on: the sum of nothing is -0, and would be printed so.
        self.read_units = calls.iter().fold(0.0, |sum, call| sum + call.read_units);
        self.write_units = calls.iter().fold(0.0, |sum, call| sum + call.write_units);
        // Without a delay, calls that could overlap may not.
        if delayed {
            self.depth = Some(self.depth.unwrap_or(usize::MAX).min(depth(calls)));
        }
    }
}

/// The value that so many percent are not above.
fn part(samples: &mut [f64], percent: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get((samples.len() * percent / 100).min(samples.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1_000.0
}

/// The frame of an answer; an error is none that was asked for.
fn frame(answer: &[u8]) -> anyhow::Result<Value> {
    let answer: Value = serde_json::from_slice(answer)?;
    let frame = answer["body"].as_str().map(serde_json::from_str::<Value>).transpose()?.unwrap_or_default();
    if frame["type"] == "error" || answer["statusCode"].as_u64().is_some_and(|status| status != 200) {
        bail!("an action was refused: {answer}");
    }
    Ok(frame)
}

/// The processor time that a process has had so far, all of its threads together.
fn cpu(process: u32) -> anyhow::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += schedstat.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The most memory that a process has had in use, in KB.
fn peak_memory(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}

/// Every binary that the actions need, with what it weighs.
fn weigh(binaries: &Path) -> anyhow::Result<BTreeMap<String, Binary>> {
    let stack = actions::stack()?;
    let names: BTreeSet<_> = stack.functions.values().filter_map(|function| function.binary.clone()).collect();
    let mut weighed = BTreeMap::new();
    for name in names {
        let binary = fs::read(binaries.join(&name).join("bootstrap"))?;
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(&binary)?;
        weighed.insert(name, Binary { bytes: binary.len(), zipped: deflate.finish()?.len() });
    }
    Ok(weighed)
}
