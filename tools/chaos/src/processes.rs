//! `Processes`: finds the function process that handles an event, to kill or stop it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use ws_local::{
    event::ProcessRef,
    functions::{Functions, Process},
};

#[derive(Default)]
pub(crate) struct Processes {
    functions: OnceLock<Weak<Functions>>,
    events: Mutex<Events>,
}

/// The current event of each process. An event is identified by its `X-Amzn-Trace-Id`.
#[derive(Default)]
struct Events {
    by_event: HashMap<String, ProcessRef>,
    by_process: HashMap<ProcessRef, String>,
}

impl Processes {
    /// Sets the functions that own the processes. Call it once.
    pub(crate) fn set_functions(&self, functions: &Arc<Functions>) {
        // Only the harness calls this, once, so it can't fail.
        let _ = self.functions.set(Arc::downgrade(functions));
    }

    /// Records that a process begins to handle an event.
    pub(crate) fn begin(&self, process: ProcessRef, event: String) {
        let mut events = self.lock();
        if let Some(previous) = events.by_process.insert(process.clone(), event.clone()) {
            events.by_event.remove(&previous);
        }
        events.by_event.insert(event, process);
    }

    /// Records that a process has ended.
    pub(crate) fn end(&self, process: &ProcessRef) {
        let mut events = self.lock();
        if let Some(event) = events.by_process.remove(process) {
            events.by_event.remove(&event);
        }
    }

    /// The function that handles an event.
    pub(crate) fn function(&self, event: &str) -> Option<String> {
        Some(self.lock().by_event.get(event)?.function.clone())
    }

    /// The process that handles an event.
    pub(crate) fn handling(&self, event: &str) -> Option<Arc<Process>> {
        let process = self.lock().by_event.get(event)?.clone();
        self.find(&process)
    }

    pub(crate) fn find(&self, process: &ProcessRef) -> Option<Arc<Process>> {
        let functions = self.functions.get()?.upgrade()?;
        functions.processes(&process.function).into_iter().find(|found| found.id() == process.process)
    }

    /// Kills the process that handles an event, and waits until the process has ended.
    pub(crate) async fn kill(&self, event: &str) {
        if let Some(process) = self.handling(event) {
            process.kill();
            process.ended().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Suspends a process for this duration.
pub(crate) async fn pause(process: Arc<Process>, time: Duration) {
    let signal = move |signal| {
        let pid = Pid::from_raw(process.id().cast_signed()).filter(|_| !process.has_ended());
        if let Some(pid) = pid {
            // The process may have just ended.
            let _ = kill_process(pid, signal);
        }
    };
    signal(Signal::STOP);
    tokio::time::sleep(time).await;
    signal(Signal::CONT);
}
