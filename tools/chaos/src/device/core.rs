//! `DeviceCore`: the parts that all devices share: plan, state, log and cancellation.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    action::Action,
    fault::Fault,
    history::{ClientHistory, Request, Source},
    plan::{DevicePlan, Draft, Wish},
    schedule::FaultSchedule,
};

use super::state::{Queued, State, is_sent_as};

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
            Source::Acknowledged => {
                state.history.acknowledged.iter().any(|one| one.content.as_deref() == Some(content))
            }
            _ => state.history.seen.iter().any(|(seen, message)| *seen == source && message["content"] == content),
        }
    }

    /// The history so far, with the current views.
    pub(super) fn history(&self) -> ClientHistory {
        let state = self.state();
        let mut history = state.history.clone();
        history.views = state.conversations.iter().map(|(peer, one)| (peer.clone(), one.entries.clone())).collect();
        history.read = state.conversations.iter().map(|(peer, one)| (peer.clone(), one.read)).collect();
        history
    }

    /// Whether the device is connected, has nothing to send, and holds every entry that it knows
    /// about. What is `done_elsewhere` does not count.
    pub(super) fn is_at_rest(&self, done_elsewhere: impl Fn(&Action) -> bool) -> bool {
        let state = self.state();
        let is_connected = state.connections.last_key_value().is_some_and(|(_, is_synced)| *is_synced);
        let is_quiet = state.conversations.values().all(|one| {
            one.outbox.iter().all(|queued| done_elsewhere(&queued.action)) && !one.stale && one.newest <= one.high
        });
        state.history.retired || (is_connected && is_quiet)
    }

    /// Whether the device has nothing to send in this conversation.
    pub(super) fn has_sent_all(&self, peer: &str) -> bool {
        let state = self.state();
        state.history.retired || state.conversations.get(peer).is_none_or(|conversation| conversation.outbox.is_empty())
    }

    /// Whether the device knows what it needs for the draft.
    pub(super) fn can(&self, peer: &str, draft: &Draft) -> bool {
        let state = self.state();
        let known = state.conversations.get(peer).into_iter().flat_map(|conversation| conversation.known.values());
        let chosen = Action::choose(draft, &self.plan.user, peer, known);
        state.history.retired || draft.wish == Wish::Message || chosen != Action::message(&draft.content)
    }

    /// Decides what the draft becomes, and adds that to the outbox, unless the device already holds the entry because another
    /// device of the user sent it. If `is_distinct`, the user's devices ask for each action only once.
    pub(super) fn queue(&self, peer: &str, draft: Draft, is_distinct: bool) -> Action {
        let user = &self.plan.user;
        self.change(|state| {
            let conversation = state.conversations.entry(peer.to_owned()).or_default();
            let choose = || {
                let chosen = Action::choose(&draft, user, peer, conversation.known.values());
                match is_distinct && !self.schedule.is_first(user, peer, &chosen) {
                    true => Action::message(&draft.content),
                    false => chosen,
                }
            };
            let action = match &draft.id {
                Some(id) => self.schedule.action(user, id, choose),
                None => choose(),
            };
            let is_stored = conversation.entries.values().any(|entry| is_sent_as(user, &draft, entry));
            if !is_stored {
                conversation.outbox.push_back(Queued {
                    draft: draft.clone(),
                    action: action.clone(),
                    attempts: 0,
                    end: None,
                });
            }
            let request = Request { peer: peer.to_owned(), id: draft.id, action: action.clone() };
            state.history.requests.push(request);
            action
        })
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
