//! `Pool`: the processes of one function. An idle process handles the next invocation. If none is
//! idle, another one is started, up to a limit.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{
    cargo::Executable,
    process::{Launch, Process, Worker},
};
use crate::invoke::{InvokeError, InvokeResult};

/// Number of attempts to start an executable that a build is replacing, and the pause between two
/// attempts.
const START_ATTEMPTS: usize = 25;
const START_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Pool {
    /// The function's time-out.
    timeout: Duration,
    /// One permit per busy process.
    slots: Semaphore,
    size: usize,
    reserved: Option<(Semaphore, usize)>,
    state: Mutex<State>,
}

struct State {
    launch: Arc<Launch>,
    executable: Executable,
    /// Counts the changes of the two. A process of an earlier revision handles no more than its current invocation.
    revision: u64,
    /// Each with its revision.
    idle: Vec<(Worker, u64)>,
    processes: Vec<Arc<Process>>,
    started: usize,
    stopped: bool,
}

impl Pool {
    /// An empty pool of at most `size` processes.
    pub(super) fn new(launch: Launch, executable: Executable, size: usize) -> Self {
        let reserved = launch.function.reserved_concurrency.map(|limit| limit as usize);
        Self {
            timeout: launch.function.timeout,
            slots: Semaphore::new(size),
            size,
            reserved: reserved.map(|limit| (Semaphore::new(limit), limit)),
            state: Mutex::new(State {
                launch: Arc::new(launch),
                executable,
                revision: 0,
                idle: Vec::new(),
                processes: Vec::new(),
                started: 0,
                stopped: false,
            }),
        }
    }

    /// Handles one invocation. Above the function's reserved concurrency it fails at once, as on
    /// AWS. If all processes are busy, it waits at most for the function's time-out; AWS has no
    /// such limit.
    pub(super) async fn invoke(&self, payload: Bytes) -> InvokeResult {
        let _reserved = match &self.reserved {
            Some((free, limit)) => Some(free.try_acquire().map_err(|_| InvokeError::Throttled(*limit))?),
            None => None,
        };
        let Ok(Ok(_slot)) = timeout(self.timeout, self.slots.acquire()).await else {
            return Err(InvokeError::Throttled(self.size));
        };
        while let Some((mut worker, revision)) = self.take_idle() {
            if let Some(result) = worker.handle(payload.clone()).await {
                self.keep(worker, revision, &result);
                return result;
            }
        }
        let (mut worker, revision) = self.start().await?;
        match worker.handle(payload).await {
            Some(result) => {
                self.keep(worker, revision, &result);
                result
            }
            None => Err(InvokeError::Exited(worker.process.ended().await)),
        }
    }

    /// Starts one more process and waits until it is ready.
    pub(super) async fn warm(&self) -> Result<Arc<Process>, InvokeError> {
        if self.processes().len() >= self.size {
            return Err(InvokeError::Throttled(self.size));
        }
        let (worker, revision) = self.start().await?;
        let process = worker.process.clone();
        self.keep(worker, revision, &Ok(Vec::new()));
        Ok(process)
    }

    /// The living processes, the oldest first.
    pub(super) fn processes(&self) -> Vec<Arc<Process>> {
        let mut state = self.state();
        state.processes.retain(|process| !process.has_ended());
        state.processes.clone()
    }

    pub(super) fn started(&self) -> usize {
        self.state().started
    }

    /// Uses `executable` for all later invocations. Idle processes end at once, busy ones after their invocation. Returns
    /// false if `executable` is already in use.
    pub(super) fn replace(&self, executable: Executable) -> bool {
        let mut state = self.state();
        if state.executable == executable {
            return false;
        }
        state.executable = executable;
        state.begin_revision();
        true
    }

    /// Gives the variable this value for all later invocations, if the function has it. Processes end as with
    /// [`Pool::replace`].
    pub(super) fn set_variable(&self, name: &str, value: &str) {
        let mut state = self.state();
        let mut launch = Launch::clone(&state.launch);
        let Some(variable) = launch.environment.get_mut(name) else { return };
        value.clone_into(variable);
        state.launch = Arc::new(launch);
        state.begin_revision();
    }

    /// Kills all processes, waits for their end, and prevents new ones from starting.
    pub(super) async fn stop(&self) {
        self.state().stopped = true;
        let processes = self.processes();
        processes.iter().for_each(|process| process.kill());
        for process in processes {
            process.ended().await;
        }
        self.state().idle.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the process that was used last, because its memory is most likely still in the
    /// processor's caches.
    fn take_idle(&self) -> Option<(Worker, u64)> {
        let mut state = self.state();
        state.idle.retain(|(worker, _)| !worker.process.has_ended());
        state.idle.pop()
    }

    fn keep(&self, worker: Worker, revision: u64, result: &InvokeResult) {
        let mut state = self.state();
        if matches!(result, Ok(_) | Err(InvokeError::Failed(_))) && revision == state.revision {
            state.idle.push((worker, revision));
        }
    }

    async fn start(&self) -> Result<(Worker, u64), InvokeError> {
        let mut attempts = 0;
        let (mut worker, revision) = loop {
            attempts += 1;
            match self.spawn() {
                Ok(started) => break started,
                Err(error) if attempts < START_ATTEMPTS && is_being_replaced(&error) => {
                    sleep(START_PAUSE).await;
                }
                Err(error) => return Err(InvokeError::Unreachable(error.into())),
            }
        };
        worker.init().await?;
        Ok((worker, revision))
    }

    /// Starts a process and lists it under one lock, so that [`Pool::stop`] misses none.
    fn spawn(&self) -> io::Result<(Worker, u64)> {
        let mut state = self.state();
        if state.stopped {
            return Err(io::Error::other("the functions have been stopped"));
        }
        let worker = Worker::start(state.launch.clone(), Path::new(&state.executable.path))?;
        state.processes.retain(|process| !process.has_ended());
        state.processes.push(worker.process.clone());
        state.started += 1;
        Ok((worker, state.revision))
    }
}

impl State {
    fn begin_revision(&mut self) {
        self.revision += 1;
        self.idle.clear();
    }
}

fn is_being_replaced(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ExecutableFileBusy)
}
