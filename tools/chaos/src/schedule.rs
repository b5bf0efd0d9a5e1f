//! `FaultSchedule`: the faults of a run in progress, and its log.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{
    action::Action,
    exposure::Exposures,
    fault::{Fault, FaultCounts},
    plan::Plan,
};

/// Decides from the plan which fault each call gets, until [`FaultSchedule::quiesce`].
#[derive(Debug)]
pub struct FaultSchedule {
    pub plan: Plan,
    /// Faults injected in this run.
    pub injected: FaultCounts,
    /// Faults injected in all runs.
    total: Arc<FaultCounts>,
    /// Pending effects of faults: late calls, and stopped processes.
    pub tasks: TaskTracker,
    /// Events that functions are handling, including those whose caller has stopped waiting.
    pub events: TaskTracker,
    /// Number of acknowledged messages.
    pub acknowledged: watch::Sender<usize>,
    /// Number of pushes that have failed, or whose function has not waited for the response.
    pub lost_pushes: AtomicUsize,
    /// Transactions that are being applied.
    pub(crate) exposures: Exposures,
    is_quiet: AtomicBool,
    /// What drafts have become, by user and draft.
    actions: Mutex<HashMap<(String, String), Action>>,
    /// What frames have asked for, by user and `clientMessageId`.
    asked: Mutex<HashMap<(String, String), Action>>,
    /// What the devices of a user were told to do, by user and peer.
    distinct: Mutex<HashSet<(String, String, Action)>>,
    calls: Mutex<HashMap<&'static str, u64>>,
    log: Mutex<Vec<(Duration, String)>>,
    start: Instant,
}

impl FaultSchedule {
    pub fn new(plan: Plan, total: Arc<FaultCounts>) -> Self {
        Self {
            plan,
            injected: FaultCounts::default(),
            total,
            tasks: TaskTracker::new(),
            events: TaskTracker::new(),
            acknowledged: watch::Sender::new(0),
            lost_pushes: AtomicUsize::new(0),
            exposures: Exposures::default(),
            is_quiet: AtomicBool::new(false),
            actions: Mutex::default(),
            asked: Mutex::default(),
            distinct: Mutex::default(),
            calls: Mutex::default(),
            log: Mutex::default(),
            start: Instant::now(),
        }
    }

    /// Stops injecting faults, and waits until the effects of earlier ones are over.
    pub async fn quiesce(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
        self.tasks.close();
        self.tasks.wait().await;
        self.note("no more faults");
    }

    /// Waits until no function handles an event of this run. A function may still store a message
    /// after its caller has disconnected.
    pub async fn functions_idle(&self) {
        self.events.close();
        self.events.wait().await;
        self.note("no function is running");
    }

    /// Whether faults have stopped.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    /// Counts a call. The first call of a kind has the number 1.
    pub fn number(&self, kind: &'static str) -> u64 {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let number = calls.entry(kind).or_default();
        *number += 1;
        *number
    }

    /// The fault that the plan has for this call, if faults have not stopped and its limit is not
    /// reached. Records it as injected.
    pub fn fault(&self, kind: &'static str, number: u64, faults: &[(Fault, u32)]) -> Option<Fault> {
        let fault = self.plan.fault(kind, number, faults).filter(|_| !self.is_quiet())?;
        if self.injected.count(fault) >= fault.limit_per_run() {
            return None;
        }
        self.record(fault, format_args!("{kind} {number}"));
        Some(fault)
    }

    /// The action of a user's draft: the one that the first device chooses, because a repeat by another device must ask for
    /// the same.
    pub fn action(&self, user: &str, draft: &str, choose: impl FnOnce() -> Action) -> Action {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        actions.entry((user.to_owned(), draft.to_owned())).or_insert_with(choose).clone()
    }

    /// Notes what a user's frame with this `clientMessageId` asks for.
    pub fn ask(&self, user: &str, id: &str, action: &Action) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert((user.to_owned(), id.to_owned()), action.clone());
    }

    /// What a user's frame with this `clientMessageId` asked for, from whatever device.
    pub fn asked(&self, user: &str, id: &str) -> Option<Action> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&(user.to_owned(), id.to_owned())).cloned()
    }

    /// Whether the user's devices were not told to do this before.
    pub fn is_first(&self, user: &str, peer: &str, action: &Action) -> bool {
        let mut distinct = self.distinct.lock().unwrap_or_else(PoisonError::into_inner);
        distinct.insert((user.to_owned(), peer.to_owned(), action.clone()))
    }

    /// Counts and logs an injected fault.
    pub fn record(&self, fault: Fault, target: impl Display) {
        self.injected.add(fault);
        self.total.add(fault);
        self.note(format_args!("** {fault:?}: {target}"));
    }

    /// Adds a line to the log.
    pub fn note(&self, text: impl Display) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push((self.start.elapsed(), text.to_string()));
    }

    /// The log, one line per entry.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|(at, text)| format!("{:8.1} ms  {text}\n", at.as_secs_f64() * 1_000.0)).collect()
    }
}
