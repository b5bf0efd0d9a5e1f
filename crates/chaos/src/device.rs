//! A client that follows the protocol as the page does: one outbox for each conversation, repeated until acknowledged;
//! holes in `seq` are seen and filled with `after`; every reconnection syncs.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    fault::Fault,
    link::{Link, Refusal},
    plan::{DevicePlan, Draft, Step},
    storm::Storm,
    told::{Acknowledgement, How, Told},
};

/// How long anything may take at the most; the page waits as long.
const PATIENCE: Duration = Duration::from_secs(15);

/// A device of a user.
pub struct Device {
    /// What it does.
    pub plan: DevicePlan,
    /// Where the system is.
    url: Mutex<String>,
    storm: Arc<Storm>,
    state: Mutex<State>,
    /// Counts what changes.
    changes: watch::Sender<u64>,
    is_away: AtomicBool,
    end: CancellationToken,
}

struct State {
    link: Option<Arc<Link>>,
    chats: BTreeMap<String, Chat>,
    told: Told,
}

/// A conversation, as the device has it.
#[derive(Default)]
struct Chat {
    messages: BTreeMap<u64, Value>,
    /// None is missing up to here.
    high: u64,
    /// The newest that there is, as far as it knows.
    newest: u64,
    /// Whether something may have come that nobody told.
    stale: bool,
    /// What is to be sent, and how often that was tried.
    outbox: VecDeque<(Draft, u32)>,
}

/// What a conversation needs next.
enum Need {
    Sync { after: u64, newest: u64 },
    Send { draft: Draft, attempt: u32, last_seq: u64 },
    Nothing,
}

impl Device {
    /// One that has not connected yet.
    pub fn new(plan: DevicePlan, websocket: &str, storm: Arc<Storm>) -> Arc<Self> {
        let chats = plan.peers.iter().map(|peer| (peer.clone(), Chat::default())).collect();
        let told = Told::new(&plan.name, &plan.user);
        Arc::new(Self {
            url: Mutex::new(websocket.to_owned()),
            plan,
            storm,
            state: Mutex::new(State { link: None, chats, told }),
            changes: watch::Sender::new(0),
            is_away: AtomicBool::new(false),
            end: CancellationToken::new(),
        })
    }

    /// Lives until it is ended: keeps connected, and talks in every conversation.
    pub async fn live(self: Arc<Self>) {
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
                    self.is_away.store(true, Ordering::Relaxed);
                    self.reconnect();
                    sleep(time).await;
                    self.is_away.store(false, Ordering::Relaxed);
                    self.change(|_| ());
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
                    chat.outbox.push_back((draft, 0));
                }
            }
        });
    }

    /// Ends the connection in good order; another one follows.
    pub fn reconnect(&self) {
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
        let quiet = |chat: &Chat| chat.outbox.is_empty() && !chat.stale && chat.newest <= chat.high;
        state.told.retired || (state.link.is_some() && state.chats.values().all(quiet))
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
            let url = self.url.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let url = format!("{url}?userId={}", self.plan.user);
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

    /// Does what one conversation needs, one thing after the other.
    async fn talk(&self, peer: &str) {
        let mut changes = self.changes.subscribe();
        let mut tries = 0;
        loop {
            changes.borrow_and_update();
            let (need, link) = self.need(peer);
            let Some(link) = link.filter(|_| !matches!(need, Need::Nothing)) else {
                // The sender lives as long as the device.
                let _ = changes.changed().await;
                continue;
            };
            let done = match need {
                Need::Sync { after, newest } => self.sync(peer, &link, after, newest).await,
                Need::Send { draft, attempt, last_seq } => self.send(peer, &link, draft, attempt, last_seq).await,
                Need::Nothing => Ok(()),
            };
            match done {
                Ok(()) => tries = 0,
                Err(refusal) => {
                    self.note(format_args!("gets {refusal:?}"));
                    if let Refusal::Final(text) = &refusal {
                        self.change(|state| state.told.wrong.push(format!("it was refused: {text}")));
                        return;
                    }
                    if refusal == Refusal::Offline {
                        link.gone.cancelled().await;
                    }
                    self.back_off(tries).await;
                    tries += 1;
                }
            }
        }
    }

    fn need(&self, peer: &str) -> (Need, Option<Arc<Link>>) {
        let mut state = self.state();
        let link = state.link.clone();
        let Some(chat) = state.chats.get_mut(peer).filter(|_| link.is_some()) else { return (Need::Nothing, link) };
        let need = if chat.stale || chat.newest > chat.high {
            chat.stale = false;
            Need::Sync { after: chat.high, newest: chat.newest }
        } else if let Some((draft, attempt)) = chat.outbox.front_mut() {
            *attempt += 1;
            Need::Send { draft: draft.clone(), attempt: *attempt, last_seq: chat.high }
        } else {
            Need::Nothing
        };
        (need, link)
    }

    async fn sync(&self, peer: &str, link: &Link, after: u64, newest: u64) -> Result<(), Refusal> {
        let frame = json!({ "action": "getMessages", "targetId": peer, "after": after, "limit": self.plan.page });
        let page = link.request(frame, self.patience(0), None).await.inspect_err(|_| {
            self.change(|state| state.chat(peer).stale = true);
        })?;
        let messages = page["messages"].as_array().cloned().unwrap_or_default();
        let more = !page["lastEvaluatedKey"].is_null();
        self.note(format_args!(
            "gets {} messages after {after}{}",
            messages.len(),
            if more { ", and more" } else { "" }
        ));
        self.change(|state| {
            for message in messages {
                state.keep(peer, message, How::Listed);
            }
            let chat = state.chat(peer);
            chat.stale |= more;
            if !more && chat.high < newest {
                let wrong = format!("nothing follows {} in a page, but {newest} was there before", chat.high);
                state.told.wrong.push(wrong);
                // Asked for again, this would never end.
                state.chat(peer).newest = state.chat(peer).high;
            }
        });
        Ok(())
    }

    async fn send(&self, peer: &str, link: &Link, draft: Draft, attempt: u32, last_seq: u64) -> Result<(), Refusal> {
        // A clock that is hours off harms nobody: nothing that a client says of the time counts.
        let wrong_by_hours = self.plan.name.len() as u128 * 3_600_000;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut frame = json!({ "action": "sendMessage", "recipientId": peer, "content": draft.content });
        frame["createdAt"] = json!((now - wrong_by_hours) as u64);
        if let Some(id) = &draft.id {
            frame["clientMessageId"] = json!(id);
        }
        if draft.with_last_seq {
            frame["lastSeq"] = json!(last_seq);
        }
        let cut = draft.cut.filter(|_| attempt == 1 && !self.storm.is_calm());
        if let Some(fault) = cut {
            self.storm.strike(fault, &self.plan.name);
        }
        self.note(format_args!("sends {:.30?}, attempt {attempt}, lastSeq {last_seq}", draft.content));
        let answer = link.request(frame, self.patience(attempt), cut).await;
        if answer == Err(Refusal::Timeout) && !self.storm.is_calm() {
            self.storm.strike(Fault::Repeated, &self.plan.name);
        }
        self.change(|state| {
            state.told.attempts += 1;
            match answer {
                Ok(sent) => {
                    self.note(format_args!("is acknowledged {sent}"));
                    self.storm.acknowledged.send_modify(|count| *count += 1);
                    state.told.acknowledged.push(Acknowledgement::new(peer, &draft, &sent));
                    state.chat(peer).outbox.retain(|(one, _)| *one != draft);
                    let mut message = sent;
                    message["senderId"] = json!(self.plan.user);
                    message["recipientId"] = json!(peer);
                    message["content"] = json!(draft.content);
                    state.keep(peer, message, How::Acknowledged);
                    Ok(())
                }
                Err(refusal) => {
                    // Without an id it must not be sent twice. Whether it was stored, a sync will show.
                    if draft.id.is_none() {
                        let chat = state.chat(peer);
                        chat.outbox.retain(|(one, _)| *one != draft);
                        chat.stale = true;
                    }
                    Err(refusal)
                }
            }
        })
    }

    /// Who has little patience has more at every attempt, and as much as anybody when the storm is over: else a machine
    /// with much to do would be asked again and again, and never in time.
    fn patience(&self, attempt: u32) -> Duration {
        match self.storm.is_calm() {
            true => PATIENCE,
            false => PATIENCE.min(self.plan.patience * (1 << attempt.min(8))),
        }
    }

    /// The page waits for half a second and more, and doubles that up to 30 s; here is less time.
    async fn back_off(&self, tries: u32) {
        let most = 20 << tries.min(4);
        sleep(Duration::from_millis(fastrand::u64(most / 2..most))).await;
    }

    fn note(&self, text: impl std::fmt::Display) {
        self.storm.note(format_args!("{} {text}", self.plan.name));
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn chat(&mut self, peer: &str) -> &mut Chat {
        self.chats.entry(peer.to_owned()).or_default()
    }

    /// Takes a message in, once.
    fn keep(&mut self, peer: &str, message: Value, how: How) {
        self.told.seen.push((how, message.clone()));
        let Some(chat) = self.chats.get_mut(peer) else {
            self.told.wrong.push(format!("it was shown a message of a conversation that it is not in: {message}"));
            return;
        };
        let seq = message["seq"].as_u64().unwrap_or_default();
        let user = &self.told.user;
        chat.outbox.retain(|(draft, _)| !is(user, draft, &message));
        chat.newest = chat.newest.max(seq);
        let held = chat.messages.entry(seq).or_insert_with(|| message.clone());
        if held["messageId"] != message["messageId"] {
            self.told.wrong.push(format!("two messages have the number {seq}: {held} and {message}"));
        }
        while chat.messages.contains_key(&(chat.high + 1)) {
            chat.high += 1;
        }
    }
}

/// Whether a stored message is what this draft of this user became.
fn is(user: &str, draft: &Draft, message: &Value) -> bool {
    draft.id.is_some() && message["senderId"] == user && message["clientMessageId"].as_str() == draft.id.as_deref()
}

fn short(message: &Value) -> String {
    format!("{} {:.30}", message["seq"], message["content"].to_string())
}
