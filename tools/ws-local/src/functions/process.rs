//! `Process`: one process of a function, from its start to its end.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
    process::Stdio,
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use axum::body::Bytes;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{Notify, oneshot, watch},
    time::timeout,
};
use uuid::Uuid;

use super::{
    group::Group,
    runtime_api::{Invocation, RuntimeApi, RuntimeCall, new_trace_id},
    watchdog::Watchdog,
};
use crate::{
    event::{Event, EventSink, ProcessRef},
    invoke::{InvokeError, InvokeResult},
    template::Function,
};

/// Number of last lines of standard error to report when a process ends.
const LAST_LINES: usize = 10;

/// How long to read output after a process has ended. The limit is needed because a child process
/// may keep the pipe open.
const DRAIN: Duration = Duration::from_secs(1);

/// A process that was started for a function. It may already have ended.
#[derive(Debug)]
pub struct Process {
    this: ProcessRef,
    first_poll: OnceLock<Duration>,
    kill: Notify,
    end: watch::Receiver<Option<String>>,
}

impl Process {
    /// The operating system's process id.
    pub fn id(&self) -> u32 {
        self.this.process
    }

    /// The time from the start of the process to its first request for an invocation. `None` before
    /// that request.
    pub fn first_poll(&self) -> Option<Duration> {
        self.first_poll.get().copied()
    }

    /// Kills it and every process that it started.
    pub fn kill(&self) {
        self.kill.notify_one();
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits for its end. Returns its exit status and the last lines of its standard error.
    pub async fn ended(&self) -> String {
        match self.end.clone().wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or_default(),
            // The task that waits for the process was dropped, because this program ends.
            Err(_) => "abandoned".to_owned(),
        }
    }
}

/// Settings that all processes of one function share.
#[derive(Clone)]
pub(super) struct Launch {
    /// The function's logical id.
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) function: Function,
    /// Without the variables that differ from process to process.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) init_timeout: Duration,
    pub(super) watchdog: Option<Arc<Watchdog>>,
    pub(super) events: EventSink,
}

/// Owns a process and its Runtime API. Dropping it kills the process.
pub(super) struct Worker {
    pub(super) process: Arc<Process>,
    api: RuntimeApi,
    /// The process's pending request for its next invocation.
    waiter: Option<oneshot::Sender<Invocation>>,
    started: Instant,
    launch: Arc<Launch>,
}

impl Worker {
    /// Starts `executable`. It is ready only after [`Worker::init`].
    pub(super) fn start(launch: Arc<Launch>, executable: &Path) -> io::Result<Self> {
        let api = RuntimeApi::serve()?;
        let started = Instant::now();
        let stream = format!("local/[$LATEST]{}", Uuid::new_v4().simple());
        let mut command = Command::new(executable);
        command
            .env_clear()
            .envs(&launch.environment)
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("AWS_LAMBDA_LOG_STREAM_NAME", stream)
            .current_dir(&launch.function.code_uri)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (child, group) = Group::spawn(&mut command, launch.watchdog.clone())?;
        let (ended, end) = watch::channel(None);
        let this = ProcessRef { function: launch.id.clone(), process: group.id() };
        let process = Arc::new(Process { this: this.clone(), first_poll: OnceLock::new(), kill: Notify::new(), end });
        launch.events.send(Event::ProcessStarted(this));
        tokio::spawn(supervise(child, group, process.clone(), launch.events.clone(), ended));
        Ok(Self { process, api, waiter: None, started, launch })
    }

    /// Waits until the process asks for its first invocation.
    pub(super) async fn init(&mut self) -> Result<(), InvokeError> {
        let limit = self.launch.init_timeout;
        let failure = match timeout(limit, self.next_waiter()).await {
            Ok(Ok(waiter)) => {
                let after = self.started.elapsed();
                self.waiter = Some(waiter);
                // `init` runs once per process, so the cell is still empty.
                let _ = self.process.first_poll.set(after);
                self.launch.events.send(Event::ProcessReady { process: self.process.this.clone(), after });
                return Ok(());
            }
            Ok(Err(InitFailed(error))) => error,
            Err(_) => Some(format!("not ready after {limit:?}")),
        };
        self.process.kill();
        let end = self.process.ended().await;
        Err(InvokeError::Exited(match failure {
            Some(failure) => format!("{failure}; {end}"),
            None => end,
        }))
    }

    /// Hands the process an invocation and waits for its result. `None` if the process ended before
    /// it took the invocation, so that another process can handle it. After any error except
    /// [`InvokeError::Failed`], the process has ended.
    pub(super) async fn handle(&mut self, payload: Bytes) -> Option<InvokeResult> {
        let time = self.launch.function.timeout;
        let request_id = Uuid::new_v4().to_string();
        loop {
            let waiter = match self.waiter.take() {
                Some(waiter) => waiter,
                None => timeout(time, self.next_waiter()).await.ok()?.ok()?,
            };
            let trace_id = new_trace_id();
            let process = self.process.this.clone();
            self.launch.events.send(Event::InvocationSent { process, trace_id: trace_id.clone() });
            let invocation = Invocation {
                request_id: request_id.clone(),
                function_arn: self.launch.arn.clone(),
                trace_id,
                deadline: SystemTime::now() + time,
                payload: payload.clone(),
            };
            if waiter.send(invocation).is_ok() {
                break;
            }
        }
        let result = timeout(time, self.result(&request_id)).await;
        Some(match result {
            Ok(result) => result,
            Err(_) => {
                self.process.kill();
                self.process.ended().await;
                Err(InvokeError::TimedOut(time))
            }
        })
    }

    async fn next_waiter(&mut self) -> Result<oneshot::Sender<Invocation>, InitFailed> {
        loop {
            match self.call().await {
                Some(RuntimeCall::Next(waiter)) => return Ok(waiter),
                Some(RuntimeCall::InitFailure(error)) => return Err(InitFailed(Some(error))),
                // Ignore the result of an invocation that has already ended.
                Some(RuntimeCall::Response(..) | RuntimeCall::Failure(..)) => {}
                None => return Err(InitFailed(None)),
            }
        }
    }

    async fn result(&mut self, request_id: &str) -> InvokeResult {
        loop {
            match self.call().await {
                Some(RuntimeCall::Response(id, body)) if id == request_id => return Ok(body.into()),
                Some(RuntimeCall::Failure(id, error)) if id == request_id => {
                    return Err(InvokeError::Failed(error));
                }
                // The process asks for the next invocation without responding to this one, so this
                // one will time out.
                Some(RuntimeCall::Next(waiter)) => self.waiter = Some(waiter),
                Some(_) => {}
                None => return Err(InvokeError::Exited(self.process.ended().await)),
            }
        }
    }

    /// The next call on the Runtime API, or `None` when the process has ended.
    async fn call(&mut self) -> Option<RuntimeCall> {
        tokio::select! {
            biased;
            call = self.api.calls.recv() => call,
            _ = self.process.ended() => None,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// The process ended or reported an error instead of asking for its first invocation.
struct InitFailed(Option<String>);

/// Forwards the output of a process, kills it on demand, and reports its end.
async fn supervise(
    mut child: Child,
    group: Group,
    process: Arc<Process>,
    events: EventSink,
    ended: watch::Sender<Option<String>>,
) {
    let output = tokio::spawn(forward(child.stdout.take(), process.this.clone(), events.clone()));
    let errors = tokio::spawn(forward(child.stderr.take(), process.this.clone(), events.clone()));
    let (status, was_killed) = tokio::select! {
        status = child.wait() => (status, false),
        () = process.kill.notified() => {
            group.kill();
            (child.wait().await, true)
        }
    };
    // Kill the child processes, which closes their output.
    drop(group);
    let last_lines = timeout(DRAIN, async { (output.await, errors.await).1 }).await;
    let mut reason = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    if let Ok(Ok(lines)) = last_lines
        && !lines.is_empty()
    {
        reason = format!("{reason}; last lines: {}", Vec::from(lines).join("\n"));
    }
    ended.send_replace(Some(reason.clone()));
    events.send(Event::ProcessEnded { process: process.this.clone(), was_killed, reason });
}

/// Reports each line that a process prints. Returns the last [`LAST_LINES`] lines.
async fn forward(output: Option<impl AsyncRead + Unpin>, process: ProcessRef, events: EventSink) -> VecDeque<String> {
    let mut last = VecDeque::new();
    let Some(output) = output else { return last };
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line.clone());
        events.send(Event::Printed { process: process.clone(), line });
    }
    last
}
