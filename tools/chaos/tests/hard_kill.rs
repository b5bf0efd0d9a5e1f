//! Kills the complete local system repeatedly with SIGKILL while many clients send, and checks that
//! no acknowledged message is lost, duplicated or reordered.
//!
//! This test has its own `main`, because the program that it kills is another process of the same
//! executable.

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
    schedule::FaultSchedule,
};
use serde_json::Value;
use tokio::{task::JoinSet, time::timeout};

/// Number of kills.
const KILLS: u64 = 6;
/// Number of plans that run concurrently.
const PLANS: usize = 20;
/// Longest time for the whole test. It is long so that the test passes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Environment variable that makes this program run the system.
const VICTIM: &str = "CHAOS_VICTIM";

fn main() -> ExitCode {
    if env::var_os(VICTIM).is_some() {
        return ws_local::cli::main();
    }
    // Test runners start every test program with `--list`.
    if env::args().nth(1).as_deref() != Some("--list") {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            timeout(PATIENCE, every_acknowledged_message_survives_repeated_kills()).await.expect("it ends in time");
        });
        println!("test every_acknowledged_message_survives_repeated_kills ... ok");
    }
    ExitCode::SUCCESS
}

async fn every_acknowledged_message_survives_repeated_kills() {
    let data = tempfile::tempdir().unwrap();
    let start = now();
    // The groups of a plan would have to be created first.
    let plans = (1..).map(|seed| Plan { rates: BTreeMap::new(), ..Plan::new(seed) });
    let plans: Vec<_> = plans.filter(|plan| plan.groups.is_empty()).take(PLANS).collect();
    let conversations: Vec<_> = plans.iter().flat_map(Plan::conversations).collect();
    let schedule = Arc::new(FaultSchedule::new(plans[0].clone(), Arc::default()));
    let mut acknowledged = schedule.acknowledged.subscribe();

    let mut system = Victim::start(data.path());
    let devices = plans.iter().flat_map(|plan| plan.devices.iter().cloned());
    let devices: Vec<_> = devices.map(|plan| Device::new(plan, &system.websocket(), schedule.clone())).collect();
    let mut clients: JoinSet<()> = devices.iter().cloned().map(Device::live).collect();
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
    // If the push of the last message was lost, a client gets that message only when it syncs.
    devices.iter().for_each(Device::reconnect);
    all_at_rest(&devices).await;
    devices.iter().for_each(Device::stop);
    while clients.join_next().await.is_some() {}

    let histories: Vec<_> = devices.iter().map(Device::history).collect();
    let mut stored = BTreeMap::new();
    for (one, other) in &conversations {
        let id = conversation_id(one, other);
        stored.insert(id.clone(), support::messages(&system.address("dynamodb"), &id).await);
    }
    system.kill();
    println!("killed after {killed_after:?} of {} acknowledgements", *acknowledged.borrow());
    let violations = check(&histories, &stored, &(start..=now()));
    assert!(violations.is_empty(), "{violations:#?}\n{}", schedule.log());
}

/// The system in its own process.
struct Victim {
    child: Child,
    addresses: Value,
}

impl Victim {
    /// Starts the system with the tables in this folder, and waits until clients can connect.
    fn start(data: &Path) -> Self {
        let ready = data.join("ready.json");
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(VICTIM, "1").arg("--template").arg(support::template()).arg("--data").arg(data);
        command.args(["--port", "0", "--dynamodb-port", "0", "--no-watch", "--ready-file"]).arg(&ready);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().any(|line| line.unwrap().contains("Ready")), "the system starts");
        // Keep reading the output, so that the process does not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addresses: serde_json::from_slice(&fs::read(&ready).unwrap()).unwrap() }
    }

    fn websocket(&self) -> String {
        self.address("websocket")
    }

    fn address(&self, name: &str) -> String {
        self.addresses[name].as_str().unwrap().to_owned()
    }

    /// Kills the process with SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // If the test succeeded, the process has already ended.
        let _ = self.child.kill();
    }
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
