//! The faults of one run while it lasts.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{
    fault::{Counts, Fault},
    plan::Plan,
};

/// The weather of one run: it storms by the plan, and then it is calm.
#[derive(Debug)]
pub struct Storm {
    /// By which it storms.
    pub plan: Plan,
    /// What has struck in this run.
    pub struck: Counts,
    /// What has struck in all runs.
    total: Arc<Counts>,
    /// What faults still have to do: late calls, processes that are to go on.
    pub tasks: TaskTracker,
    /// The events that functions still deal with, whoever still waits for them.
    pub events: TaskTracker,
    /// How often somebody was told that a message is stored.
    pub acknowledged: watch::Sender<usize>,
    /// What the tabs of a browser say that it has sent: one that is not loaded then is never told.
    sent_by_tabs: Mutex<HashSet<String>>,
    is_calm: AtomicBool,
    calls: Mutex<HashMap<&'static str, u64>>,
    log: Mutex<Vec<(Duration, String)>>,
    began: Instant,
}

impl Storm {
    /// One that rages from now on.
    pub fn new(plan: Plan, total: Arc<Counts>) -> Self {
        Self {
            plan,
            struck: Counts::default(),
            total,
            tasks: TaskTracker::new(),
            events: TaskTracker::new(),
            acknowledged: watch::Sender::new(0),
            sent_by_tabs: Mutex::default(),
            is_calm: AtomicBool::new(false),
            calls: Mutex::default(),
            log: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// A tab says that this text is sent.
    pub(crate) fn note_sent_by_tab(&self, content: &str) {
        self.sent_by_tabs.lock().unwrap_or_else(PoisonError::into_inner).insert(content.to_owned());
    }

    /// Whether some tab has said that this text is sent.
    pub(crate) fn is_sent_by_tab(&self, content: &str) -> bool {
        self.sent_by_tabs.lock().unwrap_or_else(PoisonError::into_inner).contains(content)
    }

    /// Nothing strikes any more, and what has struck is over.
    pub async fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
        self.tasks.close();
        self.tasks.wait().await;
        self.note("the storm is over");
    }

    /// Waits until no function deals with an event of this run any more: one that nobody waits for may still store a
    /// message.
    pub async fn all_done(&self) {
        self.events.close();
        self.events.wait().await;
        self.note("no function is at work");
    }

    /// Whether it is over.
    pub fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    /// The how many-th of its kind this call is.
    pub fn number(&self, kind: &'static str) -> u64 {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let number = calls.entry(kind).or_default();
        *number += 1;
        *number
    }

    /// What strikes the `number`-th call of a kind, by the plan.
    pub fn fault(&self, kind: &'static str, number: u64, faults: &[(Fault, u32)]) -> Option<Fault> {
        let fault = self.plan.fault(kind, number, faults).filter(|_| !self.is_calm())?;
        if self.struck.of(fault) >= fault.most() {
            return None;
        }
        self.strike(fault, format_args!("{kind} {number}"));
        Some(fault)
    }

    /// Counts a fault, and writes it down.
    pub fn strike(&self, fault: Fault, whom: impl Display) {
        self.struck.add(fault);
        self.total.add(fault);
        self.note(format_args!("** {fault:?} strikes {whom}"));
    }

    /// Writes something down.
    pub fn note(&self, text: impl Display) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push((self.began.elapsed(), text.to_string()));
    }

    /// All that was written down.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|(at, text)| format!("{:8.1} ms  {text}\n", at.as_secs_f64() * 1_000.0)).collect()
    }
}
