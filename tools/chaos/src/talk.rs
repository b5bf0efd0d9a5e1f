//! How a device talks in one conversation: it fills holes first, then sends what is in its outbox.

use std::{sync::Arc, time::SystemTime};

use serde_json::json;

use crate::{
    device::Device,
    fault::Fault,
    link::{Link, Refusal},
    plan::Draft,
    told::{Acknowledgement, How},
    view::Need,
};

impl Device {
    /// Does what one conversation needs, one thing after the other.
    pub(crate) async fn talk(&self, peer: &str) {
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
}
