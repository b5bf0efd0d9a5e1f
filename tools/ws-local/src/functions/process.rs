//! One process of a function: how it is started, given an event, and ended.

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
    Notice, Observer, Origin,
    group::Group,
    runtime_api::{Call, Handout, RuntimeApi, fresh_trace_id},
    watchdog::Watchdog,
};
use crate::{
    invoke::{Answer, InvokeError},
    template::Function,
};

/// How much of a process's standard error is told when it dies.
const LAST_LINES: usize = 10;

/// How long to read on after a process has ended: what it started may have kept its output open.
const DRAIN: Duration = Duration::from_secs(1);

/// A process that was started for a function, dead or alive.
#[derive(Debug)]
pub struct Process {
    origin: Origin,
    first_poll: OnceLock<Duration>,
    kill: Notify,
    end: watch::Receiver<Option<String>>,
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.origin.process
    }

    /// The time from its start until it first asked for an event, once it has.
    pub fn first_poll(&self) -> Option<Duration> {
        self.first_poll.get().copied()
    }

    /// Kills it, and all that it started, whatever it is doing.
    pub fn kill(&self) {
        self.kill.notify_one();
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits for its end; gives how it ended, with the last lines of its standard error.
    pub async fn ended(&self) -> String {
        match self.end.clone().wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or_default(),
            // Nobody waits for the process any more, because the program ends.
            Err(_) => "abandoned".to_owned(),
        }
    }
}

/// All that the processes of one function have in common.
pub(super) struct Launch {
    /// Logical id of the function.
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) function: Function,
    /// Complete but for what differs from process to process.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) init_timeout: Duration,
    pub(super) watchdog: Option<Arc<Watchdog>>,
    pub(super) observer: Observer,
}

/// The one owner of a process; dropped, it kills the process.
pub(super) struct Worker {
    pub(super) process: Arc<Process>,
    api: RuntimeApi,
    /// The place that the process keeps open for its next event.
    place: Option<oneshot::Sender<Handout>>,
    started: Instant,
    launch: Arc<Launch>,
}

impl Worker {
    /// Starts `executable`; it is ready only after [`Worker::init`].
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
        let origin = Origin { function: launch.id.clone(), process: group.id() };
        let process =
            Arc::new(Process { origin: origin.clone(), first_poll: OnceLock::new(), kill: Notify::new(), end });
        (launch.observer)(Notice::Started(origin));
        tokio::spawn(attend(child, group, process.clone(), launch.observer.clone(), ended));
        Ok(Self { process, api, place: None, started, launch })
    }

    /// Waits until the process first asks for an event.
    pub(super) async fn init(&mut self) -> Result<(), InvokeError> {
        let limit = self.launch.init_timeout;
        let failure = match timeout(limit, self.next_place()).await {
            Ok(Ok(place)) => {
                let after = self.started.elapsed();
                self.place = Some(place);
                // Init comes once per process, so nothing can be set already.
                let _ = self.process.first_poll.set(after);
                (self.launch.observer)(Notice::Ready(self.process.origin.clone(), after));
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

    /// Gives it an event and waits for the answer; `None` when the process ended before it took the event, which then
    /// is another's to handle. After anything but an answer or a reported error the process is dead.
    pub(super) async fn handle(&mut self, event: Bytes) -> Option<Answer> {
        let time = self.launch.function.timeout;
        let request_id = Uuid::new_v4().to_string();
        loop {
            let place = match self.place.take() {
                Some(place) => place,
                None => timeout(time, self.next_place()).await.ok()?.ok()?,
            };
            let trace_id = fresh_trace_id();
            (self.launch.observer)(Notice::Given(self.process.origin.clone(), trace_id.clone()));
            let handout = Handout {
                request_id: request_id.clone(),
                function_arn: self.launch.arn.clone(),
                trace_id,
                deadline: SystemTime::now() + time,
                event: event.clone(),
            };
            if place.send(handout).is_ok() {
                break;
            }
        }
        let answer = timeout(time, self.answer(&request_id)).await;
        Some(match answer {
            Ok(answer) => answer,
            Err(_) => {
                self.process.kill();
                self.process.ended().await;
                Err(InvokeError::TimedOut(time))
            }
        })
    }

    async fn next_place(&mut self) -> Result<oneshot::Sender<Handout>, InitFailed> {
        loop {
            match self.call().await {
                Some(Call::Next(place)) => return Ok(place),
                Some(Call::InitFailure(error)) => return Err(InitFailed(Some(error))),
                Some(Call::Answer(..) | Call::Failure(..)) => {} // to an event that is over
                None => return Err(InitFailed(None)),
            }
        }
    }

    async fn answer(&mut self, request_id: &str) -> Answer {
        loop {
            match self.call().await {
                Some(Call::Answer(id, body)) if id == request_id => return Ok(body.into()),
                Some(Call::Failure(id, error)) if id == request_id => {
                    return Err(InvokeError::Failed(error));
                }
                // It asks for more without having answered: it has lost the event.
                Some(Call::Next(place)) => self.place = Some(place),
                Some(_) => {}
                None => return Err(InvokeError::Exited(self.process.ended().await)),
            }
        }
    }

    /// What the process says next, or `None` when it has ended.
    async fn call(&mut self) -> Option<Call> {
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

/// Why a process doesn't wait for an event: what it said of it, if anything.
struct InitFailed(Option<String>);

/// Stays with a process to its end: passes on what it prints, kills it when told to, and says how it ended.
async fn attend(
    mut child: Child,
    group: Group,
    process: Arc<Process>,
    observe: Observer,
    ended: watch::Sender<Option<String>>,
) {
    let output = tokio::spawn(print(child.stdout.take(), process.origin.clone(), observe.clone()));
    let errors = tokio::spawn(print(child.stderr.take(), process.origin.clone(), observe.clone()));
    let status = tokio::select! {
        status = child.wait() => status,
        () = process.kill.notified() => {
            group.kill();
            child.wait().await
        }
    };
    // What the process itself has started ends with it, and with that their output.
    drop(group);
    let last_lines = timeout(DRAIN, async { (output.await, errors.await).1 }).await;
    let mut how = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    if let Ok(Ok(lines)) = last_lines
        && !lines.is_empty()
    {
        how = format!("{how}; it said last: {}", Vec::from(lines).join("\n"));
    }
    ended.send_replace(Some(how.clone()));
    observe(Notice::Ended(process.origin.clone(), how));
}

/// Passes on line by line what a process prints, and gives back the last ones.
async fn print(output: Option<impl AsyncRead + Unpin>, origin: Origin, observe: Observer) -> VecDeque<String> {
    let mut last = VecDeque::new();
    let Some(output) = output else { return last };
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line.clone());
        observe(Notice::Printed(origin.clone(), line));
    }
    last
}
