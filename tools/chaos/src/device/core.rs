//! `DeviceCore`: the parts that all devices share: plan, state, log and cancellation.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    fault::Fault,
    history::{ClientHistory, Source},
    plan::{DevicePlan, Draft},
    schedule::FaultSchedule,
};

use super::state::{State, is_sent_as};

/// Longest wait for a connection or a reply, as in `web/chat-client.js`.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct DeviceCore {
    pub(super) plan: DevicePlan,
    pub(super) schedule: Arc<FaultSchedule>,
    /// WebSocket URL of the system.
    websocket: Mutex<String>,
    state: Mutex<State>,
    /// Counts the changes of the state.
    pub(super) changes: watch::Sender<u64>,
    pub(super) end: CancellationToken,
}

impl DeviceCore {
    pub(super) fn new(plan: DevicePlan, websocket: &str, schedule: Arc<FaultSchedule>) -> Self {
        Self {
            websocket: Mutex::new(websocket.to_owned()),
            schedule,
            state: Mutex::new(State::new(&plan)),
            changes: watch::Sender::new(0),
            end: CancellationToken::new(),
            plan,
        }
    }

    /// Sets the URL for all later connections.
    pub(super) fn move_to(&self, websocket: &str) {
        websocket.clone_into(&mut self.websocket.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the device.
    pub(super) fn stop(&self) {
        self.end.cancel();
    }

    /// Whether the device has stopped for good during the run.
    pub(super) fn is_retired(&self) -> bool {
        self.state().history.retired
    }

    /// Whether a message with this content was received from `source`.
    pub(super) fn has_received(&self, content: &str, source: Source) -> bool {
        let state = self.state();
        match source {
            Source::Acknowledged => state.history.acknowledged.iter().any(|one| one.content == content),
            _ => state.history.seen.iter().any(|(seen, message)| *seen == source && message["content"] == content),
        }
    }

    /// The history so far, with the current views.
    pub(super) fn history(&self) -> ClientHistory {
        let state = self.state();
        let mut history = state.history.clone();
        history.views = state.conversations.iter().map(|(peer, one)| (peer.clone(), one.messages.clone())).collect();
        history
    }

    /// Whether the device is connected, has nothing to send, and holds every message that it knows
    /// about. Drafts that are `sent_elsewhere` do not count.
    pub(super) fn is_at_rest(&self, sent_elsewhere: impl Fn(&Draft) -> bool) -> bool {
        let state = self.state();
        let is_connected = state.connections.last_key_value().is_some_and(|(_, is_synced)| *is_synced);
        let is_quiet = state.conversations.values().all(|one| {
            one.outbox.iter().all(|(draft, _)| sent_elsewhere(draft)) && !one.stale && one.newest <= one.high
        });
        state.history.retired || (is_connected && is_quiet)
    }

    /// Adds a draft to the outbox, unless the device already holds the message because another
    /// device of the user sent it.
    pub(super) fn queue(&self, peer: &str, draft: Draft) {
        self.change(|state| {
            state.history.drafts.push((peer.to_owned(), draft.clone()));
            if let Some(conversation) = state.conversations.get_mut(peer) {
                let is_stored = |message| is_sent_as(&self.plan.user, &draft, message);
                if !conversation.messages.values().any(is_stored) {
                    conversation.outbox.push_back((draft.clone(), 0));
                }
            }
        });
    }

    /// Stops the device for good.
    pub(super) fn retire(&self) {
        self.schedule.record(Fault::Retired, &self.plan.name);
        self.change(|state| state.history.retired = true);
        self.end.cancel();
    }

    /// Waits until `holds` is true after a change of the state.
    pub(super) async fn until(&self, holds: impl Fn() -> bool) {
        let mut changes = self.changes.subscribe();
        while !holds() {
            // The sender exists as long as the device, so this can't fail.
            let _ = changes.changed().await;
        }
    }

    /// URL with the credentials of the device's user.
    pub(super) fn url(&self) -> String {
        format!("{}?userId={}", self.websocket.lock().unwrap_or_else(PoisonError::into_inner), self.plan.user)
    }

    /// Waits before another attempt. The wait is shorter than in `web/chat-client.js`, because a
    /// run lasts only seconds.
    pub(super) async fn back_off(&self, failures: u32) {
        let longest = 20 << failures.min(4);
        sleep(Duration::from_millis(fastrand::u64(longest / 2..longest))).await;
    }

    /// Adds a line to the run's log.
    pub(super) fn note(&self, text: impl Display) {
        self.schedule.note(format_args!("{} {text}", self.plan.name));
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
