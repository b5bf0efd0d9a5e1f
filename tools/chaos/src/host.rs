//! Node.js with the clients of `web/chat-client.js`, one for each device of every run.

use std::{
    collections::HashMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::mpsc,
};

use crate::device::Device;

/// The process.
#[derive(Debug)]
pub struct Host {
    orders: mpsc::UnboundedSender<Value>,
    devices: Arc<Devices>,
    /// Killed when this is dropped.
    _child: Child,
}

type Devices = Mutex<HashMap<String, Weak<Device>>>;

impl Host {
    /// Starts it.
    ///
    /// # Errors
    /// Where there is no Node.js, or not what the module is run with.
    pub fn start() -> anyhow::Result<Arc<Self>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tools = root.join("../../target/tools/web/node_modules/fake-indexeddb");
        ensure!(tools.exists(), "run `make web-tools` first: the module's outbox is kept in fake-indexeddb");
        let mut command = Command::new("node");
        // Before Node.js 22 `WebSocket` has to be asked for.
        command.args(["--experimental-websocket", "--no-warnings"]).arg(root.join("src/host.mjs"));
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = piped.spawn().context("the module runs in Node.js 20 or later, as `node`")?;
        let mut stdin = child.stdin.take().context("it has an input")?;
        let words = BufReader::new(child.stdout.take().context("it has an output")?).lines();
        let (orders, mut given) = mpsc::unbounded_channel::<Value>();
        tokio::spawn(async move {
            while let Some(order) = given.recv().await {
                // What can't be told to a process that has ended, `hear` reports.
                let _ = stdin.write_all(format!("{order}\n").as_bytes()).await;
            }
        });
        let devices = Arc::<Devices>::default();
        tokio::spawn(hear(words, devices.clone()));
        Ok(Arc::new(Self { orders, devices, _child: child }))
    }

    /// Tells it what a device does.
    pub(crate) fn order(&self, order: Value) {
        // As above.
        let _ = self.orders.send(order);
    }

    /// From now on, this device hears what is told of it.
    pub(crate) fn know(&self, device: &Arc<Device>) {
        lock(&self.devices).insert(device.plan.name.clone(), Arc::downgrade(device));
    }
}

async fn hear(mut words: Lines<BufReader<ChildStdout>>, devices: Arc<Devices>) {
    while let Ok(Some(line)) = words.next_line().await {
        let word: Value = serde_json::from_str(&line).unwrap_or_default();
        let device = lock(&devices).get(word["device"].as_str().unwrap_or_default()).and_then(Weak::upgrade);
        if let Some(device) = device {
            device.hear_of_page(word);
        }
    }
    // An error that nobody catches ends it, and is on stderr. Nothing that follows would mean anything.
    if Arc::strong_count(&devices) > 1 {
        eprintln!("Node.js has ended by itself");
        std::process::exit(1);
    }
}

fn lock(devices: &Devices) -> MutexGuard<'_, HashMap<String, Weak<Device>>> {
    devices.lock().unwrap_or_else(PoisonError::into_inner)
}
