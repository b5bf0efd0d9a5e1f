//! `Host`: a Node.js process that runs `web/chat-client.js` for the devices of all runs.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc,
};

/// Files that the process imports.
#[derive(Debug, Clone)]
pub struct ModulePaths {
    /// `chat-client.js`
    pub client: PathBuf,
    /// The ES module of the npm package `fake-indexeddb`, which stores the client's outbox.
    pub indexed_db: PathBuf,
}

/// The Node.js process. Dropping this kills it.
pub struct Host {
    operations: mpsc::UnboundedSender<Value>,
    listeners: Arc<Listeners>,
    _child: Child,
}

/// Listeners by device name.
type Listeners = Mutex<HashMap<String, Listener>>;
type Listener = Arc<dyn Fn(Value) + Send + Sync>;

impl Host {
    /// Starts the process.
    ///
    /// # Errors
    /// If a file is missing, or Node.js can't be started.
    pub fn start(paths: &ModulePaths) -> anyhow::Result<Arc<Self>> {
        let [client, indexed_db] = [&paths.client, &paths.indexed_db].map(|path| absolute(path));
        let mut command = Command::new("node");
        // Node.js before 22 has `WebSocket` only with this option.
        command.args(["--experimental-websocket", "--no-warnings"]);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/host.mjs")).arg(client?).arg(indexed_db?);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = piped.spawn().context("can't start Node.js (20 or later) as `node`")?;
        let stdin = child.stdin.take().context("the process has no stdin")?;
        let stdout = child.stdout.take().context("the process has no stdout")?;
        let (operations, received_operations) = mpsc::unbounded_channel();
        tokio::spawn(write_operations(stdin, received_operations));
        let listeners = Arc::<Listeners>::default();
        tokio::spawn(read_events(BufReader::new(stdout).lines(), listeners.clone()));
        Ok(Arc::new(Self { operations, listeners, _child: child }))
    }

    /// Calls an operation of `host.mjs`.
    pub(crate) fn call(&self, operation: Value) {
        // Ignore errors: `read_events` reports that the process has ended.
        let _ = self.operations.send(operation);
    }

    /// Calls `listener` with each event of this device.
    pub(crate) fn listen(&self, device: &str, listener: impl Fn(Value) + Send + Sync + 'static) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.insert(device.to_owned(), Arc::new(listener));
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    let advice = "run `make tools`, and start chaos in the repository's root";
    ensure!(path.exists(), "{} does not exist: {advice}", path.display());
    path.canonicalize().with_context(|| path.display().to_string())
}

async fn write_operations(mut stdin: ChildStdin, mut operations: mpsc::UnboundedReceiver<Value>) {
    while let Some(operation) = operations.recv().await {
        // Ignore errors: `read_events` reports that the process has ended.
        let _ = stdin.write_all(format!("{operation}\n").as_bytes()).await;
    }
}

async fn read_events(mut lines: Lines<BufReader<ChildStdout>>, listeners: Arc<Listeners>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        let device = event["device"].as_str().unwrap_or_default();
        let listener = listeners.lock().unwrap_or_else(PoisonError::into_inner).get(device).cloned();
        if let Some(listener) = listener {
            listener(event);
        }
    }
    // An uncaught error ended the process. Without the process, no result is valid.
    if Arc::strong_count(&listeners) > 1 {
        eprintln!("chaos: Node.js has ended; its error is above");
        std::process::exit(1);
    }
}
