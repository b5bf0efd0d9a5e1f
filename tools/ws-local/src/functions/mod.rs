//! `Functions`: the functions of a template. They run as processes, each with its own Lambda
//! Runtime API.
//!
//! A process handles one invocation at a time, like a Lambda execution environment. It gets the
//! environment variables of Lambda and the template, and none of this program's own.

mod cargo;
mod environment;
mod group;
mod pool;
mod process;
mod runtime_api;
mod watch;
pub mod watchdog;

use std::{
    collections::BTreeMap,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use axum::body::Bytes;
use tokio::task::AbortHandle;

pub use self::process::Process;
use self::{
    cargo::{Builder, Built, Executable, Progress},
    environment::environment,
    pool::Pool,
    process::Launch,
    watch::Sources,
    watchdog::Watchdog,
};
use crate::{
    event::{Event, EventSink, Payload},
    invoke::{Invoke, InvokeError, InvokeResult},
    template::Stack,
};

/// Lambda's own limit on the initialization of a process.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// All functions of a stack. Dropping it kills idle processes at once and busy ones after their
/// invocation. [`Functions::stop`] kills all of them and waits for their end.
pub struct Functions {
    shared: Arc<Shared>,
    watch: Option<AbortHandle>,
}

/// How to build and run functions.
#[derive(Debug, Clone)]
pub struct FunctionOptions {
    /// Build with `--release`.
    pub release: bool,
    /// Don't build. Use the executables `NAME/bootstrap` in this folder, as written by `cargo
    /// lambda build`. Every function of the template must then name its binary.
    pub prebuilt: Option<PathBuf>,
    /// The largest number of processes per function. When all of them are busy, an invocation waits.
    pub processes: usize,
    /// Environment variables for every function. They override the variables of the template.
    pub environment: BTreeMap<String, String>,
    /// How long a process may take to ask for its first invocation; 10 s on Lambda.
    pub init_timeout: Duration,
    /// Rebuild when a source file changes, and replace the processes.
    pub watch: bool,
    /// The program to start as a watchdog, with the argument [`watchdog::SUBCOMMAND`].
    pub watchdog: Option<PathBuf>,
}

impl Default for FunctionOptions {
    fn default() -> Self {
        Self {
            release: false,
            prebuilt: None,
            processes: 10,
            environment: BTreeMap::new(),
            init_timeout: INIT_TIMEOUT,
            watch: false,
            watchdog: None,
        }
    }
}

impl Functions {
    /// Builds all functions. A process is started only when an invocation needs it.
    pub async fn start(stack: &Stack, options: FunctionOptions, events: EventSink) -> anyhow::Result<Self> {
        let watchdog = options.watchdog.as_deref().map(Watchdog::start).transpose()?.map(Arc::new);
        let builder = Builder::new(stack, options.release, watchdog.clone());
        let mut built = match &options.prebuilt {
            Some(folder) => Built::find(stack, folder)?,
            None => builder.build(Progress::Shown).await?,
        };
        let mut pools = BTreeMap::new();
        for (id, function) in &stack.functions {
            let launch = Launch {
                id: id.clone(),
                arn: format!("arn:aws:lambda:{}:{}:function:{}", stack.region, stack.account_id, function.name),
                function: function.clone(),
                environment: environment(stack, function, &options),
                init_timeout: options.init_timeout,
                watchdog: watchdog.clone(),
                events: events.clone(),
            };
            let executable = built.executables.remove(id).context("a function without a binary")?;
            let pool = Pool::new(launch, executable, options.processes);
            pools.insert(id.clone(), Arc::new(pool));
        }
        let shared = Arc::new(Shared { pools, builder, events, invocations: AtomicU64::new(0) });
        let watch = match options.watch {
            true => {
                let mut sources = Sources::new()?;
                sources.watch(&built.packages)?;
                Some(tokio::spawn(rebuild(shared.clone(), sources)).abort_handle())
            }
            false => None,
        };
        Ok(Self { shared, watch })
    }

    /// Starts one more process of a function and waits until it is ready for its first invocation.
    pub async fn warm(&self, function: &str) -> Result<Arc<Process>, InvokeError> {
        self.shared.pool(function)?.warm().await
    }

    /// The living processes of a function, the oldest first.
    pub fn processes(&self, function: &str) -> Vec<Arc<Process>> {
        self.shared.pools.get(function).map(|pool| pool.processes()).unwrap_or_default()
    }

    /// Number of processes of a function that have been started so far.
    pub fn started(&self, function: &str) -> usize {
        self.shared.pools.get(function).map(|pool| pool.started()).unwrap_or_default()
    }

    /// Changes a variable of every function that has it, as an update of the stack does: processes that run end after their
    /// invocation.
    pub fn set_variable(&self, name: &str, value: &str) {
        for pool in self.shared.pools.values() {
            pool.set_variable(name, value);
        }
    }

    /// Kills all processes and waits for their end. Running invocations fail with [`InvokeError::Exited`], later ones
    /// with [`InvokeError::Unreachable`].
    pub async fn stop(&self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
        for pool in self.shared.pools.values() {
            pool.stop().await;
        }
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl Invoke for Functions {
    fn invoke(&self, function: &str, payload: Vec<u8>) -> Pin<Box<dyn Future<Output = InvokeResult> + Send>> {
        let shared = self.shared.clone();
        let pool = shared.pool(function);
        Box::pin(async move {
            let (pool, payload) = (pool?, Bytes::from(payload));
            // Run on its own task, because the function continues if its caller stops waiting.
            let invocation = tokio::spawn(async move {
                let number = shared.invocations.fetch_add(1, Ordering::Relaxed) + 1;
                shared.events.send(Event::InvocationQueued { number, payload: Payload(payload.clone()) });
                let result = pool.invoke(payload).await;
                shared.events.send(Event::InvocationEnded { number });
                result
            });
            invocation.await.unwrap_or_else(|error| Err(InvokeError::Unreachable(error.into())))
        })
    }
}

/// State that [`Functions`], its invocations and its rebuilds share.
struct Shared {
    /// By logical id.
    pools: BTreeMap<String, Arc<Pool>>,
    builder: Builder,
    events: EventSink,
    invocations: AtomicU64,
}

impl Shared {
    fn pool(&self, function: &str) -> Result<Arc<Pool>, InvokeError> {
        let unknown = || InvokeError::Unreachable(anyhow!("no function `{function}`"));
        self.pools.get(function).cloned().ok_or_else(unknown)
    }

    /// Uses these executables from now on. Returns the functions whose executable changed.
    fn replace(&self, executables: BTreeMap<String, Executable>) -> Vec<String> {
        let replaced = executables.into_iter().filter(|(id, executable)| self.pools[id].replace(executable.clone()));
        replaced.map(|(id, _)| id).collect()
    }
}

async fn rebuild(shared: Arc<Shared>, mut sources: Sources) {
    // The first build does not wait for a change, because a file may have changed before the watch
    // started.
    let mut seen_a_change = false;
    loop {
        let built = shared.builder.build(Progress::Hidden).await.and_then(|built| {
            sources.watch(&built.packages)?;
            Ok(built.executables)
        });
        match built.map(|executables| shared.replace(executables)) {
            Ok(replaced) if replaced.is_empty() && !seen_a_change => {}
            Ok(replaced) => shared.events.send(Event::Rebuilt(replaced)),
            Err(error) => shared.events.send(Event::BuildFailed(format!("{error:#}"))),
        }
        sources.changed().await;
        seen_a_change = true;
    }
}
