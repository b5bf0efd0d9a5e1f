//! Repeats stored entries of groups when no more faults are injected. A repeat is pushed again, to the members at the entry
//! only. While faults are injected, few repeats follow an addition, and some of their pushes are lost.

use std::time::Duration;

use chat_client::Connection;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    checker::Stored, device::Device, group::GroupFold, harness::Harness, history::ClientHistory, restoration::INTERVAL,
    schedule::FaultSchedule,
};

/// Longest wait for a reply, before the request is repeated.
const PATIENCE: Duration = Duration::from_secs(15);

/// Lets each user repeat an entry that others must not get, because they joined later. Returns a violation for each reply that
/// does not say that the entry is stored.
pub(crate) async fn repeat_entries(
    harness: &Harness,
    schedule: &FaultSchedule,
    devices: &[Device],
    stored: &Stored,
) -> Vec<String> {
    let histories: Vec<_> = devices.iter().map(Device::history).collect();
    let mut repeats = Vec::new();
    for group in &schedule.plan.groups {
        let fold = GroupFold::new(stored.get(&group.peer).map_or(&[][..], Vec::as_slice));
        for history in &histories {
            let entry = fold.to_repeat(&group.peer, history);
            repeats.extend(entry.map(|(id, seq)| repeat(harness, schedule, history, group.peer.as_str(), id, seq)));
        }
    }
    join_all(repeats).await.into_iter().flatten().collect()
}

/// Sends an entry again until there is a reply.
async fn repeat(
    harness: &Harness,
    schedule: &FaultSchedule,
    history: &ClientHistory,
    peer: &str,
    id: String,
    seq: u64,
) -> Option<String> {
    let action = schedule.asked(&history.user, &id);
    let (_, action) = history.asked.get(&id).cloned().or_else(|| Some((peer.to_owned(), action?)))?;
    let mut frame = action.frame(peer);
    (frame["clientMessageId"], frame["lastSeq"]) = (json!(id), json!(seq - 1));
    let url = format!("{}?userId={}", harness.local.websocket(), history.user);
    loop {
        if let Ok(Ok(connection)) = timeout(PATIENCE, Connection::open(&url, drop)).await
            && let Ok(reply) = connection.request(frame.clone(), PATIENCE, None).await
        {
            schedule.note(format_args!("{} repeats {frame} and gets {reply}", history.device));
            if reply["value"]["seq"] == seq && reply["value"]["duplicate"] == true {
                return None;
            }
            // On a slow machine, a call may take too long without a fault.
            if reply["code"] != "unavailable" {
                let device = &history.device;
                return Some(format!("{device}: entry {seq} of {peer} was repeated, and the reply was {reply}"));
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
