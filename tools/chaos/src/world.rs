//! The whole system with the real functions, and proxies between them and everything that they call.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use axum::Router;
use rustix::process::{Pid, Signal, kill_process};
use support::{Local, Upstream, without_limits};
use tokio::net::TcpListener;
use tokio_util::task::task_tracker::TaskTrackerToken;
use ws_local::{
    event::{Event, EventSink, ProcessRef},
    functions::{FunctionOptions, Process},
};

use crate::{
    calls,
    fault::{Counts, Fault},
    plan::Plan,
    pushes,
    storm::Storm,
};

/// How a system is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The release build of the functions.
    pub release: bool,
    /// How many processes each function may have.
    pub processes: usize,
    /// What every call to DynamoDB takes more than it takes here.
    pub latency: Duration,
    /// How long everybody may take to come to rest when a storm is over: a function may still be waiting for its time to
    /// be up, and machines are slow.
    pub rest: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { release: false, processes: 16, latency: Duration::ZERO, rest: Duration::from_secs(300) }
    }
}

/// One system, which many runs share, each with users of its own.
pub struct World {
    /// The system.
    pub local: Local,
    /// What stands between it and its functions.
    pub between: Arc<Between>,
    /// What has struck, in all runs.
    pub total: Arc<Counts>,
    /// How long everybody may take to come to rest.
    pub rest: Duration,
}

/// What the proxies know.
pub struct Between {
    /// DynamoDB itself.
    pub dynamodb: OnceLock<Upstream>,
    /// The gateway itself.
    pub gateway: OnceLock<Upstream>,
    /// What every call to DynamoDB takes more.
    pub latency: Duration,
    local: OnceLock<std::sync::Weak<ws_local::functions::Functions>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    storms: HashMap<u64, Arc<Storm>>,
    /// Which process deals with which event.
    invocations: HashMap<String, ProcessRef>,
    events: HashMap<ProcessRef, String>,
    /// Connections that a client has, or had, and since when.
    opened: HashMap<String, Instant>,
    /// Connections whose `$disconnect` never comes.
    muted: HashSet<String>,
    /// The events that functions deal with.
    events_of: HashMap<u64, TaskTrackerToken>,
    started: u64,
}

impl World {
    /// Starts the system.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let Options { release, processes, latency, rest } = options;
        let total = Arc::new(Counts::default());
        let between = Arc::new(Between {
            dynamodb: OnceLock::new(),
            gateway: OnceLock::new(),
            latency,
            local: OnceLock::new(),
            state: Mutex::default(),
        });
        let dynamodb = serve(calls::router(between.clone())).await?;
        let gateway = serve(pushes::router(between.clone())).await?;
        let (observed, counts) = (between.clone(), total.clone());
        let local = Local::start_with(|options| {
            without_limits(options);
            let environment = BTreeMap::from([
                ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamodb),
                ("CONNECTIONS_ENDPOINT".to_owned(), format!("{gateway}/prod")),
            ]);
            let functions = FunctionOptions { environment, release, processes, ..FunctionOptions::default() };
            options.functions = functions;
            options.events = EventSink::new(move |event| observed.observe(event, &counts));
        })
        .await;
        // They are set once, here.
        let _ = between.dynamodb.set(Upstream::new(local.dynamodb().to_owned()));
        let _ = between.gateway.set(Upstream::new(local.gateway()));
        let _ = between.local.set(Arc::downgrade(local.functions()));
        Ok(Self { local, between, total, rest })
    }

    /// Lets it storm by this plan.
    pub fn storm(&self, plan: Plan) -> Arc<Storm> {
        let storm = Arc::new(Storm::new(plan, self.total.clone()));
        self.between.state().storms.insert(storm.plan.seed, storm.clone());
        storm
    }

    /// Forgets a run.
    pub fn forget(&self, storm: &Storm) {
        self.between.state().storms.remove(&storm.plan.seed);
    }

    /// Stops the system.
    pub async fn stop(self) {
        self.local.stop().await;
    }
}

impl Between {
    /// The run that a request belongs to, by the first user's name in it.
    pub fn storm_of(&self, body: &[u8]) -> Option<Arc<Storm>> {
        let mut parts = body.split(|byte| *byte == b'~').skip(1);
        let seed = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        self.state().storms.get(&seed).cloned()
    }

    /// The function that deals with an event.
    pub fn function(&self, trace: Option<&str>) -> Option<String> {
        Some(self.state().invocations.get(trace?)?.function.clone())
    }

    /// Whether this connection has been open for a while, or was.
    pub fn was_opened(&self, connection: &str) -> bool {
        self.state().opened.get(connection).is_some_and(|opened| opened.elapsed() > Duration::from_millis(50))
    }

    /// The `$disconnect` of this connection never comes.
    pub fn mute(&self, connection: &str) {
        self.state().muted.insert(connection.to_owned());
    }

    /// Whether a `$disconnect` that came has to be taken for one that never comes.
    pub fn is_muted(&self, connection: &str) -> bool {
        self.state().muted.contains(connection)
    }

    /// Kills the process that deals with an event, and waits until it is dead.
    pub async fn kill(&self, trace: Option<&str>) {
        if let Some(process) = self.process(trace) {
            process.kill();
            process.ended().await;
        }
    }

    /// Stops the process that deals with an event, for so long.
    pub fn pause(&self, storm: &Storm, trace: Option<&str>, time: Duration) {
        if let Some(process) = self.process(trace) {
            storm.tasks.spawn(pause(process, time));
        }
    }

    fn process(&self, trace: Option<&str>) -> Option<Arc<Process>> {
        let origin = self.state().invocations.get(trace?)?.clone();
        self.process_of(&origin)
    }

    fn process_of(&self, origin: &ProcessRef) -> Option<Arc<Process>> {
        let functions = self.local.get()?.upgrade()?;
        functions.processes(&origin.function).into_iter().find(|process| process.id() == origin.process)
    }

    fn observe(self: &Arc<Self>, event: Event, total: &Arc<Counts>) {
        match event {
            Event::Request(record) if record.route == "$connect" && record.status == 200 => {
                self.state().opened.insert(record.connection, Instant::now());
            }
            Event::InvocationQueued { number, payload } => {
                if let Some(storm) = self.storm_of(&payload.0) {
                    self.state().events_of.insert(number, storm.events.token());
                }
            }
            Event::InvocationEnded { number } => {
                self.state().events_of.remove(&number);
            }
            Event::InvocationSent { process: origin, trace_id: trace } => {
                let mut state = self.state();
                if let Some(before) = state.events.insert(origin.clone(), trace.clone()) {
                    state.invocations.remove(&before);
                }
                state.invocations.insert(trace, origin);
            }
            Event::ProcessEnded { process: origin, .. } => {
                let mut state = self.state();
                if let Some(before) = state.events.remove(&origin) {
                    state.invocations.remove(&before);
                }
            }
            Event::ProcessStarted(origin) => {
                let number = {
                    let mut state = self.state();
                    state.started += 1;
                    state.started
                };
                // Which run it is for, nobody knows yet.
                if number.is_multiple_of(7) {
                    total.add(Fault::SlowStart);
                    let between = self.clone();
                    // In a task: this is told before the process is in the list.
                    tokio::spawn(async move {
                        if let Some(process) = between.process_of(&origin) {
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

/// Stops a process, and lets it go on later where it still lives.
async fn pause(process: Arc<Process>, time: Duration) {
    let signal = move |signal| {
        let pid = Pid::from_raw(process.id().cast_signed()).filter(|_| !process.has_ended());
        if let Some(pid) = pid {
            // One that has ended in this moment needs no signal.
            let _ = kill_process(pid, signal);
        }
    };
    signal(Signal::STOP);
    tokio::time::sleep(time).await;
    signal(Signal::CONT);
}

/// Serves on a free port, and gives the address.
async fn serve(router: Router) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
