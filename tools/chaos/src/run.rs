//! One run: it storms, it calms down, everybody says one thing more, and then all must add up.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    checker::{Stored, check, conversation_id},
    device::Device,
    fault::Fault,
    host::Host,
    plan::{Draft, Plan},
    storm::Storm,
    told::{How, Told},
    world::World,
};

/// How long it storms at the most.
const STORM: Duration = Duration::from_secs(6);
/// How long a push may take when nothing is wrong.
const PUSH: Duration = Duration::from_secs(3);
/// How often somebody may miss a push when nothing is wrong: a machine with much to do can be slower than a push may
/// take. Who misses all of them is not pushed to any more.
const ROUNDS: usize = 6;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Which run it was.
    pub seed: u64,
    /// What went wrong.
    pub wrong: Vec<String>,
    /// How many messages are stored.
    pub messages: usize,
    /// How often somebody tried to send.
    pub attempts: usize,
    /// How long it took.
    pub took: Duration,
    /// All that happened, for whoever looks into what went wrong.
    pub history: String,
}

/// Does one run: with devices whose client is the module, where there is a host for it.
pub async fn run(world: &World, plan: Plan, host: Option<&Arc<Host>>) -> Outcome {
    let (began, epoch) = (Instant::now(), now());
    let storm = world.storm(plan);
    let devices = devices(world, &storm, host).await;
    let mut lives: JoinSet<()> = devices.iter().cloned().map(Device::live).collect();

    let mut wrong = Vec::new();
    let mut plays: JoinSet<()> = devices.iter().cloned().map(Device::play).collect();
    let played = async {
        while plays.join_next().await.is_some() {}
        all_at_rest(&devices).await;
    };
    // What is still to be done then is done in calm weather.
    let _ = timeout(STORM, played).await;
    while plays.join_next().await.is_some() {}
    storm.calm().await;
    devices.iter().for_each(|device| device.calm_down());

    let rested = timeout(world.rest, async {
        all_at_rest(&devices).await;
        storm.all_done().await;
        // Who was said to be gone is not pushed to any more, until it connects again.
        if storm.plan.aged && storm.struck.of(Fault::PushGone) > 0 {
            devices.iter().for_each(|device| device.reconnect());
            all_at_rest(&devices).await;
        }
        for (one, other) in storm.plan.conversations() {
            let talkers = devices.iter().filter(|device| {
                let (user, peers) = (&device.plan.user, &device.plan.peers);
                !device.is_retired()
                    && ((*user == one && peers.contains(&other)) || (*user == other && peers.contains(&one)))
            });
            wrong.extend(say_one_thing_more(talkers.cloned().collect(), &one, &other).await);
        }
        all_at_rest(&devices).await;
        join_all(devices.iter().map(|device| device.look())).await;
    });
    if rested.await.is_err() {
        let restless = devices.iter().filter(|device| !device.is_at_rest()).map(|device| &device.plan.name);
        wrong.push(format!("somebody never came to rest: {:?}", restless.collect::<Vec<_>>()));
    }
    devices.iter().for_each(|device| device.stop());
    while lives.join_next().await.is_some() {}
    world.forget(&storm);

    let told: Vec<_> = devices.iter().map(|device| device.told()).collect();
    let mut stored = Stored::new();
    for (one, other) in storm.plan.conversations() {
        let id = conversation_id(&one, &other);
        stored.insert(id.clone(), world.local.messages(&id).await);
    }
    wrong.extend(check(&told, &stored, &(epoch..=now())));
    Outcome {
        seed: storm.plan.seed,
        messages: stored.values().map(Vec::len).sum(),
        attempts: told.iter().map(|device| device.attempts).sum(),
        took: began.elapsed(),
        history: if wrong.is_empty() { String::new() } else { history(&storm, &told, &stored) },
        wrong,
    }
}

async fn devices(world: &World, storm: &Arc<Storm>, host: Option<&Arc<Host>>) -> Vec<Arc<Device>> {
    let (websocket, mut devices) = (world.local.websocket(), Vec::<Arc<Device>>::new());
    for plan in storm.plan.devices.iter().cloned() {
        devices.push(match host {
            Some(host) => {
                let beside = devices.iter().find(|device| storm.plan.tabs && device.plan.user == plan.user);
                let device = Device::with_module(plan, websocket, storm.clone(), host, beside.map(|device| &**device));
                device.await.expect("a port is free")
            }
            None => Device::new(plan, websocket, storm.clone()),
        });
    }
    devices
}

/// Waits until all devices are connected, have nothing to send, and miss nothing that they know of.
pub async fn all_at_rest(devices: &[Arc<Device>]) {
    loop {
        join_all(devices.iter().map(|device| device.until(Device::is_at_rest))).await;
        if devices.iter().all(|device| device.is_at_rest()) {
            return;
        }
    }
}

/// Everybody who is connected gets what is said now, by a push: not in the next sync only.
async fn say_one_thing_more(talkers: Vec<Arc<Device>>, one: &str, other: &str) -> Vec<String> {
    let mut unreached: Vec<_> = talkers.iter().map(|device| device.plan.name.clone()).collect();
    for round in 0..ROUNDS {
        let Some(sender) = talkers.get(round % talkers.len().max(1)) else { break };
        let peer = if sender.plan.user == one { other } else { one };
        let content = format!("{} says one thing more, {round}", sender.plan.name);
        let draft = Draft { id: Some(content.clone()), content: content.clone(), with_last_seq: true, cut: None };
        sender.say(peer, draft);
        sender.until(|sender| sender.has(&content, How::Acknowledged)).await;
        let others = talkers.iter().filter(|device| device.plan.name != sender.plan.name);
        let reached = join_all(others.map(async |device| {
            let pushed = timeout(PUSH, device.until(|device| device.has(&content, How::Pushed))).await;
            pushed.is_ok().then(|| device.plan.name.clone())
        }));
        let reached = reached.await;
        unreached.retain(|name| !reached.iter().flatten().any(|reached| reached == name));
        // Whoever missed only the last one can't know of it before the next one, or the next sync.
        if (unreached.is_empty() && reached.iter().all(Option::is_some)) || talkers.len() == 1 {
            return Vec::new();
        }
    }
    talkers.iter().for_each(|device| device.reconnect());
    unreached.into_iter().map(|name| format!("{name} is connected, and nothing is pushed to it")).collect()
}

fn history(storm: &Storm, told: &[Told], stored: &Stored) -> String {
    let mut text = format!("{:#?}\n\n{}\n", storm.plan, storm.log());
    for (conversation, rows) in stored {
        text += &format!("{conversation} holds\n");
        rows.iter().for_each(|row| text += &format!("  {row}\n"));
    }
    for device in told {
        let views: Vec<_> = device.views.iter().map(|(peer, view)| (peer, view.keys().collect::<Vec<_>>())).collect();
        text += &format!("{} holds {views:?}\n", device.device);
    }
    text
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
