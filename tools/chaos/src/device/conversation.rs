//! `ConversationTask`: a device's side of one conversation. It fills gaps first, then sends its outbox.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use chat_client::Connection;
use serde_json::{Value, json};

use crate::{
    action::Action,
    fault::Fault,
    group::{PREFIX, is_group},
    history::{Acknowledgement, Source},
    plan::Known,
};

use super::{
    core::{DeviceCore, PATIENCE},
    request::{RequestFailure, request},
    state::{Queued, is_change, mismatch, seq, version},
};

/// The device's open connection, if any. Lock it only while the device's state is locked, so that
/// both stay consistent.
#[derive(Default)]
pub(super) struct CurrentConnection(Mutex<Option<Arc<Connection>>>);

impl CurrentConnection {
    pub(super) fn get(&self) -> Option<Arc<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the previous connection.
    pub(super) fn replace(&self, connection: Option<Arc<Connection>>) -> Option<Arc<Connection>> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), connection)
    }
}

pub(super) struct ConversationTask<'a> {
    pub(super) core: &'a DeviceCore,
    pub(super) connection: &'a CurrentConnection,
    pub(super) peer: &'a str,
}

/// Next action of the conversation.
enum Step {
    Sync { after: u64, newest: u64 },
    Send { queued: Box<Queued>, known: Value },
    MarkRead { seq: u64, position: Option<String> },
}

impl ConversationTask<'_> {
    /// Runs until a request fails permanently.
    pub(super) async fn run(self) {
        let mut changes = self.core.changes.subscribe();
        let mut failures = 0;
        loop {
            changes.borrow_and_update();
            let Some((step, connection)) = self.next_step() else {
                // The sender exists as long as the device, so this can't fail.
                let _ = changes.changed().await;
                continue;
            };
            let result = match step {
                Step::Sync { after, newest } => self.sync(&connection, after, newest).await,
                Step::Send { queued, known } => self.send(&connection, *queued, known).await,
                Step::MarkRead { seq, position } => self.mark_read(&connection, seq, position).await,
            };
            let Err(failure) = result else {
                failures = 0;
                continue;
            };
            self.core.note(format_args!("gets {failure:?}"));
            if let RequestFailure::Permanent(reply)
            | RequestFailure::Forbidden(reply)
            | RequestFailure::Invalid(reply) = &failure
            {
                self.core.change(|state| state.history.violations.push(format!("a request was refused: {reply}")));
                return;
            }
            if failure == RequestFailure::Offline {
                connection.closed().await;
            }
            self.core.back_off(failures).await;
            failures += 1;
        }
    }

    fn next_step(&self) -> Option<(Step, Arc<Connection>)> {
        let mut state = self.core.state();
        let connection = self.connection.get()?;
        let others = state.conversations.iter().filter(|(peer, _)| *peer != self.peer);
        let foreign = others.filter_map(|(_, other)| other.position.clone()).max().map(|(_, position)| position);
        let conversation = state.conversations.get_mut(self.peer)?;
        let (high, newest) = (conversation.high, conversation.newest);
        if conversation.stale || newest > high {
            conversation.stale = false;
            return Some((Step::Sync { after: high, newest }, connection));
        }
        if let Some(queued) = conversation.outbox.front_mut() {
            queued.attempts += 1;
            let position = conversation.position.as_ref();
            let end = queued.end.unwrap_or(high);
            let last_seq = json!({ "lastSeq": end });
            let known = match queued.draft.known {
                Known::Nothing => json!({}),
                Known::LastSeq => last_seq,
                Known::Position => position
                    .filter(|(seq, _)| *seq == end)
                    .map_or(last_seq, |(_, position)| json!({ "position": position })),
                Known::WrongPosition => {
                    let wrong = foreign.or_else(|| Some(damaged(&position?.1, queued.attempts)));
                    wrong.map_or(json!({}), |position| json!({ "position": position }))
                }
            };
            return Some((Step::Send { queued: Box::new(queued.clone()), known }, connection));
        }
        if !self.core.plan.reads || conversation.read >= high {
            return None;
        }
        // Some devices take two steps to the end, so that positions in the middle are stored, too.
        let seq = match self.core.plan.page.is_multiple_of(2) {
            true => high,
            false => (conversation.read + high).div_ceil(2),
        };
        let position = conversation.position.as_ref().filter(|(newest, _)| *newest >= seq);
        let position = position.map(|(_, position)| position.clone());
        Some((Step::MarkRead { seq, position }, connection))
    }

    async fn sync(&self, connection: &Connection, after: u64, newest: u64) -> Result<(), RequestFailure> {
        let Self { core, peer, .. } = self;
        let frame = self.to_peer(json!({ "action": "getMessages", "after": after, "limit": core.plan.page }));
        let page = match request(connection, frame, self.patience(0), None).await {
            Err(RequestFailure::Forbidden(reply)) if is_group(peer) => {
                core.note(format_args!("may not read {peer}: {reply}"));
                core.change(|state| {
                    state.history.denied.push((*peer).to_owned());
                    let conversation = state.conversation(peer);
                    // An entry that arrives meanwhile can be the one that makes the user a member.
                    if conversation.newest > newest {
                        return;
                    }
                    // Without this assignment, the device would sync forever.
                    conversation.newest = conversation.high;
                    if newest > 0 {
                        state.history.violations.push(format!("may not read {peer}, but has seen entry {newest}"));
                    }
                });
                return Ok(());
            }
            page => page.inspect_err(|_| core.change(|state| state.conversation(peer).stale = true))?,
        };
        let rows = |field: &str| page[field].as_array().cloned().unwrap_or_default();
        let (entries, changed) = (rows("messages"), rows("changed"));
        let has_more = !page["lastEvaluatedKey"].is_null();
        let more = if has_more { ", and more follow" } else { "" };
        core.note(format_args!("gets {} entries and {} changed after {after}{more}", entries.len(), changed.len()));
        core.change(|state| {
            let floor = page["floor"].as_u64().unwrap_or_default();
            state.raise_floor(peer, floor);
            state.history.violations.extend(incomplete(&entries, &changed, floor));
            let newest_listed = entries.iter().map(seq).max().unwrap_or_default();
            state.keep_position(peer, newest_listed, &page["position"]);
            for entry in entries {
                state.store(peer, entry, Source::Listed);
            }
            for message in changed {
                state.replace(peer, &message, Source::Listed);
            }
            let conversation = state.conversation(peer);
            conversation.stale |= has_more;
            let high = conversation.high;
            if !has_more && high < newest {
                // Without this assignment, the device would sync forever.
                conversation.newest = high;
                let violation = format!("a page ends at {high}, but {newest} was received before");
                state.history.violations.push(violation);
            }
        });
        Ok(())
    }

    async fn mark_read(
        &self,
        connection: &Connection,
        seq: u64,
        position: Option<String>,
    ) -> Result<(), RequestFailure> {
        let frame = self.to_peer(json!({ "action": "markRead", "seq": seq, "position": position }));
        let receipt = match request(connection, frame, self.patience(0), None).await {
            // The user was removed and added again.
            Err(RequestFailure::Invalid(reply)) if is_group(self.peer) => {
                self.core.note(format_args!("can't mark {seq} as read: {reply}"));
                self.core.change(|state| {
                    state.history.not_marked.push((self.peer.to_owned(), seq));
                    state.conversation(self.peer).read = seq;
                });
                return Ok(());
            }
            receipt => receipt?,
        };
        self.core.change(|state| {
            let read = &mut state.conversation(self.peer).read;
            *read = seq.max(*read);
            if receipt["seq"].as_u64() < Some(seq) {
                state.history.violations.push(format!("message {seq} was marked as read, but the reply is {receipt}"));
            }
        });
        Ok(())
    }

    async fn send(&self, connection: &Connection, queued: Queued, known: Value) -> Result<(), RequestFailure> {
        let Self { core, peer, .. } = self;
        let Queued { draft, action, attempts, .. } = queued;
        let is_quiet = core.schedule.is_quiet();
        let cut = draft.cut.filter(|_| attempts == 1 && !is_quiet);
        if let Some(fault) = cut {
            core.schedule.record(fault, &core.plan.name);
        }
        core.note(format_args!("sends {action}, attempt {attempts}, {known}"));
        let frame = self.frame(&action, draft.id.as_deref(), known);
        if let Some(id) = &draft.id {
            core.change(|state| state.history.ask(id, peer, &action));
        }
        let result = request(connection, frame, self.patience(attempts), cut.map(Fault::as_cut)).await;
        if result == Err(RequestFailure::Timeout) && !core.schedule.is_quiet() {
            core.schedule.record(Fault::Repeated, &core.plan.name);
        }
        core.change(|state| {
            state.history.attempts += 1;
            let conversation = state.conversation(peer);
            match (result, &draft.id) {
                (Ok(sent), _) => {
                    core.note(format_args!("gets the acknowledgement {sent}"));
                    core.schedule.acknowledged.send_modify(|count| *count += 1);
                    conversation.outbox.retain(|one| one.draft != draft);
                    state.history.acknowledged.push(Acknowledgement {
                        peer: (*peer).to_owned(),
                        id: draft.id.clone(),
                        content: action.is_message().then(|| draft.content.clone()),
                        sent: sent.clone(),
                    });
                    state.keep_position(peer, seq(&sent), &sent["position"]);
                    let (entry, changed) = self.stored(&action, sent);
                    state.history.violations.extend(mismatch(&entry, &changed));
                    state.store(peer, entry, Source::Acknowledged);
                    if !changed.is_null() {
                        state.replace(peer, &changed, Source::Acknowledged);
                    }
                    Ok(())
                }
                (Err(RequestFailure::Forbidden(reply) | RequestFailure::Invalid(reply)), id) if is_group(peer) => {
                    core.note(format_args!("gets {reply}"));
                    conversation.outbox.retain(|one| one.draft != draft);
                    if let Some(id) = id {
                        state.history.refused.insert(id.clone(), ((*peer).to_owned(), action));
                    }
                    Ok(())
                }
                (Err(RequestFailure::Forbidden(reply)), Some(id)) if action.target().is_some() => {
                    core.note(format_args!("gets {reply}"));
                    conversation.outbox.retain(|one| one.draft != draft);
                    state.history.refused.insert(id.clone(), ((*peer).to_owned(), action));
                    Ok(())
                }
                // A draft without an id must not be sent again. The next sync shows whether it was stored.
                (Err(failure), None) => {
                    conversation.outbox.retain(|one| one.draft != draft);
                    conversation.stale = true;
                    Err(failure)
                }
                (Err(failure), Some(_)) => Err(failure),
            }
        })
    }

    /// The entry that the reply acknowledges, and the message that it changes.
    fn stored(&self, action: &Action, mut sent: Value) -> (Value, Value) {
        let changed = sent["changed"].take();
        let mut entry = sent;
        let fields = entry.as_object_mut().expect("`sent` has a value");
        fields.remove("position");
        fields.remove("changed");
        fields.insert("senderId".to_owned(), json!(self.core.plan.user));
        fields.remove("duplicate");
        if !is_group(self.peer) {
            fields.insert("recipientId".to_owned(), json!(self.peer));
        }
        match (action, action.target()) {
            (Action::Group(change), _) => {
                fields.insert("kind".to_owned(), json!("group"));
                fields.extend(change.entry());
            }
            (_, None) => fields.extend(action.fields().as_object().cloned().unwrap_or_default()),
            (_, Some(target)) => {
                fields.extend([("kind".to_owned(), json!("change")), ("target".to_owned(), json!(target))]);
            }
        }
        (entry, changed)
    }

    /// The frame, with the conversation that it is about.
    fn to_peer(&self, mut frame: Value) -> Value {
        match self.peer.strip_prefix(PREFIX) {
            Some(group) => frame["groupId"] = json!(group),
            None => frame["targetId"] = json!(self.peer),
        }
        frame
    }

    fn frame(&self, action: &Action, id: Option<&str>, known: Value) -> Value {
        let mut frame = action.frame(self.peer);
        if let (Some(frame), Value::Object(known)) = (frame.as_object_mut(), known) {
            frame.extend(known);
        }
        // The service must ignore the client's clock. This value is wrong by hours.
        let error = self.core.plan.name.len() as u128 * 3_600_000;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        frame["createdAt"] = json!((now - error) as u64);
        if let Some(id) = id {
            frame["clientMessageId"] = json!(id);
        }
        frame
    }

    /// How long to wait for a reply. Doubles with each attempt and is [`PATIENCE`] when faults have
    /// stopped. Otherwise, a slow machine would receive the same request repeatedly and never reply
    /// in time.
    fn patience(&self, attempt: u32) -> Duration {
        match self.core.schedule.is_quiet() {
            true => PATIENCE,
            false => PATIENCE.min(self.core.plan.patience * (1 << attempt.min(8))),
        }
    }
}

/// The changes on a page, read with `after`, that come without their message as it is since, and the changed messages that
/// belong to no change on the page. The messages before `floor` are not for the reader.
fn incomplete(entries: &[Value], changed: &[Value], floor: u64) -> Vec<String> {
    let is_since =
        |change: &Value, message: &Value| message["seq"] == change["target"] && version(message) >= seq(change);
    let messages = || entries.iter().filter(|entry| !is_change(entry)).chain(changed);
    let changes = || entries.iter().filter(|entry| is_change(entry));
    let is_readable = |change: &&Value| change["target"].as_u64() >= Some(floor);
    let alone = changes().filter(is_readable).filter(|change| !messages().any(|message| is_since(change, message)));
    let alone = alone.map(|change| format!("a page has {change} without the message as it is since"));
    let idle = changed.iter().filter(|message| !changes().any(|change| change["target"] == message["seq"]));
    alone.chain(idle.map(|message| format!("a page has no change of {message}"))).collect()
}

/// A position with another sequence number, whose signature no longer fits.
fn damaged(position: &str, number: u32) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = position.as_bytes().to_vec();
    // The upper four bits of the third letter are the lower ones of the first byte of the sequence number.
    let value = LETTERS.iter().position(|letter| *letter == text[2]).expect("a position is Base64");
    text[2] = LETTERS[value ^ ((1 + number as usize % 15) << 2)];
    String::from_utf8(text).expect("each letter is ASCII")
}
