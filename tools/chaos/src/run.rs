//! One run: faults are injected while the devices carry out the plan. Then the system quiesces,
//! every conversation gets more messages, and the checker compares the histories with the table.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use chat_client::ChatClient;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    checker::{Stored, check, check_inbox, conversation_id, folds, gone_texts, groups, text},
    creation::create_groups,
    device::Device,
    fault::Fault,
    group::{GroupFold, is_group},
    group_checker::check_group_inbox,
    harness::Harness,
    history::{ClientHistory, Source},
    host::Host,
    plan::{Draft, Known, Plan},
    repetition::repeat_entries,
    restoration::{INTERVAL, disagreements, restore},
    schedule::FaultSchedule,
};

/// Longest time with faults.
const FAULTS: Duration = Duration::from_secs(6);
/// Longest time for a push without faults.
const PUSH: Duration = Duration::from_secs(3);
/// Number of pushes to try per device without faults. On a slow machine a device may miss some of
/// them. If it misses all, the check fails.
const ROUNDS: usize = 6;

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    pub seed: u64,
    /// Violations of the guarantees, one sentence each.
    pub violations: Vec<String>,
    /// Number of stored messages.
    pub messages: usize,
    /// Number of stored changes of messages.
    pub changes: usize,
    /// Number of changes that were refused, because the message was deleted.
    pub refused: usize,
    /// Number of requests to store something.
    pub attempts: usize,
    pub duration: Duration,
    /// Texts that were replaced or deleted. No item of any table may hold one.
    pub gone: BTreeSet<String>,
    /// Plan, log, stored entries and the sequence numbers that each device holds. Empty if there
    /// is no violation.
    pub report: String,
}

/// Carries out one run. With `host`, the devices run `web/chat-client.js`.
pub async fn run(harness: &Harness, mut plan: Plan, host: Option<&Arc<Host>>) -> Outcome {
    let (start, start_time) = (Instant::now(), now());
    let creator = create_groups(harness, &mut plan, host).await;
    let schedule = harness.begin(plan);
    // What a creator did, a device of the same user does not do again, so that the two can be told from each other.
    for (user, (peer, action)) in creator.iter().flat_map(|one| one.asked.values().map(|asked| (&one.user, asked))) {
        schedule.is_first(user, peer, action);
    }
    let devices = devices(harness, &schedule, host).await;
    let mut clients: JoinSet<()> = devices.iter().cloned().map(Device::live).collect();
    let mut plays: JoinSet<()> = devices.iter().cloned().map(Device::play).collect();
    let finished = async {
        while plays.join_next().await.is_some() {}
        all_at_rest(&devices).await;
    };
    let change_key = async {
        if let Some(after) = schedule.plan.key_change {
            sleep(after).await;
            schedule.note("the key of positions changes");
            harness.change_position_key();
        }
    };
    // The devices carry out the rest of the plan without faults.
    let (_, ()) = tokio::join!(timeout(FAULTS, finished), change_key);
    while plays.join_next().await.is_some() {}
    schedule.quiesce().await;
    devices.iter().for_each(Device::quiesce);

    let mut violations = Vec::new();
    let settled = timeout(harness.patience, async {
        violations.extend(settle(harness, &schedule, &devices).await);
    });
    if settled.await.is_err() {
        let restless = devices.iter().filter(|device| !device.is_at_rest()).map(|device| &device.plan().name);
        violations.push(format!("devices never came to rest: {:?}", restless.collect::<Vec<_>>()));
    }
    let mut histories: Vec<_> = devices.iter().map(Device::history).collect();
    histories.extend(creator);
    let stored = stored(harness, &schedule.plan).await;
    violations.extend(check_groups(harness, &schedule.plan, &stored).await);
    violations.extend(check(&histories, &stored, &(start_time..=now())));
    violations.extend(check_inboxes(harness, &schedule.plan).await);
    let mut gone = gone_texts(&histories, &folds(&histories, &stored));
    if violations.is_empty() && schedule.plan.restores {
        // What was deleted after the point in time is there again.
        gone.clear();
        violations.extend(restore(harness, &schedule, &devices, &stored).await);
    }
    if !violations.is_empty() {
        // A device that never came to rest may still send something.
        gone.clear();
    }
    devices.iter().for_each(Device::stop);
    while clients.join_next().await.is_some() {}
    harness.end(&schedule);
    Outcome {
        seed: schedule.plan.seed,
        messages: stored.values().flatten().filter(|row| row["kind"].is_null()).count(),
        changes: stored.values().flatten().filter(|row| !row["kind"].is_null()).count(),
        refused: histories.iter().map(|history| history.refused.len()).sum(),
        attempts: histories.iter().map(|history| history.attempts).sum(),
        duration: start.elapsed(),
        gone,
        report: if violations.is_empty() { String::new() } else { report(&schedule, &histories, &stored) },
        violations,
    }
}

/// The rows of the run's conversations.
async fn stored(harness: &Harness, plan: &Plan) -> Stored {
    let mut stored = Stored::new();
    for (one, other) in plan.conversations() {
        let id = conversation_id(&one, &other);
        stored.insert(id.clone(), harness.local.messages(&id).await);
    }
    for group in &plan.groups {
        stored.insert(group.peer.clone(), harness.local.messages(&group.peer).await);
    }
    stored
}

/// Checks that each group was created as planned, and that the items of its members are those that follow from its entries.
async fn check_groups(harness: &Harness, plan: &Plan, stored: &Stored) -> Vec<String> {
    let mut violations = Vec::new();
    for group in &plan.groups {
        let rows = stored.get(&group.peer).map_or(&[][..], Vec::as_slice);
        let fold = GroupFold::new(rows);
        let added: BTreeSet<_> = rows[0]["added"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let is_planned = added.iter().copied().eq(group.members.iter().map(String::as_str))
            && [("name", group.name.as_str()), ("senderId", &group.owner), ("history", group.history)]
                .into_iter()
                .chain([("posting", group.posting), ("adding", group.adding)])
                .all(|(field, value)| rows[0][field] == value);
        if !is_planned {
            violations.push(format!("{} was planned as {group:?}, but begins with {}", group.peer, rows[0]));
        }
        let items = harness.local.members(&group.peer).await;
        violations.extend(fold.check_items(&items).into_iter().map(|text| format!("{}: {text}", group.peer)));
    }
    violations
}

/// Checks the inboxes of all users while no client writes. A tab may still send what a retired tab has queued; then it begins
/// again.
async fn check_inboxes(harness: &Harness, plan: &Plan) -> Vec<String> {
    loop {
        let before = stored(harness, plan).await;
        let violations = inbox_violations(harness, plan, &before).await;
        if violations.is_empty() || stored(harness, plan).await == before {
            return violations;
        }
    }
}

async fn inbox_violations(harness: &Harness, plan: &Plan, stored: &Stored) -> Vec<String> {
    let mut violations = Vec::new();
    let users: BTreeSet<_> = plan.devices.iter().map(|device| &device.user).collect();
    for user in users {
        let page = inbox(harness, user).await;
        let none = Vec::new();
        for (one, other) in plan.conversations().iter().filter(|(one, other)| one == user || other == user) {
            let peer = if one == user { other } else { one };
            let mut inbox = page["value"]["conversations"].as_array().unwrap_or(&none).iter();
            let row: Option<&Value> = inbox.find(|row| row["peerId"] == peer.as_str());
            let rows = stored.get(&conversation_id(one, other)).unwrap_or(&none);
            violations.extend(check_inbox(user, peer, row, rows));
        }
        let groups = groups(stored);
        for row in page["value"]["conversations"].as_array().unwrap_or(&none) {
            if is_group(text(row, "conversationId")) && !groups.contains_key(text(row, "conversationId")) {
                violations.push(format!("the inbox of {user} has a group that was created twice: {row}"));
            }
        }
        for (group, fold) in groups {
            let mut inbox = page["value"]["conversations"].as_array().unwrap_or(&none).iter();
            let row: Option<&Value> = inbox.find(|row| row["conversationId"] == group.as_str());
            violations.extend(check_group_inbox(user, row, stored.get(&group).unwrap_or(&none), &fold));
        }
    }
    violations
}

/// The reply with a user's inbox. On a slow machine, a connection or a request may fail without a fault.
async fn inbox(harness: &Harness, user: &str) -> Value {
    loop {
        if let Ok(client) = ChatClient::connect(harness.local.websocket(), user).await {
            let page = client.request(json!({ "action": "getConversations", "limit": 100 })).await;
            client.close().await;
            if page["type"] == "conversations" {
                return page;
            }
        }
        sleep(INTERVAL).await;
    }
}

/// Waits until the system is at rest, and checks that every connected device still gets pushes.
async fn settle(harness: &Harness, schedule: &FaultSchedule, devices: &[Device]) -> Vec<String> {
    all_at_rest(devices).await;
    schedule.functions_idle().await;
    // Now, because each further message marks what is before it as read.
    let mut violations = check_inboxes(harness, &schedule.plan).await;
    // On a slow machine a push may fail without a fault.
    if schedule.plan.pushes_arrive && schedule.lost_pushes.load(Ordering::Relaxed) == 0 {
        violations.extend(uninformed(harness, devices).await);
    }
    // A device whose push got a 410 gets no further push until it reconnects.
    if schedule.plan.aged && schedule.injected.count(Fault::PushGone) > 0 {
        devices.iter().for_each(Device::reconnect);
        all_at_rest(devices).await;
    }
    for (one, other) in schedule.plan.conversations() {
        let members = devices.iter().filter(|device| {
            let (user, peers) = (&device.plan().user, &device.plan().peers);
            !device.is_retired()
                && ((*user == one && peers.contains(&other)) || (*user == other && peers.contains(&one)))
        });
        let members: Vec<_> = members.cloned().collect();
        let peer_of = |sender: &Device| if sender.plan().user == one { other.clone() } else { one.clone() };
        violations.extend(check_pushes(&members, members.len(), peer_of).await);
    }
    let before = stored(harness, &schedule.plan).await;
    violations.extend(repeat_entries(harness, schedule, devices, &before).await);
    for group in &schedule.plan.groups {
        let fold = GroupFold::new(&harness.local.messages(&group.peer).await);
        let is_member = |device: &&Device| !device.is_retired() && fold.is_present(&device.plan().user);
        let may_post = |device: &Device| fold.now().is_some_and(|state| state.may_post(&device.plan().user));
        let (mut members, others): (Vec<_>, _) = devices.iter().filter(is_member).cloned().partition(may_post);
        let senders = members.len();
        members.extend(others);
        violations.extend(check_pushes(&members, senders, |_| group.peer.clone()).await);
    }
    all_at_rest(devices).await;
    join_all(devices.iter().map(Device::read_all)).await;
    violations
}

/// The devices that don't get every entry, although no push is lost and none needs a further message.
async fn uninformed(harness: &Harness, devices: &[Device]) -> Vec<String> {
    let devices: Vec<_> = devices.iter().filter(|device| !device.is_retired()).collect();
    let mut wrong = Vec::new();
    let informed = timeout(PUSH, async {
        loop {
            wrong = disagreements(harness, &devices).await;
            if wrong.is_empty() {
                return;
            }
            sleep(INTERVAL).await;
        }
    });
    let is_informed = informed.await.is_ok();
    if is_informed {
        Vec::new()
    } else {
        wrong.into_iter().map(|wrong| format!("without a lost push, {wrong}")).collect()
    }
}

async fn devices(harness: &Harness, schedule: &Arc<FaultSchedule>, host: Option<&Arc<Host>>) -> Vec<Device> {
    let (websocket, mut devices) = (harness.local.websocket(), Vec::<Device>::new());
    for plan in schedule.plan.devices.iter().cloned() {
        devices.push(match host {
            Some(host) => {
                let mut browsers = devices.iter().filter(|_| schedule.plan.tabs);
                let browser = browsers.find(|device| device.plan().user == plan.user);
                let device = Device::with_module(plan, websocket, schedule.clone(), host, browser).await;
                device.expect("loopback has a free port")
            }
            None => Device::new(plan, websocket, schedule.clone()),
        });
    }
    devices
}

/// Waits until [`Device::is_at_rest`] is true for all devices.
pub async fn all_at_rest(devices: &[Device]) {
    loop {
        join_all(devices.iter().map(|device| device.until(Device::is_at_rest))).await;
        if devices.iter().all(Device::is_at_rest) {
            return;
        }
    }
}

/// Sends further messages until each connected device of the conversation has got a push, not only a sync. The first `senders`
/// devices take turns.
async fn check_pushes(devices: &[Device], senders: usize, peer_of: impl Fn(&Device) -> String) -> Vec<String> {
    let mut unreached: Vec<_> = devices.iter().map(|device| device.plan().name.clone()).collect();
    for round in 0..ROUNDS {
        let Some(sender) = devices[..senders].get(round % senders.max(1)) else { break };
        let peer = peer_of(sender);
        // Different in each conversation, because a device may be in several.
        let content = format!("{} says more to {peer:.14}, {round}", sender.plan().name);
        sender.send(&peer, Draft::message(content.clone(), Known::Position));
        sender.until(|sender| sender.has_received(&content, Source::Acknowledged)).await;
        let receivers = devices.iter().filter(|device| device.plan().name != sender.plan().name);
        let reached = join_all(receivers.map(async |device| {
            let pushed = timeout(PUSH, device.until(|device| device.has_received(&content, Source::Pushed))).await;
            pushed.is_ok().then(|| device.plan().name.clone())
        }));
        let reached = reached.await;
        unreached.retain(|name| !reached.iter().flatten().any(|reached| reached == name));
        // Do another round if any device missed this push. That device gets the message with the
        // next push or sync.
        if (unreached.is_empty() && reached.iter().all(Option::is_some)) || devices.len() == 1 {
            return Vec::new();
        }
    }
    devices.iter().for_each(Device::reconnect);
    unreached.into_iter().map(|name| format!("{name} is connected and gets no pushes")).collect()
}

fn report(schedule: &FaultSchedule, histories: &[ClientHistory], stored: &Stored) -> String {
    let mut text = format!("Plan:\n{:#?}\n\nLog:\n{}\nStored entries:\n", schedule.plan, schedule.log());
    for (conversation, rows) in stored {
        text += &format!("{conversation}\n");
        rows.iter().for_each(|row| text += &format!("  {row}\n"));
    }
    text += "\nSequence numbers that each device holds, by peer:\n";
    for history in histories {
        let views = history.views.iter().map(|(peer, view)| (peer, view.keys().collect::<Vec<_>>()));
        text += &format!("{} {:?}\n", history.device, views.collect::<Vec<_>>());
    }
    text
}

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
