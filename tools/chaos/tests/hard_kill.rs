//! Nothing that was acknowledged is lost, doubled or reordered when the whole local system is killed hard, again and
//! again, while many clients talk.
//!
//! This test has a `main` of its own because it is also the program that it kills.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use chaos::{
    checker::{check, conversation_id},
    device::Device,
    plan::Plan,
    run::all_at_rest,
    storm::Storm,
};
use serde_json::Value;
use tokio::{task::JoinSet, time::timeout};

/// How often the system is killed.
const KILLS: u64 = 6;
/// How many groups of people talk.
const GROUPS: u64 = 20;
/// How long everything may take: machines are slow, but not for ever.
const PATIENCE: Duration = Duration::from_secs(300);
/// Set where this program is to be the system.
const VICTIM: &str = "CHAOS_VICTIM";

fn main() -> ExitCode {
    if env::var_os(VICTIM).is_some() {
        return ws_local::cli::main();
    }
    // For tools that ask every test program.
    if env::args().nth(1).as_deref() != Some("--list") {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            timeout(PATIENCE, what_was_acknowledged_survives_any_kill()).await.expect("it ends in time");
        });
        println!("test what_was_acknowledged_survives_any_kill ... ok");
    }
    ExitCode::SUCCESS
}

async fn what_was_acknowledged_survives_any_kill() {
    let data = tempfile::tempdir().unwrap();
    let epoch = now();
    let plans: Vec<_> = (1..=GROUPS).map(|seed| Plan { rates: BTreeMap::new(), ..Plan::new(seed) }).collect();
    let conversations: Vec<_> = plans.iter().flat_map(Plan::conversations).collect();
    let storm = Arc::new(Storm::new(Plan { rates: BTreeMap::new(), ..Plan::new(1) }, Arc::default()));
    let mut acknowledged = storm.acknowledged.subscribe();

    let mut system = Victim::start(data.path());
    let devices = plans.iter().flat_map(|plan| plan.devices.iter().cloned());
    let devices: Vec<_> = devices.map(|plan| Device::new(plan, &system.websocket(), storm.clone())).collect();
    let mut lives: JoinSet<()> = devices.iter().cloned().map(Device::live).collect();
    let mut plays: JoinSet<()> = devices.iter().cloned().map(Device::play).collect();
    let mut killed_after = Vec::new();
    for kill in 0..KILLS {
        let enough = *acknowledged.borrow() + usize::try_from(fastrand::u64(1..=10) + kill).unwrap();
        acknowledged.wait_for(|count| *count >= enough).await.unwrap();
        system.kill();
        killed_after.push(*acknowledged.borrow());
        system = Victim::start(data.path());
        devices.iter().for_each(|device| device.move_to(&system.websocket()));
    }
    while plays.join_next().await.is_some() {}
    all_at_rest(&devices).await;
    // Of a last message whose push was lost, a client learns when it syncs.
    devices.iter().for_each(|device| device.reconnect());
    all_at_rest(&devices).await;
    devices.iter().for_each(|device| device.stop());
    while lives.join_next().await.is_some() {}

    let told: Vec<_> = devices.iter().map(|device| device.told()).collect();
    let mut stored = BTreeMap::new();
    for (one, other) in &conversations {
        let id = conversation_id(one, other);
        stored.insert(id.clone(), support::messages(&system.address("dynamodb"), &id).await);
    }
    system.kill();
    println!("killed after {killed_after:?} of {} acknowledgements", *acknowledged.borrow());
    let wrong = check(&told, &stored, &(epoch..=now()));
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", storm.log());
}

/// The system as a process of its own.
struct Victim {
    child: Child,
    addresses: Value,
}

impl Victim {
    /// Starts it with the rows in this folder, and waits until clients can connect.
    fn start(data: &Path) -> Self {
        let ready = data.join("ready.json");
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(VICTIM, "1").arg("--template").arg(support::template()).arg("--data").arg(data);
        command.args(["--port", "0", "--dynamodb-port", "0", "--no-watch", "--ready-file"]).arg(&ready);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().any(|line| line.unwrap().contains("Ready")), "it starts");
        // What it says goes nowhere, but it must not be stopped by that.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addresses: serde_json::from_slice(&fs::read(&ready).unwrap()).unwrap() }
    }

    fn websocket(&self) -> String {
        self.address("websocket")
    }

    fn address(&self, name: &str) -> String {
        self.addresses[name].as_str().unwrap().to_owned()
    }

    /// With SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It is dead already where the test went well.
        let _ = self.child.kill();
    }
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
