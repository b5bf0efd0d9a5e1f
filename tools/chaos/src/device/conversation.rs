//! `ConversationTask`: a device's side of one conversation. It fills gaps first, then sends its outbox.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use chat_client::Connection;
use serde_json::{Value, json};

use crate::{
    fault::Fault,
    history::{Acknowledgement, Source},
    plan::{Draft, Known},
};

use super::{
    core::{DeviceCore, PATIENCE},
    request::{RequestFailure, request},
    state::seq,
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
    Send { draft: Draft, attempt: u32, known: Value },
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
                Step::Send { draft, attempt, known } => self.send(&connection, draft, attempt, known).await,
                Step::MarkRead { seq, position } => self.mark_read(&connection, seq, position).await,
            };
            let Err(failure) = result else {
                failures = 0;
                continue;
            };
            self.core.note(format_args!("gets {failure:?}"));
            if let RequestFailure::Permanent(reply) = &failure {
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
        if let Some((draft, attempt)) = conversation.outbox.front_mut() {
            *attempt += 1;
            let position = conversation.position.as_ref();
            let last_seq = json!({ "lastSeq": high });
            let known = match draft.known {
                Known::Nothing => json!({}),
                Known::LastSeq => last_seq,
                Known::Position => position
                    .filter(|(seq, _)| *seq == high)
                    .map_or(last_seq, |(_, position)| json!({ "position": position })),
                Known::WrongPosition => {
                    let wrong = foreign.or_else(|| Some(damaged(&position?.1, *attempt)));
                    wrong.map_or(json!({}), |position| json!({ "position": position }))
                }
            };
            return Some((Step::Send { draft: draft.clone(), attempt: *attempt, known }, connection));
        }
        let position = conversation.position.as_ref().filter(|(seq, _)| *seq >= high);
        let position = position.map(|(_, position)| position.clone());
        (conversation.read < high).then_some((Step::MarkRead { seq: high, position }, connection))
    }

    async fn sync(&self, connection: &Connection, after: u64, newest: u64) -> Result<(), RequestFailure> {
        let Self { core, peer, .. } = self;
        let frame = json!({ "action": "getMessages", "targetId": peer, "after": after, "limit": core.plan.page });
        let page = request(connection, frame, self.patience(0), None).await.inspect_err(|_| {
            core.change(|state| state.conversation(peer).stale = true);
        })?;
        let messages = page["messages"].as_array().cloned().unwrap_or_default();
        let has_more = !page["lastEvaluatedKey"].is_null();
        let more = if has_more { ", and more follow" } else { "" };
        core.note(format_args!("gets {} messages after {after}{more}", messages.len()));
        core.change(|state| {
            let newest_listed = messages.iter().map(seq).max().unwrap_or_default();
            state.keep_position(peer, newest_listed, &page["position"]);
            for message in messages {
                state.store(peer, message, Source::Listed);
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
        let frame = json!({ "action": "markRead", "targetId": self.peer, "seq": seq, "position": position });
        let receipt = request(connection, frame, self.patience(0), None).await?;
        self.core.change(|state| {
            state.conversation(self.peer).read = seq;
            if receipt["seq"].as_u64() < Some(seq) {
                state.history.violations.push(format!("message {seq} was marked as read, but the reply is {receipt}"));
            }
        });
        Ok(())
    }

    async fn send(
        &self,
        connection: &Connection,
        draft: Draft,
        attempt: u32,
        known: Value,
    ) -> Result<(), RequestFailure> {
        let Self { core, peer, .. } = self;
        let is_quiet = core.schedule.is_quiet();
        let cut = draft.cut.filter(|_| attempt == 1 && !is_quiet);
        if let Some(fault) = cut {
            core.schedule.record(fault, &core.plan.name);
        }
        core.note(format_args!("sends {:.30?}, attempt {attempt}, {known}", draft.content));
        let frame = self.send_message(&draft, known);
        let result = request(connection, frame, self.patience(attempt), cut.map(Fault::as_cut)).await;
        if result == Err(RequestFailure::Timeout) && !core.schedule.is_quiet() {
            core.schedule.record(Fault::Repeated, &core.plan.name);
        }
        core.change(|state| {
            state.history.attempts += 1;
            let conversation = state.conversation(peer);
            match result {
                Ok(sent) => {
                    core.note(format_args!("gets the acknowledgement {sent}"));
                    core.schedule.acknowledged.send_modify(|count| *count += 1);
                    conversation.outbox.retain(|(one, _)| *one != draft);
                    state.history.acknowledged.push(Acknowledgement::new(peer, &draft, &sent));
                    state.keep_position(peer, seq(&sent), &sent["position"]);
                    let mut message = sent;
                    message.as_object_mut().expect("`sent` has a value").remove("position");
                    message["senderId"] = json!(core.plan.user);
                    message["recipientId"] = json!(peer);
                    message["content"] = json!(draft.content);
                    state.store(peer, message, Source::Acknowledged);
                    Ok(())
                }
                Err(failure) => {
                    // A draft without an id must not be sent again. The next sync shows whether it
                    // was stored.
                    if draft.id.is_none() {
                        conversation.outbox.retain(|(one, _)| *one != draft);
                        conversation.stale = true;
                    }
                    Err(failure)
                }
            }
        })
    }

    fn send_message(&self, draft: &Draft, known: Value) -> Value {
        let mut frame = known;
        frame["action"] = json!("sendMessage");
        frame["recipientId"] = json!(self.peer);
        frame["content"] = json!(draft.content);
        // The service must ignore the client's clock. This value is wrong by hours.
        let error = self.core.plan.name.len() as u128 * 3_600_000;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        frame["createdAt"] = json!((now - error) as u64);
        if let Some(id) = &draft.id {
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

/// A position with another sequence number, whose signature no longer fits.
fn damaged(position: &str, number: u32) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = position.as_bytes().to_vec();
    // The upper four bits of the third letter are the lower ones of the first byte of the sequence number.
    let value = LETTERS.iter().position(|letter| *letter == text[2]).expect("a position is Base64");
    text[2] = LETTERS[value ^ ((1 + number as usize % 15) << 2)];
    String::from_utf8(text).expect("each letter is ASCII")
}
