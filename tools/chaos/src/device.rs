//! A client that follows the protocol as the page does: one outbox for each conversation, repeated until acknowledged;
//! holes in `seq` are seen and filled with `after`; every reconnection syncs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    fault::Fault,
    link::Link,
    page::Page,
    plan::{DevicePlan, Draft, Step},
    storm::Storm,
    told::{How, Told},
    view::{Chat, State, is, short},
};

/// How long anything may take at the most; the page waits as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A device of a user.
pub struct Device {
    /// What it does.
    pub plan: DevicePlan,
    /// Where the system is.
    url: Mutex<String>,
    pub(crate) storm: Arc<Storm>,
    state: Mutex<State>,
    /// Counts what changes.
    pub(crate) changes: watch::Sender<u64>,
    is_away: AtomicBool,
    end: CancellationToken,
    /// The module, where that is its client.
    pub(crate) page: Option<Page>,
}

impl Device {
    /// One that has not connected yet.
    pub fn new(plan: DevicePlan, websocket: &str, storm: Arc<Storm>) -> Arc<Self> {
        Arc::new(Self::with(plan, websocket, storm, None))
    }

    pub(crate) fn with(plan: DevicePlan, websocket: &str, storm: Arc<Storm>, page: Option<Page>) -> Self {
        let chats = plan.peers.iter().map(|peer| (peer.clone(), Chat::default())).collect();
        let told = Told::new(&plan.name, &plan.user);
        Self {
            url: Mutex::new(websocket.to_owned()),
            plan,
            storm,
            state: Mutex::new(State { link: None, lines: BTreeMap::new(), line: 0, chats, told }),
            changes: watch::Sender::new(0),
            is_away: AtomicBool::new(false),
            end: CancellationToken::new(),
            page,
        }
    }

    /// Lives until it is ended: keeps connected, and talks in every conversation.
    pub async fn live(self: Arc<Self>) {
        if let Some(page) = &self.page {
            self.start(page);
            self.end.run_until_cancelled(self.relay(page)).await;
            return page.close(&self.plan.name);
        }
        let talks = self.plan.peers.iter().map(|peer| self.talk(peer));
        let all = futures_util::future::join(futures_util::future::join_all(talks), self.keep_connected());
        self.end.run_until_cancelled(all).await;
        if let Some(link) = self.state().link.take() {
            link.cut();
        }
    }

    /// Does what the plan has.
    pub async fn play(self: Arc<Self>) {
        for (wait, step) in self.plan.steps.clone() {
            sleep(wait).await;
            match step {
                Step::Say(peer, draft) => self.say(&peer, draft),
                Step::Cut => self.cut(),
                Step::Away(time) => {
                    self.note("goes away");
                    match &self.page {
                        Some(page) => {
                            page.close(&self.plan.name);
                            sleep(time).await;
                            self.start(page);
                        }
                        None => {
                            self.is_away.store(true, Ordering::Relaxed);
                            self.reconnect();
                            sleep(time).await;
                            self.is_away.store(false, Ordering::Relaxed);
                            self.change(|_| ());
                        }
                    }
                }
                Step::Retire => {
                    self.storm.strike(Fault::Retired, &self.plan.name);
                    self.change(|state| state.told.retired = true);
                    self.end.cancel();
                }
            }
        }
    }

    /// Has something to say.
    pub fn say(&self, peer: &str, draft: Draft) {
        self.change(|state| {
            state.told.drafts.push((peer.to_owned(), draft.clone()));
            if let Some(chat) = state.chats.get_mut(peer) {
                // Another device may have sent it already.
                let known = chat.messages.values().any(|message| is(&self.plan.user, &draft, message));
                if !known {
                    chat.outbox.push_back((draft.clone(), 0));
                }
            }
        });
        if let Some(page) = &self.page {
            page.say(&self.plan.name, peer, &draft);
        }
    }

    /// Ends the connection in good order; another one follows.
    pub fn reconnect(&self) {
        if let Some(page) = &self.page {
            self.change(|state| state.lines.clear());
            page.cut.notify_waiters();
        }
        if let Some(link) = self.change(|state| state.link.take()) {
            link.close();
        }
    }

    /// The system is somewhere else from now on.
    pub fn move_to(&self, websocket: &str) {
        websocket.clone_into(&mut self.url.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the device.
    pub fn stop(&self) {
        self.end.cancel();
    }

    /// Whether it has gone for good.
    pub fn is_retired(&self) -> bool {
        self.state().told.retired
    }

    /// Whether it is connected, has nothing to send, and misses nothing that it knows of.
    pub fn is_at_rest(&self) -> bool {
        let state = self.state();
        let is_sent = |(draft, _): &(Draft, u32)| self.storm.is_sent_by_tab(&draft.content);
        let quiet = |chat: &Chat| chat.outbox.iter().all(is_sent) && !chat.stale && chat.newest <= chat.high;
        let is_synced = state.lines.last_key_value().is_some_and(|(_, is_synced)| *is_synced);
        let is_connected = state.link.is_some() || is_synced;
        state.told.retired || (is_connected && state.chats.values().all(quiet))
    }

    /// Whether a message with this text was acknowledged, or came by a push.
    pub fn has(&self, content: &str, how: How) -> bool {
        let state = self.state();
        match how {
            How::Acknowledged => state.told.acknowledged.iter().any(|one| one.content == content),
            _ => state.told.seen.iter().any(|(seen, message)| *seen == how && message["content"] == content),
        }
    }

    /// Waits until something holds of it.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.changes.subscribe();
        while !holds(self) {
            // The sender lives as long as the device.
            let _ = changes.changed().await;
        }
    }

    /// What it was told, and what it holds now.
    pub fn told(&self) -> Told {
        let state = self.state();
        let mut told = state.told.clone();
        told.views = state.chats.iter().map(|(peer, chat)| (peer.clone(), chat.messages.clone())).collect();
        told
    }

    fn cut(&self) {
        if let Some(page) = self.page.as_ref().filter(|_| !self.state().lines.is_empty()) {
            self.storm.strike(Fault::Cut, &self.plan.name);
            page.cut.notify_waiters();
        }
        if let Some(link) = self.state().link.clone() {
            self.storm.strike(Fault::Cut, &self.plan.name);
            link.cut();
        }
    }

    async fn keep_connected(self: &Arc<Self>) {
        let mut tries = 0;
        loop {
            self.until(|device| !device.is_away.load(Ordering::Relaxed)).await;
            let device = Arc::downgrade(self);
            let url = self.url();
            let opened = timeout(
                PATIENCE,
                Link::open(&url, move |frame| {
                    if let Some(device) = device.upgrade() {
                        device.hear(frame);
                    }
                }),
            );
            match opened.await {
                Ok(Ok(link)) => {
                    let gone = link.gone.clone();
                    self.note("is connected");
                    self.change(|state| {
                        state.chats.values_mut().for_each(|chat| chat.stale = true);
                        state.link = Some(Arc::new(link));
                    });
                    gone.cancelled().await;
                    self.note("is not connected any more");
                    self.change(|state| state.link = None);
                    tries = 0;
                }
                Ok(Err(error)) => self.note(format_args!("can't connect: {error}")),
                Err(_) => self.note("can't connect in time"),
            }
            self.back_off(tries).await;
            tries += 1;
        }
    }

    /// Where it connects.
    pub(crate) fn url(&self) -> String {
        format!("{}?userId={}", self.url.lock().unwrap_or_else(PoisonError::into_inner), self.plan.user)
    }

    /// What comes without being asked for.
    fn hear(&self, frame: Value) {
        if frame["type"] == "message" {
            let message = frame["value"].clone();
            self.note(format_args!("is pushed {}", short(&message)));
            self.change(|state| {
                let peer = state.told.peer(&message);
                state.keep(&peer, message, How::Pushed);
            });
        }
    }

    /// Who has little patience has more at every attempt, and as much as anybody when the storm is over: else a machine
    /// with much to do would be asked again and again, and never in time.
    pub(crate) fn patience(&self, attempt: u32) -> Duration {
        match self.storm.is_calm() {
            true => PATIENCE,
            false => PATIENCE.min(self.plan.patience * (1 << attempt.min(8))),
        }
    }

    /// The page waits for half a second and more, and doubles that up to 30 s; here is less time.
    pub(crate) async fn back_off(&self, tries: u32) {
        let most = 20 << tries.min(4);
        sleep(Duration::from_millis(fastrand::u64(most / 2..most))).await;
    }

    pub(crate) fn note(&self, text: impl std::fmt::Display) {
        self.storm.note(format_args!("{} {text}", self.plan.name));
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
