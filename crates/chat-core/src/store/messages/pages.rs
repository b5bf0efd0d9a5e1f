//! Pages of a conversation, with the messages that have changed.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Messages, STATE, bounded, entry, key};
use crate::{
    model::{
        conversation::{ConversationId, Readable, Seq},
        entry::Entry,
        error::Error,
        json::json_length,
        message::Message,
        state::ConversationState,
    },
    protocol::{
        replies::{PAGE_BYTES, Page},
        requests::{Cursor, Limit},
    },
    store::dynamodb::{ATTEMPTS, Consistency, batch_get, call_error, from_item, random_wait},
};

/// The entries of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest entries, newest first.
    Newest,
    /// The entries before this one, newest first.
    Before(Seq),
    /// The entries after this one, oldest first.
    After(Seq),
}

/// A page, and whether it reaches the end of its conversation.
#[derive(Debug)]
pub struct PageRead {
    /// Without a position.
    pub page: Page,
    /// The state of the conversation as of the newest entry of the page, if no newer one follows.
    pub state_at_end: Option<ConversationState>,
    /// The newest change of the group as of the newest entry that was read; 0 in a direct conversation.
    pub group_version: Seq,
}

impl Messages {
    /// One page of the readable entries, cut to at most [`PAGE_BYTES`] as JSON.
    ///
    /// # Errors
    /// If the page can't be read.
    pub async fn page(
        &self,
        conversation: &ConversationId,
        readable: Readable,
        range: Range,
        limit: Limit,
    ) -> Result<PageRead, Error> {
        let last = readable.to.unwrap_or(Seq::MAX);
        let (from, to, newer) = match range {
            Range::Newest => (readable.from, last, false),
            Range::Before(seq) => (readable.from, last.min(seq.before(1)), false),
            Range::After(seq) => (readable.from.max(seq.next()), last, true),
        };
        let limit = limit.get();
        let mut page = Page {
            conversation_id: conversation.clone(),
            group_id: None,
            floor: Some(readable.from).filter(|first| *first > Seq::FIRST),
            messages: Vec::new(),
            changed: Vec::new(),
            last_evaluated_key: None,
            position: None,
        };
        if from > to {
            return Ok(PageRead { page, state_at_end: None, group_version: Seq::NONE });
        }
        let mut values = bounded(conversation, Some(from));
        values.get_or_insert_default().insert(":to".to_owned(), AttributeValue::N(to.to_string()));
        let response = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("conversationId = :id AND seq BETWEEN :seq AND :to")
            .set_expression_attribute_values(values)
            .scan_index_forward(newer)
            // One more than requested shows whether more follow.
            .limit(limit as i32 + 1)
            .send()
            .await
            .map_err(call_error)?;
        let cut_by_dynamodb = response.last_evaluated_key.is_some();
        let items = response.items.unwrap_or_default();
        let read = items.len();

        let mut entries = Vec::with_capacity(read.min(limit));
        for mut item in items.into_iter().take(limit) {
            let state = item.remove(STATE);
            entries.push((entry(item)?, state));
        }
        let mut needed = needed_versions(entries.iter().map(|(entry, _)| entry), newer);
        needed.retain(|target, _| *target >= readable.from);
        let mut changed = self.changed(conversation, &needed).await?;
        for (entry, _) in &mut entries {
            if let Some(message) = changed.remove(entry.seq()) {
                *entry = Entry::Message(message);
            }
        }
        let mut states = Vec::with_capacity(entries.len());
        let mut bytes = 0;
        for (entry, state) in entries {
            let target = entry.target().and_then(|target| changed.remove(&target));
            bytes += json_length(&entry) + 1 + target.as_ref().map_or(0, |target| json_length(target) + 1);
            if bytes > PAGE_BYTES {
                break;
            }
            page.messages.push(entry);
            page.changed.extend(target);
            states.push(state);
        }
        // DynamoDB cuts at 1 MB, far more than a page holds. At the limit it reports a cut even if nothing follows.
        let more = page.messages.len() < read || (cut_by_dynamodb && read <= limit);
        page.last_evaluated_key = page.messages.last().filter(|_| more).map(|last| Cursor {
            conversation_id: conversation.as_str().to_owned(),
            seq: *last.seq(),
            newer,
        });
        let state_of = |state: Option<AttributeValue>| {
            let state = state.map(serde_dynamo::from_attribute_value::<_, ConversationState>).transpose();
            state.map_err(|error| Error::Internal(error.into()))
        };
        let newest = if newer { states.pop() } else { states.into_iter().next() };
        let newest = state_of(newest.flatten())?;
        let is_end = match range {
            Range::Newest => true,
            Range::After(_) => !more,
            Range::Before(_) => false,
        };
        let state_at_end = newest.filter(|_| is_end && readable.to.is_none());
        let group_version = newest.map_or(Seq::NONE, ConversationState::group_version);
        Ok(PageRead { page, state_at_end, group_version })
    }

    /// Messages as they are now, each with at least the version that is needed, if any.
    ///
    /// While DynamoDB applies a transaction, one of its items can be new and another one still old. So a change can be read for
    /// a moment before the message is.
    pub(super) async fn changed(
        &self,
        conversation: &ConversationId,
        needed: &BTreeMap<Seq, Option<Seq>>,
    ) -> Result<BTreeMap<Seq, Message>, Error> {
        if needed.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keys: Vec<_> = needed.keys().map(|target| key(conversation, *target)).collect();
        for _ in 0..ATTEMPTS {
            let items = batch_get(&self.dynamodb, &self.table, &keys, Consistency::Strong).await?;
            let messages = items.into_iter().map(from_item::<Message>).collect::<Result<Vec<_>, _>>()?;
            if messages.iter().all(|message| message.version >= needed[&message.seq]) {
                return Ok(messages.into_iter().map(|message| (message.seq, message)).collect());
            }
            tokio::time::sleep(random_wait()).await;
        }
        Err(Error::Unavailable("a message is older than its change".into()))
    }
}

/// The messages that these entries change, each with its newest change, without those among the entries that are at least as
/// new: a query is no transaction, and can read a message, and then the entry of a change that was made in between. Those that
/// are not among the entries are left out unless `with_others`.
fn needed_versions<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    with_others: bool,
) -> BTreeMap<Seq, Option<Seq>> {
    let read: BTreeMap<_, _> = entries.clone().map(|entry| (*entry.seq(), entry.version())).collect();
    let mut needed = BTreeMap::new();
    for change in entries {
        let Some(target) = change.target() else { continue };
        let is_missing = read.get(&target).map_or(with_others, |version| *version < Some(*change.seq()));
        if is_missing {
            let newest: &mut Option<Seq> = needed.entry(target).or_default();
            *newest = (*newest).max(Some(*change.seq()));
        }
    }
    needed
}
