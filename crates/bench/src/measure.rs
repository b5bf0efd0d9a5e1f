//! Measuring: fresh processes and warm ones, with and without a delay of each call, plain and encrypted.
//!
//! All actions take turns, in blocks, so that whatever else the machine does falls on each of them alike; and figures
//! are compared with those of the function that does nothing, of the same run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use chat_local::{
    functions::{Functions, Options, Process},
    invoke::Invoke,
};
use flate2::{Compression, write::DeflateEncoder};
use serde_json::Value;

use crate::{
    actions::{self, Action},
    meter::depth,
    report::{Binary, Figures, Report, Times},
    services::Services,
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

/// Everything: all actions, plain and encrypted.
///
/// # Errors
/// Where a binary is missing, doesn't start, or answers something that it should not.
pub async fn all(binaries: &Path, rounds: Rounds) -> anyhow::Result<Report> {
    let binaries = binaries.canonicalize().with_context(|| format!("there is no {}", binaries.display()))?;
    let plain = transport(&binaries, rounds, None).await?;
    let encrypted = transport(&binaries, rounds, Some(&Authority::new()?)).await?;
    Ok(Report { binaries: weigh(&binaries)?, plain, encrypted })
}

/// All actions over one kind of connection, in the order of the table.
async fn transport(
    binaries: &Path,
    rounds: Rounds,
    authority: Option<&Authority>,
) -> anyhow::Result<Vec<(String, Figures)>> {
    let folder = tempfile::tempdir()?;
    let services = Services::start(authority).await?;
    let mut environment = BTreeMap::from([
        ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), services.dynamodb.clone()),
        ("CONNECTIONS_ENDPOINT".to_owned(), services.connections.clone()),
    ]);
    if let Some(authority) = authority {
        let roots = folder.path().join("roots.pem");
        authority.write_roots(&roots)?;
        environment.insert("SSL_CERT_FILE".to_owned(), roots.display().to_string());
    }
    let options = Options { prebuilt: Some(binaries.to_owned()), environment, ..Options::default() };
    let functions = Functions::start(&actions::stack()?, options, Arc::new(|_| {})).await?;
    let bench = Bench { services, functions };
    for (function, event) in actions::before(2 * rounds.fresh + 2 * rounds.warm) {
        bench.ask(function, event).await?;
    }
    let figures = bench.run(rounds).await;
    bench.functions.stop().await;
    figures
}

struct Bench {
    services: Services,
    functions: Functions,
}

/// One action while it is measured.
struct Subject {
    action: Action,
    /// The frame that its last event was answered.
    last: Value,
    fresh: Samples,
    delayed_fresh: Samples,
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
    async fn run(&self, rounds: Rounds) -> anyhow::Result<Vec<(String, Figures)>> {
        let mut subjects: Vec<_> = actions::all().into_iter().map(Subject::new).collect();
        for delay in [Duration::ZERO, DELAY] {
            self.services.delay(delay);
            for _ in 0..rounds.fresh {
                for subject in &mut subjects {
                    self.fresh(subject, !delay.is_zero()).await?;
                }
            }
            let parts = if delay.is_zero() { 1 } else { DELAYED_PART };
            for _ in 0..(rounds.warm / parts).div_ceil(BLOCK) {
                for subject in &mut subjects {
                    self.warm(subject, !delay.is_zero()).await?;
                }
            }
        }
        Ok(subjects.into_iter().map(Subject::finish).collect())
    }

    /// A process that has seen nothing yet, from its start to its first answer.
    async fn fresh(&self, subject: &mut Subject, delayed: bool) -> anyhow::Result<()> {
        let function = subject.action.function;
        for process in self.functions.processes(function) {
            process.kill();
            process.ended().await;
        }
        let took = self.event(subject).await?;
        let process = self.process(function)?;
        let samples = if delayed { &mut subject.delayed_fresh } else { &mut subject.fresh };
        samples.first_poll.push(micros(process.first_poll().unwrap_or_default()));
        samples.took.push(micros(took));
        samples.cpu.push(micros(cpu(process.id())?));
        self.services.meter.take_bytes();
        self.services.meter.take_calls();
        Ok(())
    }

    /// A block of events for a process that has seen some.
    async fn warm(&self, subject: &mut Subject, delayed: bool) -> anyhow::Result<()> {
        // Whatever the function has not seen of this action yet.
        self.event(subject).await?;
        let process = self.process(subject.action.function)?;
        self.services.meter.take_bytes();
        self.services.meter.take_calls();
        let before = cpu(process.id())?;
        for _ in 0..BLOCK {
            let took = self.event(subject).await?;
            let samples = if delayed { &mut subject.delayed } else { &mut subject.warm };
            samples.took.push(micros(took));
            subject.figures.note(&self.services.meter.take_calls(), delayed);
        }
        let samples = if delayed { &mut subject.delayed } else { &mut subject.warm };
        samples.cpu.push(micros(cpu(process.id())? - before) / BLOCK as f64);
        subject.figures.wire_bytes = (self.services.meter.take_bytes() as f64 / BLOCK as f64).round();
        subject.figures.peak_memory = peak_memory(process.id())?;
        Ok(())
    }

    /// The next event of an action, and how long its answer took.
    async fn event(&self, subject: &mut Subject) -> anyhow::Result<Duration> {
        let event = (subject.action.next)(&subject.last).value().to_string().into_bytes();
        let began = Instant::now();
        let answer = self.functions.invoke(subject.action.function, event).await;
        let took = began.elapsed();
        let answer = answer.with_context(|| subject.action.name)?;
        subject.figures.answer_bytes = answer.len() as f64;
        subject.last = frame(&answer)?;
        Ok(took)
    }

    async fn ask(&self, function: &str, event: testkit::Event) -> anyhow::Result<()> {
        frame(&self.functions.invoke(function, event.value().to_string().into_bytes()).await?)?;
        Ok(())
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
            warm: Samples::default(),
            delayed: Samples::default(),
            figures: Figures::default(),
        }
    }

    fn finish(self) -> (String, Figures) {
        let figures = Figures {
            fresh: self.fresh.times(),
            delayed_fresh: self.delayed_fresh.times(),
            warm: self.warm.times(),
            delayed: self.delayed.times(),
            ..self.figures
        };
        (self.action.name.to_owned(), figures)
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
        self.read_units = calls.iter().map(|call| call.read_units).sum();
        self.write_units = calls.iter().map(|call| call.write_units).sum();
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
