//! The last phase of some runs with `web/chat-client.js`: the table of messages is restored to an earlier point in time
//! while the clients run, and a client of each conversation writes. Then each client must hold what the table holds.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use crate::{
    checker::{Stored, conversation_id},
    device::Device,
    harness::Harness,
    history::Source,
    plan::{Draft, Known},
    schedule::FaultSchedule,
};

/// Between two looks at what the clients hold.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// Looks until the clients reconnect.
const LOOKS: u32 = 30;

/// Removes the newest messages of each conversation, writes to it, and returns a violation for each client that still
/// holds something else when `harness.patience` has passed.
pub(crate) async fn restore(
    harness: &Harness,
    schedule: &FaultSchedule,
    devices: &[Device],
    stored: &Stored,
) -> Vec<String> {
    let devices: Vec<_> = devices.iter().filter(|device| !device.is_retired()).collect();
    let mut rng = schedule.plan.rng("restoration", 0);
    for (conversation, rows) in stored {
        let kept = rng.usize(0..=rows.len());
        schedule.note(format_args!("{conversation} is restored to {kept} of {} messages", rows.len()));
        harness.local.remove_messages_after(conversation, kept as u64).await;
    }
    // Positions of messages that no longer exist must not be valid.
    harness.change_position_key();
    // The others notice by the next message.
    devices.iter().filter(|_| rng.bool()).for_each(|device| device.reconnect());
    let written = timeout(harness.patience, async {
        for (one, other) in schedule.plan.conversations() {
            let Some(sender) = devices.iter().find(|device| device.plan().user == one) else { continue };
            let content = format!("{} writes to {other} after the restoration", sender.plan().name);
            let draft = Draft { id: Some(content.clone()), content: content.clone(), known: Known::LastSeq, cut: None };
            sender.send(&other, draft);
            sender.until(|sender| sender.has_received(&content, Source::Acknowledged)).await;
        }
    });
    if written.await.is_err() {
        return vec!["after the restoration, a message was not stored".to_owned()];
    }
    let mut wrong = Vec::new();
    let agree = timeout(harness.patience, async {
        for look in 1.. {
            wrong = disagreements(harness, &devices).await;
            if wrong.is_empty() {
                return;
            }
            // A client that missed the last push learns of it when it reconnects.
            if look % LOOKS == 0 {
                devices.iter().for_each(|device| device.reconnect());
            }
            sleep(INTERVAL).await;
        }
    });
    match agree.await {
        Ok(()) => Vec::new(),
        Err(_) if wrong.is_empty() => {
            vec!["after the restoration, a client could not read its conversations".to_owned()]
        }
        Err(_) => wrong.into_iter().map(|wrong| format!("after the restoration, {wrong}")).collect(),
    }
}

/// The clients that hold other messages than the table.
pub(crate) async fn disagreements(harness: &Harness, devices: &[&Device]) -> Vec<String> {
    join_all(devices.iter().map(|device| device.read_all())).await;
    let mut wrong = Vec::new();
    for device in devices {
        let history = device.history();
        for peer in &device.plan().peers {
            let rows = harness.local.messages(&conversation_id(&history.user, peer)).await;
            let key = |row: &serde_json::Value| (row["seq"].as_u64(), row["messageId"].to_string());
            let expected: BTreeMap<_, _> = rows.iter().map(key).collect();
            let held: BTreeMap<_, _> =
                history.views.get(peer).into_iter().flat_map(BTreeMap::values).map(key).collect();
            if held != expected {
                let (device, held, expected) = (&history.device, held.len(), expected.len());
                wrong.push(format!(
                    "{device} holds {held} messages of the conversation with {peer}, and not the {expected} of the table"
                ));
            }
        }
    }
    wrong
}
