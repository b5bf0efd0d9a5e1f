//! `ProtocolDevice`: a device that follows the protocol as `web/chat-client.js` does. It has one outbox per conversation
//! and repeats a send until it is acknowledged; it fills gaps in the sequence numbers with `after`; it syncs after every
//! connect.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chat_client::Connection;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{fault::Fault, group::GroupFold, history::Source};

use super::{
    conversation::{ConversationTask, CurrentConnection},
    core::{DeviceCore, PATIENCE},
    state::{mismatch, seq, summary},
};

pub(super) struct ProtocolDevice {
    pub(super) core: DeviceCore,
    connection: CurrentConnection,
    is_away: AtomicBool,
}

impl ProtocolDevice {
    pub(super) fn new(core: DeviceCore) -> Self {
        core.state().history.holds_changes = true;
        Self { core, connection: CurrentConnection::default(), is_away: AtomicBool::new(false) }
    }

    /// Keeps the device connected and runs its conversations until it is stopped.
    pub(super) async fn live(self: Arc<Self>) {
        let Self { core, connection, .. } = &*self;
        let conversations = core.plan.peers.iter().map(|peer| ConversationTask { core, connection, peer }.run());
        core.end.run_until_cancelled(join(join_all(conversations), self.keep_connected())).await;
        if let Some(connection) = self.disconnect() {
            connection.cut();
        }
    }

    /// Closes the connection. The device then opens another one.
    pub(super) fn reconnect(&self) {
        if let Some(connection) = self.disconnect() {
            connection.close();
        }
    }

    /// Cuts the connection, if there is one.
    pub(super) fn cut(&self) {
        if let Some(connection) = self.connection.get() {
            self.core.schedule.record(Fault::Cut, &self.core.plan.name);
            connection.cut();
        }
    }

    /// Sends an acknowledged entry of the group again: the newest one that users don't get who joined later, or else the first
    /// one. The reply has no `ref`, so it is ignored.
    pub(super) fn repeat(&self, peer: &str) {
        let core = &self.core;
        core.change(|state| {
            let entries: Vec<_> = state.conversation(peer).entries.values().cloned().collect();
            let history = &mut state.history;
            let Some((id, seq)) = GroupFold::new(&entries).to_repeat(peer, history) else { return };
            let Some((connection, (_, action))) = self.connection.get().zip(history.asked.get(&id)) else { return };
            core.note(format_args!("repeats {action}, which is entry {seq}"));
            core.schedule.record(Fault::Repeated, &core.plan.name);
            let mut frame = action.frame(peer);
            (frame["clientMessageId"], frame["lastSeq"]) = (json!(id), json!(seq));
            connection.send_text(&frame.to_string());
            history.attempts += 1;
        });
    }

    /// Stays disconnected for this duration.
    pub(super) async fn go_away(&self, time: Duration) {
        self.is_away.store(true, Ordering::Relaxed);
        self.reconnect();
        sleep(time).await;
        self.is_away.store(false, Ordering::Relaxed);
        self.core.change(|_| ());
    }

    async fn keep_connected(self: &Arc<Self>) {
        let core = &self.core;
        let mut failures = 0;
        loop {
            core.until(|| !self.is_away.load(Ordering::Relaxed)).await;
            match timeout(PATIENCE, self.connect()).await {
                Ok(Ok(connection)) => {
                    let connection = Arc::new(connection);
                    core.note("is connected");
                    core.change(|state| {
                        state.conversations.values_mut().for_each(|conversation| conversation.stale = true);
                        state.open_connection(true);
                        self.connection.replace(Some(connection.clone()))
                    });
                    connection.closed().await;
                    core.note("is disconnected");
                    self.disconnect();
                    failures = 0;
                }
                Ok(Err(error)) => core.note(format_args!("can't connect: {error}")),
                Err(_) => core.note("can't connect in time"),
            }
            core.back_off(failures).await;
            failures += 1;
        }
    }

    async fn connect(self: &Arc<Self>) -> Result<Connection, Box<chat_client::ConnectError>> {
        let device = Arc::downgrade(self);
        let on_frame = move |frame| {
            if let Some(device) = device.upgrade() {
                device.receive(frame);
            }
        };
        Connection::open(&self.core.url(), on_frame).await
    }

    /// Forgets the connection and returns it.
    fn disconnect(&self) -> Option<Arc<Connection>> {
        self.core.change(|state| {
            state.connections.clear();
            self.connection.replace(None)
        })
    }

    fn receive(&self, mut frame: Value) {
        if frame["type"] == "message" {
            let (entry, changed) = (frame["value"].take(), frame["changed"].take());
            self.core.note(format_args!("is pushed {}", summary(&entry)));
            self.core.change(|state| {
                let peer = state.history.peer_of(&entry);
                state.history.violations.extend(mismatch(&entry, &changed));
                state.keep_position(&peer, seq(&entry), &frame["position"]);
                state.store(&peer, entry, Source::Pushed);
                if !changed.is_null() {
                    state.replace(&peer, &changed, Source::Beside);
                }
            });
        }
    }
}
