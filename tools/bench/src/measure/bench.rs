//! `Bench`: the functions of one folder and the services that they call.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use dynoxide::Database;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use ws_local::{
    event::{Event, EventSink},
    functions::{FunctionOptions, Functions, Process},
    invoke::Invoke,
};

use super::{
    BLOCK,
    process::{cpu_time, peak_memory},
    samples::{ActionSamples, micros},
};
use crate::{
    actions::{self, Workload},
    cpu_share::CpuShare,
    report::Measurement,
    services::AwsServices,
    tls::CertificateAuthority,
};

/// Running functions from one folder, with their own AWS services.
pub struct Bench {
    services: AwsServices,
    functions: Functions,
    actions: Vec<ActionSamples>,
    /// Contains the root certificates that the functions read.
    _roots: TempDir,
}

/// One measured event.
#[derive(Debug, Clone, Copy)]
pub struct MeasuredEvent {
    /// From the event to the reply.
    pub took: Duration,
    /// From the event to the end of the last push that was answered.
    pub slowest_push: Duration,
    /// The number of pushes that were answered.
    pub pushes: usize,
    /// Processor time.
    pub cpu: Duration,
    /// Peak resident memory of the process so far, in KB.
    pub peak_memory: f64,
}

impl Bench {
    /// Starts the functions in `folder` with these tables, over TLS if `authority` is given. If
    /// `memory` (MB) is given, each process gets the corresponding share of a processor after
    /// initialization; otherwise a whole one.
    ///
    /// # Errors
    /// If a binary is missing, or an event of the workload's set-up is refused.
    pub async fn start(
        folder: &Path,
        database: Database,
        authority: Option<&CertificateAuthority>,
        workload: Workload,
        memory: Option<f64>,
    ) -> anyhow::Result<Self> {
        let services = AwsServices::start(database, authority).await?;
        let mut environment = BTreeMap::from([
            ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), services.dynamodb.clone()),
            ("CONNECTIONS_ENDPOINT".to_owned(), services.connections.clone()),
            // As on AWS, each event is logged with its metrics.
            ("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned()),
        ]);
        let roots = tempfile::tempdir()?;
        if let Some(authority) = authority {
            for (variable, file) in authority.write_roots(roots.path())? {
                environment.insert(variable.to_owned(), file);
            }
        }
        let prebuilt = folder.canonicalize().with_context(|| format!("{} does not exist", folder.display()))?;
        let options = FunctionOptions { prebuilt: Some(prebuilt), environment, ..FunctionOptions::default() };
        let share = memory.map(CpuShare::for_memory).transpose()?;
        let events = EventSink::new(move |event| {
            if let (Event::ProcessReady { process, .. }, Some(share)) = (event, &share)
                && let Err(error) = share.limit(process.process)
            {
                eprintln!("{}: {error:#}", process.function);
            }
        });
        let functions = Functions::start(&actions::stack()?, options, events).await?;
        for (function, event) in workload.set_up {
            parse_frame(&functions.invoke(function, event.value().to_string().into_bytes()).await?)?;
        }
        let actions = workload.actions.into_iter().map(ActionSamples::new).collect();
        Ok(Self { services, functions, actions, _roots: roots })
    }

    /// Never answers later pushes to connections whose encoded id ends with one of these texts.
    pub fn hang(&self, connections: &[&str]) {
        self.services.hang(connections);
    }

    /// Measures the next event of an action.
    ///
    /// # Errors
    /// If the function refuses it.
    pub async fn measure_event(&mut self, index: usize) -> anyhow::Result<MeasuredEvent> {
        let function = self.actions[index].action.function;
        self.services.meter.drain_calls();
        let before = match self.functions.processes(function).first() {
            Some(process) => cpu_time(process.id())?,
            None => Duration::ZERO,
        };
        let began = Instant::now();
        let took = self.invoke_next(index).await?;
        let process = self.process(function)?;
        let calls = self.services.meter.drain_calls();
        let pushes: Vec<_> = calls.iter().filter(|call| call.operation == "POST connection").collect();
        let slowest_push = pushes.iter().map(|call| call.ended - began).max().unwrap_or_default();
        let cpu = cpu_time(process.id())?.saturating_sub(before);
        Ok(MeasuredEvent { took, slowest_push, pushes: pushes.len(), cpu, peak_memory: peak_memory(process.id())? })
    }

    /// Delays every later AWS call by this time.
    pub fn set_delay(&self, delay: Duration) {
        self.services.set_delay(delay);
    }

    /// For each action, starts a process and measures the time to its first reply.
    pub(super) async fn measure_fresh(&mut self, delayed: bool) -> anyhow::Result<()> {
        for index in 0..self.actions.len() {
            let function = self.actions[index].action.function;
            for process in self.functions.processes(function) {
                process.kill();
                process.ended().await;
            }
            let took = self.invoke_next(index).await?;
            let process = self.process(function)?;
            let samples = self.actions[index].fresh_samples(delayed);
            samples.first_poll.push(micros(process.first_poll().unwrap_or_default()));
            samples.took.push(micros(took));
            samples.cpu.push(micros(cpu_time(process.id())?));
        }
        Ok(())
    }

    /// For each action, suspends the process as Lambda does between events, closes its connections,
    /// resumes it and measures the next event.
    pub(super) async fn measure_resumed(&mut self) -> anyhow::Result<()> {
        for index in 0..self.actions.len() {
            self.invoke_next(index).await?;
            let process = self.process(self.actions[index].action.function)?;
            let id = Pid::from_raw(process.id() as i32).context("the process has no id")?;
            kill_process(id, Signal::STOP)?;
            self.services.close_connections();
            kill_process(id, Signal::CONT)?;
            let took = self.invoke_next(index).await?;
            self.actions[index].resumed.took.push(micros(took));
        }
        Ok(())
    }

    /// For each action, measures a block of events on a process that has already handled this
    /// action.
    pub(super) async fn measure_warm(&mut self, delayed: bool) -> anyhow::Result<()> {
        for index in 0..self.actions.len() {
            self.invoke_next(index).await?;
            let process = self.process(self.actions[index].action.function)?;
            self.services.meter.drain_bytes();
            self.services.meter.drain_calls();
            let before = cpu_time(process.id())?;
            for _ in 0..BLOCK {
                let took = self.invoke_next(index).await?;
                let action = &mut self.actions[index];
                action.warm_samples(delayed).took.push(micros(took));
                action.record_calls(&self.services.meter.drain_calls(), delayed);
            }
            let cpu = micros(cpu_time(process.id())? - before) / BLOCK as f64;
            let action = &mut self.actions[index];
            action.warm_samples(delayed).cpu.push(cpu);
            action.measurement.wire_bytes = (self.services.meter.drain_bytes() as f64 / BLOCK as f64).round();
            action.measurement.peak_memory = peak_memory(process.id())?;
        }
        Ok(())
    }

    /// Stops the functions and returns the measurements by action.
    pub(super) async fn finish(self) -> Vec<(String, Measurement)> {
        self.functions.stop().await;
        self.actions.into_iter().map(ActionSamples::finish).collect()
    }

    /// Invokes the next event of an action and returns the time until its reply.
    async fn invoke_next(&mut self, index: usize) -> anyhow::Result<Duration> {
        let action = &mut self.actions[index];
        let event = (action.action.next)(&action.last_frame).value().to_string().into_bytes();
        let began = Instant::now();
        let reply = self.functions.invoke(action.action.function, event).await;
        let took = began.elapsed();
        let reply = reply.with_context(|| action.action.name.clone())?;
        action.measurement.reply_bytes = reply.len() as f64;
        action.last_frame = parse_frame(&reply)?;
        Ok(took)
    }

    fn process(&self, function: &str) -> anyhow::Result<Arc<Process>> {
        let processes = self.functions.processes(function);
        ensure!(processes.len() == 1, "{function} has {} processes, expected 1", processes.len());
        Ok(processes[0].clone())
    }
}

/// The frame in a function's reply, or the reply of the function for backends, which is a frame itself.
///
/// # Errors
/// If the function refused the event.
fn parse_frame(reply: &[u8]) -> anyhow::Result<Value> {
    let reply: Value = serde_json::from_slice(reply)?;
    let frame = match reply["body"].as_str() {
        Some(body) => serde_json::from_str(body)?,
        None => reply.clone(),
    };
    if frame["type"] == "error" || reply["statusCode"].as_u64().is_some_and(|status| status != 200) {
        bail!("an action was refused: {reply}");
    }
    Ok(frame)
}
