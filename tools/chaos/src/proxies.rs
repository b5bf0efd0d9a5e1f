//! `Proxies`: shared state of the fault-injecting proxies: the run of each call, the process that
//! made it, and the connections that were opened.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::task::task_tracker::TaskTrackerToken;
use ws_local::event::Event;

use crate::{
    fault::{Fault, FaultCounts},
    group::PREFIX,
    processes::{Processes, pause},
    schedule::FaultSchedule,
};

/// The number of letters of a group's id.
const UUID_LENGTH: usize = 36;
/// One in this many cold starts is slow.
const SLOW_STARTS: u64 = 7;
/// API Gateway may respond with 410 for a connection whose `$connect` is still running.
const CONNECTING: Duration = Duration::from_millis(50);

pub(crate) struct Proxies {
    pub(crate) processes: Processes,
    state: Mutex<State>,
    total: Arc<FaultCounts>,
}

#[derive(Default)]
struct State {
    /// By seed.
    runs: HashMap<u64, Arc<FaultSchedule>>,
    /// The seed of each group, by conversation id.
    groups: HashMap<String, u64>,
    /// Time of the successful `$connect` of each connection, open or closed.
    opened: HashMap<String, Instant>,
    /// Connections whose `$disconnect` event is lost.
    without_disconnect: HashSet<String>,
    /// Events that functions are handling, by invocation number.
    running: HashMap<u64, TaskTrackerToken>,
    cold_starts: u64,
}

impl Proxies {
    pub(crate) fn new(total: Arc<FaultCounts>) -> Self {
        Self { processes: Processes::default(), state: Mutex::default(), total }
    }

    /// Begins to inject the faults of this run.
    pub(crate) fn add(&self, schedule: Arc<FaultSchedule>) {
        self.state().runs.insert(schedule.plan.seed, schedule);
    }

    pub(crate) fn remove(&self, schedule: &FaultSchedule) {
        self.state().runs.remove(&schedule.plan.seed);
    }

    /// The run of the first user id (`~SEED~NAME`) in a request, or of the group in it: an earlier request had both.
    pub(crate) fn run_of(&self, body: &[u8]) -> Option<Arc<FaultSchedule>> {
        let text = std::str::from_utf8(body).ok()?;
        let seed = text.split('~').nth(1).and_then(|seed| seed.parse().ok());
        let group = text.find(PREFIX).and_then(|at| text.get(at..at + PREFIX.len() + UUID_LENGTH));
        let mut state = self.state();
        let seed = match (seed, group) {
            (Some(seed), Some(group)) => *state.groups.entry(group.to_owned()).or_insert(seed),
            (Some(seed), None) => seed,
            (None, group) => *state.groups.get(group?)?,
        };
        state.runs.get(&seed).cloned()
    }

    /// Whether the connection's `$connect` succeeded more than [`CONNECTING`] ago. The connection
    /// may be closed by now.
    pub(crate) fn was_opened(&self, connection: &str) -> bool {
        self.state().opened.get(connection).is_some_and(|opened| opened.elapsed() > CONNECTING)
    }

    /// Loses the `$disconnect` event of this connection.
    pub(crate) fn lose_disconnect(&self, connection: &str) {
        self.state().without_disconnect.insert(connection.to_owned());
    }

    /// Whether the `$disconnect` event of this connection is lost.
    pub(crate) fn is_disconnect_lost(&self, connection: &str) -> bool {
        self.state().without_disconnect.contains(connection)
    }

    /// Updates the state from an event of the system.
    pub(crate) fn observe(self: &Arc<Self>, event: Event) {
        match event {
            Event::Request(record) if record.route == "$connect" && record.status == 200 => {
                self.state().opened.insert(record.connection, Instant::now());
            }
            Event::InvocationQueued { number, payload } => {
                if let Some(schedule) = self.run_of(&payload.0) {
                    self.state().running.insert(number, schedule.events.token());
                }
            }
            Event::InvocationEnded { number } => {
                self.state().running.remove(&number);
            }
            Event::InvocationSent { process, trace_id } => self.processes.begin(process, trace_id),
            Event::ProcessEnded { process, .. } => self.processes.end(&process),
            Event::ProcessStarted(process) => {
                let number = {
                    let mut state = self.state();
                    state.cold_starts += 1;
                    state.cold_starts
                };
                // The run is not known yet, so this fault does not depend on a plan.
                if number.is_multiple_of(SLOW_STARTS) {
                    self.total.add(Fault::SlowStart);
                    let proxies = self.clone();
                    // Run in a task, because the process is not in the list yet.
                    tokio::spawn(async move {
                        if let Some(process) = proxies.processes.find(&process) {
                            pause(process, Duration::from_millis(100 + number % 9 * 100)).await;
                        }
                    });
                }
            }
            _ => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
