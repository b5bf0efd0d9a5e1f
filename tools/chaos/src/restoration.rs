//! The last phase of some runs with `web/chat-client.js`: the table of messages is restored to an earlier point in time
//! while the clients run, and a client of each conversation writes. Then each client must hold what the table holds.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{
    checker::{Stored, conversation_id, differences, folds},
    device::Device,
    fold::MESSAGE,
    group::{GroupFold, is_group},
    harness::Harness,
    history::Source,
    plan::{Draft, Known},
    schedule::FaultSchedule,
};

/// Between two looks at what the clients hold.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// Looks until the clients reconnect.
const LOOKS: u32 = 30;

/// Removes the newest entries of each conversation and their effects, writes to it, and returns a violation for each client that still
/// holds something else when `harness.patience` has passed.
pub(crate) async fn restore(
    harness: &Harness,
    schedule: &FaultSchedule,
    devices: &[Device],
    stored: &Stored,
) -> Vec<String> {
    // Also those of devices that have stopped, because their changes are stored.
    let histories: Vec<_> = devices.iter().map(Device::history).collect();
    let folds = folds(&histories, stored);
    let devices: Vec<_> = devices.iter().filter(|device| !device.is_retired()).collect();
    let mut rng = schedule.plan.rng("restoration", 0);
    for (conversation, rows) in stored {
        let kept = rng.usize(0..=rows.len());
        schedule.note(format_args!("{conversation} is restored to {kept} of {} entries", rows.len()));
        for row in &rows[..kept] {
            let seq = row["seq"].as_u64().unwrap_or_default();
            let before = folds.get(conversation).and_then(|fold| fold.message_at(seq, kept as u64));
            if let Some(before) = before.filter(|before| before["version"] != row["version"]) {
                let mut item = before.clone();
                item["tally"] = row["tally"].clone();
                harness.local.put_message(item).await;
            }
        }
        // After the messages, because a client that reads in between must not get a message of later than its end.
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
            sender.send(&other, Draft::message(content.clone(), Known::LastSeq));
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

/// The clients that hold other entries than the table, or messages that are not as they are now.
pub(crate) async fn disagreements(harness: &Harness, devices: &[&Device]) -> Vec<String> {
    join_all(devices.iter().map(|device| device.read_all())).await;
    let mut wrong = Vec::new();
    for device in devices {
        let history = device.history();
        for peer in &device.plan().peers {
            let rows = harness.local.messages(&conversation_id(&history.user, peer)).await;
            // In a group, only what the user may read now.
            let group = is_group(peer).then(|| GroupFold::new(&rows));
            let range = group.as_ref().map(|group| group.readable(&history.user).unwrap_or((1, 0)));
            let (first, last) = range.unwrap_or((0, u64::MAX));
            // A client of a user who was removed does not learn that a message has changed.
            let is_told = group.is_none_or(|group| group.is_present(&history.user));
            let rows = rows.into_iter().filter(|row| (first..=last).contains(&row["seq"].as_u64().unwrap_or_default()));
            let rows = rows.filter(|row| history.holds(row));
            let expected: BTreeMap<_, _> = rows.map(|row| (row["seq"].as_u64().unwrap_or_default(), row)).collect();
            let mut held = history.views.get(peer).cloned().unwrap_or_default();
            held.retain(|seq, _| first <= *seq);
            let is_same = |(one, other): (&Value, &Value)| !is_told || differences(&MESSAGE, one, other).is_empty();
            if !held.keys().eq(expected.keys()) || !held.values().zip(expected.values()).all(is_same) {
                let (device, held, expected) = (&history.device, held.len(), expected.len());
                wrong.push(format!(
                    "{device} holds {held} entries of the conversation with {peer}, and not the {expected} of the table"
                ));
            }
        }
    }
    wrong
}
