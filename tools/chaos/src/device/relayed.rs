//! `RelayedConnection`: records what `web/chat-client.js` sends and receives over one connection.

use std::{collections::HashMap, sync::Arc};

use chat_client::Cut;
use serde_json::Value;

use crate::{action::Action, fault::Fault, history::Source, relay::Observer};

use super::{
    core::DeviceCore,
    state::{mismatch, seq, summary},
};

pub(super) struct RelayedConnection {
    core: Arc<DeviceCore>,
    number: u64,
    /// Sends without a reply, by `ref`.
    unanswered: HashMap<String, Action>,
}

impl RelayedConnection {
    pub(super) fn new(core: Arc<DeviceCore>) -> Self {
        Self { core, number: 0, unanswered: HashMap::new() }
    }
}

impl Observer for RelayedConnection {
    fn user(&self) -> &str {
        &self.core.plan.user
    }

    fn upstream(&self) -> String {
        self.core.url()
    }

    fn opened(&mut self) {
        self.number = self.core.change(|state| state.open_connection(false));
        self.core.note(format_args!("is connected, connection {}", self.number));
    }

    fn client_frame(&mut self, text: &str) -> Option<Cut> {
        let Self { core, unanswered, .. } = self;
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        if frame["action"] == "getMessages" {
            let (after, start) = (&frame["after"], &frame["startKey"]["seq"]);
            core.note(format_args!("asks for {} entries after {after}, before {start}", frame["limit"]));
        }
        let (peer, action) = Action::of_frame(&frame)?;
        core.note(format_args!("sends {action}, lastSeq {}, position {}", frame["lastSeq"], frame["position"]));
        if unanswered.values().any(|one| *one == action) && !core.schedule.is_quiet() {
            core.schedule.record(Fault::Repeated, &core.plan.name);
        }
        let cut = core.change(|state| {
            state.history.attempts += 1;
            match frame["clientMessageId"].as_str() {
                Some(id) => {
                    core.schedule.ask(&core.plan.user, id, &action);
                    state.history.ask(id, &peer, &action);
                }
                None => state.history.violations.push(format!("sent without an id: {frame}")),
            }
            let queued = state.conversation(&peer).outbox.iter_mut().find(|queued| queued.action == action)?;
            queued.attempts += 1;
            queued.draft.cut.filter(|_| queued.attempts == 1)
        });
        unanswered.insert(frame["ref"].as_str().unwrap_or_default().to_owned(), action);
        let fault = cut.filter(|_| !core.schedule.is_quiet())?;
        core.schedule.record(fault, &core.plan.name);
        Some(fault.as_cut())
    }

    fn gateway_frame(&mut self, text: &str) {
        let Self { core, number, unanswered } = self;
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        if let Some(reference) = frame["ref"].as_str() {
            unanswered.remove(reference);
        }
        let value = &frame["value"];
        let rows = |field: &str| value[field].as_array().into_iter().flatten();
        match frame["type"].as_str() {
            Some("message") => {
                core.note(format_args!("is pushed {}", summary(value)));
                let changed = &frame["changed"];
                core.change(|state| state.history.violations.extend(mismatch(value, changed)));
                record(core, std::iter::once(value), Source::Pushed);
                record(core, std::iter::once(changed).filter(|message| !message.is_null()), Source::Beside);
            }
            Some("sent") if !value["changed"].is_null() => {
                record(core, std::iter::once(&value["changed"]), Source::Acknowledged);
            }
            Some("messages") => {
                let [entries, changed] = ["messages", "changed"].map(|field| rows(field).map(seq).collect::<Vec<_>>());
                let more = if value["lastEvaluatedKey"].is_null() { "" } else { ", and more follow" };
                core.note(format_args!("gets the entries {entries:?}, changed {changed:?}{more}"));
                record(core, rows("messages").chain(rows("changed")), Source::Listed);
            }
            Some("conversations") => {
                // A group may have no message.
                let newest = rows("conversations").map(|row| &row["lastMessage"]);
                record(core, newest.filter(|message| !message.is_null()), Source::Listed);
                core.change(|state| {
                    for row in rows("conversations") {
                        let peer = if row["groupId"].is_null() { &row["peerId"] } else { &row["conversationId"] };
                        let conversation = state.conversation(peer.as_str().unwrap_or_default());
                        conversation.newest = conversation.newest.max(row["seq"].as_u64().unwrap_or_default());
                    }
                    if let Some(is_synced) = state.connections.get_mut(number) {
                        *is_synced |= value["lastEvaluatedKey"].is_null();
                    }
                });
            }
            Some("error") => {
                core.note(format_args!("gets {frame}"));
                // No injected fault is a fault of the functions.
                if frame["code"] == "internal" {
                    core.change(|state| state.history.violations.push(format!("a request failed: {frame}")));
                }
            }
            _ => {}
        }
    }

    fn closed(&mut self) {
        self.core.note(format_args!("is disconnected, connection {}", self.number));
        self.core.change(|state| state.connections.remove(&self.number));
    }
}

fn record<'a>(core: &DeviceCore, entries: impl Iterator<Item = &'a Value>, source: Source) {
    core.change(|state| {
        for entry in entries {
            let peer = state.history.peer_of(entry);
            state.record(&peer, entry, source);
        }
    });
}
