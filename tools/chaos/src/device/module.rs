//! `ModuleDevice`: a device whose client is `web/chat-client.js`. The checker compares three sources: the frames on its
//! connections, the events of the module, and the table.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use crate::{
    action::Action,
    fault::Fault,
    group::is_group,
    history::{Acknowledgement, Source},
    host::Host,
    relay::Relay,
};

use super::{
    core::{DeviceCore, PATIENCE},
    relayed::RelayedConnection,
    state::{State, seq, version},
};

pub(super) struct ModuleDevice {
    pub(super) core: Arc<DeviceCore>,
    host: Arc<Host>,
    relay: Relay,
    /// The URL that the module receives. It names the stored outbox, so tabs of one browser use the
    /// same URL.
    origin: String,
    /// Number of page loads.
    life: AtomicU64,
    has_view: watch::Sender<bool>,
    done_by_tabs: DoneByTabs,
}

/// What any tab of a browser has reported as sent or refused. A tab that isn't loaded then doesn't report it.
#[derive(Clone, Default)]
pub(super) struct DoneByTabs(Arc<Mutex<HashSet<Action>>>);

impl DoneByTabs {
    fn add(&self, action: &Action) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(action.clone());
    }

    fn contains(&self, action: &Action) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(action)
    }
}

impl ModuleDevice {
    /// A device in its own browser, or in a tab of the browser of another device. Its page is loaded, so that it can send; it
    /// connects when [`ModuleDevice::live`] runs.
    pub(super) async fn new(core: DeviceCore, host: &Arc<Host>, browser: Option<&Self>) -> io::Result<Arc<Self>> {
        let relay = Relay::bind().await?;
        let origin = browser.map_or_else(|| relay.url().to_owned(), |device| device.origin.clone());
        let done_by_tabs = browser.map(|device| device.done_by_tabs.clone()).unwrap_or_default();
        // Tabs may send out of order, because Node.js 20 lacks Web Locks.
        core.state().history.in_order = !core.schedule.plan.tabs;
        core.state().history.loses_refusals = core.plan.storage_failures > 0;
        let device = Arc::new(Self {
            core: Arc::new(core),
            host: host.clone(),
            relay,
            origin,
            life: AtomicU64::new(0),
            has_view: watch::Sender::new(false),
            done_by_tabs,
        });
        let listener = Arc::downgrade(&device);
        host.listen(&device.core.plan.name, move |event| {
            if let Some(device) = listener.upgrade() {
                device.receive(event);
            }
        });
        device.load();
        Ok(device)
    }

    /// Relays the connections of the page until the device is stopped, and then closes the page.
    pub(super) async fn live(self: Arc<Self>) {
        let relay = self.relay.run(|| RelayedConnection::new(self.core.clone()));
        self.core.end.run_until_cancelled(relay).await;
        self.close();
    }

    /// Passes an action to the module.
    pub(super) fn send(&self, peer: &str, action: &Action) {
        let device = &self.core.plan.name;
        let call = json!({ "operation": "send", "device": device, "peer": peer, "frame": action.frame(peer) });
        self.host.call(call);
    }

    /// Cuts all connections and forgets their sync state. The module then opens new ones.
    pub(super) fn reconnect(&self) {
        self.core.change(|state| state.connections.clear());
        self.relay.cut_all();
    }

    /// Cuts the connections, if there are any.
    pub(super) fn cut(&self) {
        if !self.core.state().connections.is_empty() {
            self.core.schedule.record(Fault::Cut, &self.core.plan.name);
            self.relay.cut_all();
        }
    }

    /// Closes the page for this duration, then loads it again.
    pub(super) async fn go_away(&self, time: Duration) {
        self.close();
        sleep(time).await;
        self.load();
    }

    /// Reloads a page whose timeouts are too short for a slow machine.
    pub(super) fn quiesce(&self) {
        let has_short_timeouts = self.core.plan.patience < PATIENCE || self.core.plan.page.is_multiple_of(3);
        if has_short_timeouts && !self.core.is_retired() {
            self.close();
            self.load();
        }
    }

    /// Reads every conversation back to its beginning and stores it as the view.
    pub(super) async fn read_all(&self) {
        if !self.core.is_retired() {
            self.has_view.send_replace(false);
            self.host.call(json!({ "operation": "view", "device": self.core.plan.name }));
            // The sender exists as long as the device, so this can't fail.
            let _ = self.has_view.subscribe().wait_for(|has_view| *has_view).await;
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.core.is_at_rest(|action| self.done_by_tabs.contains(action))
    }

    /// Loads the page. It starts with only its stored outbox.
    fn load(&self) {
        self.core.change(|state| {
            state.connections.clear();
            for conversation in state.conversations.values_mut() {
                (conversation.high, conversation.shown) = (0, None);
                conversation.shown_versions.clear();
            }
            let life = self.life.fetch_add(1, Ordering::Relaxed) + 1;
            self.host.call(self.open_operation(life));
        });
        self.core.note("is loaded");
    }

    fn open_operation(&self, life: u64) -> Value {
        let (plan, is_quiet) = (&self.core.plan, self.core.schedule.is_quiet());
        // The module uses the same timeout for every attempt, so a short one might never suffice.
        let answer = if is_quiet { PATIENCE } else { PATIENCE.min(plan.patience * 4) };
        // A page whose storage has failed is not closed before it has sent what is only in memory. On a slow machine, it needs
        // time for that.
        let least = if plan.storage_failures > 0 { 1_000 } else { 200 };
        let answer = answer.max(Duration::from_millis(least)).as_millis() as u64;
        let mut times = json!({ "answer": answer, "first": 500, "longest": 1_000, "storage": 300 });
        if plan.page.is_multiple_of(3) && !is_quiet {
            (times["life"], times["early"]) = (json!(1_000), json!(500));
        }
        json!({
            "operation": "open", "device": plan.name, "life": life, "user": plan.user, "peers": plan.peers,
            "origin": self.origin, "address": self.relay.url(), "pageSize": plan.page.min(100), "times": times,
            "reads": plan.reads, "storageFailures": if is_quiet { 0 } else { self.core.plan.storage_failures },
            // The other pages learn about a conversation only from the inbox and from pushes.
            "opensConversations": !plan.page.is_multiple_of(4),
            // These pages know the members of a group from the beginning, the others only after the first contact.
            "loadsGroups": plan.page.is_multiple_of(2),
        })
    }

    fn close(&self) {
        self.host.call(json!({ "operation": "close", "device": self.core.plan.name }));
    }

    /// Handles an event of the module. Ignores some events from an earlier page load.
    fn receive(&self, mut event: Value) {
        let is_current = event["life"].as_u64() == Some(self.life.load(Ordering::Relaxed));
        let peer = event["peer"].as_str().unwrap_or_default();
        match event["event"].as_str() {
            Some("sent") => self.receive_sent(peer, &event),
            Some("refused") => self.receive_refused(peer, &event),
            Some("entry") if is_current => self.core.change(|state| show(state, event["entry"].take())),
            Some("change") if is_current => self.core.change(|state| show_change(state, event["message"].take())),
            Some("high") if is_current => {
                self.core.change(|state| state.conversation(peer).high = event["high"].as_u64().unwrap_or_default());
            }
            Some("violation") => {
                let text = event["text"].as_str().unwrap_or_default().to_owned();
                self.core.change(|state| state.history.violations.push(text));
            }
            Some("view") => {
                self.core.change(|state| replace_views(state, &event["views"]));
                self.has_view.send_replace(true);
            }
            _ => {}
        }
    }

    /// `entry` in the event is what the module says about the stored entry, `message` the entry if it is a message.
    fn receive_sent(&self, peer: &str, event: &Value) {
        let (core, entry, message) = (&self.core, &event["entry"], &event["message"]);
        core.note(format_args!("reports as sent {entry}"));
        core.schedule.acknowledged.send_modify(|count| *count += 1);
        self.finish(peer, event, |state, _| {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            state.history.acknowledged.push(Acknowledgement {
                peer: peer.to_owned(),
                id: text(&entry["clientMessageId"]),
                content: text(&message["content"]),
                sent: entry.clone(),
            });
        });
    }

    fn receive_refused(&self, peer: &str, event: &Value) {
        self.core.note(format_args!("reports as refused {event}"));
        let id = event["entry"]["clientMessageId"].as_str().unwrap_or_default();
        self.finish(peer, event, |state, action| match action {
            Some(action) if may_be_refused(peer, &action, &event["code"]) => {
                state.history.refused.insert(id.to_owned(), (peer.to_owned(), action));
            }
            _ => state.history.violations.push(format!("the module reports as refused: {event}")),
        });
    }

    /// Removes what the module is done with from the outbox. The frames say what it was, possibly those of another tab. What
    /// is refused because the user can't read the group was in no frame.
    fn finish(&self, peer: &str, event: &Value, record: impl FnOnce(&mut State, Option<Action>)) {
        let core = &self.core;
        let id = event["entry"]["clientMessageId"].as_str().unwrap_or_default();
        core.change(|state| {
            let queued = || Some(Action::of_frame(&event["frame"])?.1);
            let action = core.schedule.asked(&core.plan.user, id).or_else(queued);
            if let Some(action) = &action {
                state.conversation(peer).outbox.retain(|queued| queued.action != *action);
                if core.schedule.plan.tabs {
                    self.done_by_tabs.add(action);
                }
            }
            record(state, action);
        });
    }
}

/// Whether the service may refuse the action with this error code: because of the state of its message, or of the group.
fn may_be_refused(peer: &str, action: &Action, code: &Value) -> bool {
    match code.as_str() {
        Some("forbidden") => is_group(peer) || action.target().is_some(),
        Some("bad_request") => is_group(peer),
        _ => false,
    }
}

/// Records a message or a group entry that the module shows as new. It must be the next one after the previous one.
fn show(state: &mut State, entry: Value) {
    let (peer, seq) = (state.history.peer_of(&entry), seq(&entry));
    let previous = state.conversation(&peer).shown.replace(seq);
    match previous {
        Some(previous) if seq <= previous => {
            let violation = format!("entry {seq} is shown after {previous} in the conversation with {peer}");
            state.history.violations.push(violation);
        }
        Some(previous) => state.history.shown.push((peer, previous, seq)),
        None => {}
    }
    state.history.seen.push((Source::Shown, entry));
}

/// Records a message that the module shows as changed. Its version must be larger than the previous one.
fn show_change(state: &mut State, message: Value) {
    let (peer, seq, version) = (state.history.peer_of(&message), seq(&message), version(&message));
    let previous = state.conversation(&peer).shown_versions.insert(seq, version).unwrap_or_default();
    if version <= previous {
        let violation = format!("version {version} of message {seq} with {peer} is shown as new after {previous}");
        state.history.violations.push(violation);
    }
    state.history.seen.push((Source::Shown, message));
}

/// Replaces the views with the module's messages and group entries, and with what it shows of groups.
fn replace_views(state: &mut State, views: &Value) {
    for (peer, conversation) in &mut state.conversations {
        let rows = |field: &str| views[peer][field].as_array().cloned().unwrap_or_default();
        let entries = [rows("messages"), rows("notices")].concat();
        let count = entries.len();
        conversation.entries = entries.into_iter().map(|entry| (seq(&entry), entry)).collect();
        if conversation.entries.len() != count {
            let violation = format!("holds a sequence number twice in the conversation with {peer}");
            state.history.violations.push(violation);
        }
        if is_group(peer) {
            state.history.groups.insert(peer.clone(), views[peer]["group"].clone());
        }
    }
}
