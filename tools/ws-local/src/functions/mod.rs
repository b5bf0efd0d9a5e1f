//! Runs the functions of a template as processes of this machine, each behind a Lambda Runtime API.
//!
//! [`Functions`] builds them and gives events to them; what happens meanwhile it tells as [`Notice`]s. A process has
//! one event at a time and the environment of Lambda and its template, nothing of this program's.

mod cargo;
mod group;
mod pool;
mod process;
mod runtime_api;
mod watch;
pub mod watchdog;

use std::{
    collections::BTreeMap,
    fmt,
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
    cargo::{Builder, Built, Executable},
    pool::Pool,
    process::Launch,
    watch::Sources,
    watchdog::Watchdog,
};
use crate::{
    invoke::{Answer, Invoke, InvokeError},
    template::{Function, Stack},
};

/// How long a process may take until it asks for its first event, on Lambda.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// All functions of a stack. When it is dropped, processes that wait for an event are killed and the others after the
/// event that they are at; [`Functions::stop`] kills them all and waits for it.
pub struct Functions {
    running: Arc<Running>,
    watch: Option<AbortHandle>,
}

/// How to run functions.
#[derive(Debug, Clone)]
pub struct FunctionOptions {
    /// Build with `--release`.
    pub release: bool,
    /// Build nothing, and take the binaries of this folder, as `cargo lambda build` leaves them: `NAME/bootstrap`. Every
    /// function of the template must name its binary then.
    pub prebuilt: Option<PathBuf>,
    /// How many processes a function may have. An event that finds all of them at work waits.
    pub processes: usize,
    /// Variables for every function, above those of the template: where to find DynamoDB, for example.
    pub environment: BTreeMap<String, String>,
    /// How long a process may take until it asks for its first event; 10 s on Lambda.
    pub init_timeout: Duration,
    /// Build again when a source file changes, and let new processes take over.
    pub watch: bool,
    /// The program to start as a watchdog, with [`watchdog::SUBCOMMAND`] as its argument; none without.
    pub watchdog: Option<PathBuf>,
}

/// What happens to the functions.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A process was started.
    Started(Origin),
    /// A process asks for its first event, so long after its start.
    Ready(Origin, Duration),
    /// The how many-th event that there is, for whichever function; a process for it may have to be started.
    Asked(u64, Payload),
    /// That event is dealt with: answered, failed, or given up.
    Done(u64),
    /// A process is given an event. What it then asks of AWS carries this trace id (`X-Amzn-Trace-Id`), which no other
    /// event has.
    Given(Origin, String),
    /// A process printed this line, to its standard output or error.
    Printed(Origin, String),
    /// A process has ended: its exit status and the last lines of its standard error.
    Ended(Origin, String),
    /// After a change of the sources these functions were replaced; none, if it was of no consequence.
    Rebuilt(Vec<String>),
    /// After a change of the sources the functions can't be built, and the old ones stay. The compiler's own words
    /// went to standard error.
    BuildFailed(String),
}

/// An event as it came. It has no `Debug` form but its length, so that no token and no message in it can reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Which process a [`Notice`] is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The function's logical id.
    pub function: String,
    /// The process id.
    pub process: u32,
}

/// Is told of everything that happens, at once and in the task where it happens; so it must not block, nor ask
/// the functions for anything.
pub type Observer = Arc<dyn Fn(Notice) + Send + Sync>;

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

struct Running {
    pools: BTreeMap<String, Arc<Pool>>,
    builder: Builder,
    observer: Observer,
    asked: AtomicU64,
}

impl Functions {
    /// Builds all functions; processes are started only for events.
    pub async fn start(stack: &Stack, options: FunctionOptions, observer: Observer) -> anyhow::Result<Self> {
        let watchdog = options.watchdog.as_deref().map(Watchdog::start).transpose()?.map(Arc::new);
        let builder = Builder::new(stack, options.release, watchdog.clone());
        let mut built = match &options.prebuilt {
            Some(folder) => Built::found(stack, folder)?,
            None => builder.build().await?,
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
                observer: observer.clone(),
            };
            let executable = built.executables.remove(id).context("a function without a binary")?;
            let pool = Pool::new(launch, executable, options.processes);
            pools.insert(id.clone(), Arc::new(pool));
        }
        let running = Arc::new(Running { pools, builder, observer, asked: AtomicU64::new(0) });
        let watch = match options.watch {
            true => {
                let mut sources = Sources::new()?;
                sources.watch(&built.packages)?;
                Some(tokio::spawn(rebuild(running.clone(), sources)).abort_handle())
            }
            false => None,
        };
        Ok(Self { running, watch })
    }

    /// Starts one more process of a function and waits until it is ready for its first event.
    pub async fn warm(&self, function: &str) -> Result<Arc<Process>, InvokeError> {
        self.running.pool(function)?.warm().await
    }

    /// The living processes of a function, the oldest first.
    pub fn processes(&self, function: &str) -> Vec<Arc<Process>> {
        self.running.pools.get(function).map(|pool| pool.processes()).unwrap_or_default()
    }

    /// How many processes of a function were ever started.
    pub fn started(&self, function: &str) -> usize {
        self.running.pools.get(function).map(|pool| pool.started()).unwrap_or_default()
    }

    /// Kills all processes and waits for their end. An event that one of them is at is answered with
    /// [`InvokeError::Exited`], any later one with [`InvokeError::Unreachable`].
    pub async fn stop(&self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
        for pool in self.running.pools.values() {
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
    fn invoke(&self, function: &str, event: Vec<u8>) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let running = self.running.clone();
        let pool = running.pool(function);
        Box::pin(async move {
            let (pool, event) = (pool?, Bytes::from(event));
            // In a task of its own, for the function goes on when its caller doesn't wait any more.
            let handled = tokio::spawn(async move {
                let number = running.asked.fetch_add(1, Ordering::Relaxed) + 1;
                (running.observer)(Notice::Asked(number, Payload(event.clone())));
                let answer = pool.invoke(event).await;
                (running.observer)(Notice::Done(number));
                answer
            });
            handled.await.unwrap_or_else(|error| Err(InvokeError::Unreachable(error.into())))
        })
    }
}

impl Running {
    fn pool(&self, function: &str) -> Result<Arc<Pool>, InvokeError> {
        let unknown = || InvokeError::Unreachable(anyhow!("no function `{function}`"));
        self.pools.get(function).cloned().ok_or_else(unknown)
    }

    /// Puts these in the place of the old ones, and names the functions of which that is another.
    fn replace(&self, executables: BTreeMap<String, Executable>) -> Vec<String> {
        let replaced = executables.into_iter().filter(|(id, executable)| self.pools[id].replace(executable.clone()));
        replaced.map(|(id, _)| id).collect()
    }
}

async fn rebuild(running: Arc<Running>, mut sources: Sources) {
    // First without waiting: something may have changed while the first build ran and nobody watched.
    let mut seen_a_change = false;
    loop {
        let built = running.builder.build().await.and_then(|built| {
            sources.watch(&built.packages)?;
            Ok(built.executables)
        });
        match built.map(|executables| running.replace(executables)) {
            Ok(replaced) if replaced.is_empty() && !seen_a_change => {}
            Ok(replaced) => (running.observer)(Notice::Rebuilt(replaced)),
            Err(error) => (running.observer)(Notice::BuildFailed(format!("{error:#}"))),
        }
        sources.changed().await;
        seen_a_change = true;
    }
}

/// What each process of a function finds in its environment, but for the variables that each has of its own.
fn environment(stack: &Stack, function: &Function, options: &FunctionOptions) -> BTreeMap<String, String> {
    let defaults = [
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        // Whatever takes the calls on this machine doesn't check them; the SDK wants some.
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ];
    let own = [
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_REGION", stack.region.clone()),
        ("AWS_DEFAULT_REGION", stack.region.clone()),
    ];
    let mut environment: BTreeMap<_, _> = defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    environment.extend(function.environment.clone());
    environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
    environment.extend(options.environment.clone());
    environment
}
