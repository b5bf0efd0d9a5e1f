//! A device whose client is `web/chat-client.js`. The harness sees what goes over its line, and hears what the module
//! says; that the two agree with each other and with the table is what is checked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};

use crate::{
    device::{Device, PATIENCE},
    host::Host,
    plan::{DevicePlan, Draft},
    storm::Storm,
    told::{Acknowledgement, How},
    view::{State, short},
};

/// What a device has of the module.
pub(crate) struct Page {
    host: Arc<Host>,
    /// Where the module connects.
    pub(crate) listener: TcpListener,
    address: String,
    /// Where it thinks that it connects, by which a browser keeps what survives a reload: tabs have the same.
    origin: String,
    /// Ends the connections that there are.
    pub(crate) cut: Notify,
    /// Counts how often it was loaded.
    life: AtomicU64,
    is_viewed: watch::Sender<bool>,
}

impl Page {
    /// One that is not loaded yet; a tab of the browser with this origin, if there is one.
    pub(crate) async fn new(host: &Arc<Host>, origin: Option<&str>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("ws://{}/prod", listener.local_addr()?);
        let origin = origin.map_or_else(|| address.clone(), str::to_owned);
        let (cut, life, is_viewed) = (Notify::new(), AtomicU64::new(0), watch::Sender::new(false));
        Ok(Self { host: host.clone(), listener, address, origin, cut, life, is_viewed })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Loads it: the module, with nothing but what its outbox holds.
    pub(crate) fn load(&self, plan: &DevicePlan, is_calm: bool) {
        let life = self.life.fetch_add(1, Ordering::Relaxed) + 1;
        // The module's patience is the same at every attempt: what only lasts in a calm would never be done.
        let answer = if is_calm { PATIENCE } else { PATIENCE.min(plan.patience * 4) };
        let answer = answer.max(Duration::from_millis(200)).as_millis() as u64;
        let mut times = json!({ "answer": answer, "longest": 1_000 });
        if plan.page.is_multiple_of(3) && !is_calm {
            (times["life"], times["early"]) = (json!(1_000), json!(500));
        }
        self.host.order(json!({
            "do": "open", "device": plan.name, "life": life, "user": plan.user, "peers": plan.peers,
            "origin": self.origin, "address": self.address, "pageSize": plan.page.min(100), "times": times,
            // The others learn of a conversation by the inbox and by pushes only.
            "looks": !plan.page.is_multiple_of(4),
        }));
    }

    pub(crate) fn say(&self, device: &str, peer: &str, draft: &Draft) {
        self.host.order(json!({ "do": "say", "device": device, "peer": peer, "content": draft.content }));
    }

    pub(crate) fn close(&self, device: &str) {
        self.host.order(json!({ "do": "close", "device": device }));
    }

    /// What it shows now, to whoever scrolls to the beginning.
    pub(crate) async fn view(&self, device: &str) {
        self.host.order(json!({ "do": "view", "device": device }));
        // The sender lives as long as the page.
        let _ = self.is_viewed.subscribe().wait_for(|is_viewed| *is_viewed).await;
    }
}

impl Device {
    /// One whose client is `web/chat-client.js`: in a browser of its own, or in a tab beside another device of this user.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn with_module(
        plan: DevicePlan,
        websocket: &str,
        storm: Arc<Storm>,
        host: &Arc<Host>,
        beside: Option<&Self>,
    ) -> std::io::Result<Arc<Self>> {
        let origin = beside.and_then(|device| device.page.as_ref()).map(Page::origin);
        let page = Page::new(host, origin).await?;
        let device = Self::with(plan, websocket, storm, Some(page));
        // Without Web Locks, which Node.js 20 has not, tabs may overtake each other.
        device.state().told.in_order = !device.storm.plan.tabs;
        let device = Arc::new(device);
        host.know(&device);
        Ok(device)
    }

    /// Has time from now on, where it had little.
    pub fn calm_down(&self) {
        let is_hasty = self.plan.patience < PATIENCE || self.plan.page.is_multiple_of(3);
        if let Some(page) = self.page.as_ref().filter(|_| is_hasty && !self.is_retired()) {
            self.reload(page);
        }
    }

    /// Looks at all that it holds.
    pub async fn look(&self) {
        if let Some(page) = self.page.as_ref().filter(|_| !self.is_retired()) {
            page.view(&self.plan.name).await;
        }
    }

    /// Loads the page again, which forgets everything but its outbox.
    pub(crate) fn reload(&self, page: &Page) {
        page.close(&self.plan.name);
        self.start(page);
    }

    pub(crate) fn start(&self, page: &Page) {
        self.change(|state| {
            // Whatever was read on lines of before doesn't count any more.
            state.lines.clear();
            for chat in state.chats.values_mut() {
                (chat.high, chat.shown) = (0, None);
            }
            page.load(&self.plan, self.storm.is_calm());
        });
        self.note("is loaded");
    }

    /// What the module says.
    pub(crate) fn hear_of_page(&self, word: Value) {
        let Some(page) = &self.page else { return };
        let is_current = word["life"].as_u64() == Some(page.life.load(Ordering::Relaxed));
        let peer = word["peer"].as_str().unwrap_or_default();
        match word["event"].as_str() {
            Some("sent") => self.heard_sent(peer, &word["message"]),
            Some("message") if is_current => self.change(|state| state.show(word["message"].clone())),
            Some("high") if is_current => {
                self.change(|state| state.chat(peer).high = word["high"].as_u64().unwrap_or_default());
            }
            Some("wrong") => {
                self.change(|state| state.told.wrong.push(word["text"].as_str().unwrap_or_default().to_owned()));
            }
            Some("view") => {
                self.change(|state| state.look(&word["views"]));
                page.is_viewed.send_replace(true);
            }
            _ => {}
        }
    }

    fn heard_sent(&self, peer: &str, message: &Value) {
        self.note(format_args!("says that it has sent {}", short(message)));
        self.storm.acknowledged.send_modify(|count| *count += 1);
        self.change(|state| {
            let text = |field: &str| message[field].as_str().map(str::to_owned);
            let (id, content) = (text("clientMessageId"), text("content").unwrap_or_default());
            state.chat(peer).outbox.retain(|(draft, _)| draft.content != content);
            if self.storm.plan.tabs {
                self.storm.note_sent_by_tab(&content);
            }
            let sent = message.clone();
            state.told.acknowledged.push(Acknowledgement { peer: peer.to_owned(), id, content, sent });
        });
    }
}

impl State {
    /// The module shows a message, as the next one.
    fn show(&mut self, message: Value) {
        let peer = self.told.peer(&message);
        let seq = message["seq"].as_u64().unwrap_or_default();
        let before = self.chat(&peer).shown.replace(seq);
        if before.is_some_and(|before| seq != before + 1) {
            self.told.wrong.push(format!("{seq} is shown after {before:?} of the conversation with {peer}"));
        }
        self.told.seen.push((How::Shown, message));
    }

    /// What the module holds in the end.
    fn look(&mut self, views: &Value) {
        for (peer, chat) in &mut self.chats {
            let messages = views[peer].as_array().into_iter().flatten();
            chat.messages = messages.map(|one| (one["seq"].as_u64().unwrap_or_default(), one.clone())).collect();
            if chat.messages.len() != views[peer].as_array().map_or(0, Vec::len) {
                self.told.wrong.push(format!("it holds a number twice of the conversation with {peer}"));
            }
        }
    }
}
