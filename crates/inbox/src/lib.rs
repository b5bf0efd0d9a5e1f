//! `getConversations`: one page of the caller's inbox.

#![warn(clippy::unwrap_used)]

use std::cmp::Reverse;

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::{conversation::ConversationId, json::json_length, message::StoredMessage, user::UserId},
    protocol::{
        replies::{ConversationSummary, InboxPage, PAGE_BYTES},
        requests::{GetConversations, InboxCursor},
    },
    store::{
        inboxes::{Inboxes, ReadPositions},
        messages::Messages,
    },
};
use futures_util::{StreamExt, TryStreamExt, stream};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    inboxes: Inboxes,
    messages: Messages,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            inboxes: Inboxes::from_configuration(configuration)?,
            messages: Messages::from_configuration(configuration)?,
        })
    }
}

/// The number of concurrent reads of newest messages. A page of the default length needs 51.
const CONCURRENT_READS: usize = 64;
/// A conversation may move to another hour while it is read. The inbox entry of the earlier hour is then valid for this
/// long after the newest message, in milliseconds.
const MAY_BE_MOVING_MS: i64 = 60_000;

/// The conversations with messages in the newest hours. Within the page, the newest message comes first.
///
/// # Errors
/// [`Error::BadRequest`] if the frame is not a `getConversations`, [`Error::Unavailable`] and [`Error::Internal`] if the
/// page can't be read.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    let GetConversations { limit, start_key } = request.body()?;
    let limit = limit.unwrap_or_default().get();
    let found = find(context, &request, limit, start_key).await?;
    Ok(Reply::Conversations(page(found, limit)))
}

/// The conversations after `start_key`: one more than `limit`, if there are that many, which shows that a page follows.
async fn find(
    context: &Context,
    request: &Request,
    limit: usize,
    start_key: Option<InboxCursor>,
) -> Result<Vec<(InboxCursor, ConversationSummary)>, Error> {
    let mut found: Vec<(InboxCursor, ConversationSummary)> = Vec::new();
    let mut after = start_key;
    // One round, unless some of the entries are not valid.
    while found.len() <= limit {
        let entries = context.inboxes.entries(&request.user, after.as_ref(), limit + 1).await?;
        let last = entries.last().filter(|_| entries.len() > limit).cloned();
        for (entry, summary) in summarize(context, request, entries).await? {
            if found.iter().all(|(_, known)| known.peer_id != summary.peer_id) {
                found.push((entry, summary));
            }
        }
        match last {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    Ok(found)
}

/// Cuts what was found to `limit` and to [`PAGE_BYTES`].
fn page(mut found: Vec<(InboxCursor, ConversationSummary)>, limit: usize) -> InboxPage {
    let mut bytes = 0;
    let fitting = found.iter().take(limit).take_while(|(_, summary)| {
        bytes += json_length(summary) + 1;
        bytes <= PAGE_BYTES
    });
    let length = fitting.count();
    let more = length < found.len();
    found.truncate(length);
    let last_evaluated_key = found.last().filter(|_| more).map(|(entry, _)| entry.clone());
    let mut conversations: Vec<_> = found.into_iter().map(|(_, summary)| summary).collect();
    conversations.sort_by_key(|conversation| Reverse(conversation.last_message.created_at));
    InboxPage { conversations, last_evaluated_key }
}

/// The conversations of the valid ones among these entries, by two concurrent reads.
async fn summarize(
    context: &Context,
    request: &Request,
    entries: Vec<InboxCursor>,
) -> Result<Vec<(InboxCursor, ConversationSummary)>, Error> {
    let user = &request.user;
    let newest = stream::iter(&entries)
        .map(|entry| async { context.messages.newest(&ConversationId::between(user, &entry.peer_id)).await })
        .buffered(CONCURRENT_READS)
        .try_collect::<Vec<_>>();
    let peers = entries.iter().map(|entry| &entry.peer_id);
    let (newest, positions) = tokio::try_join!(newest, context.inboxes.read_positions(user, peers))?;
    let summaries = entries.into_iter().zip(newest).filter_map(|(entry, newest)| {
        let newest = newest.filter(|newest| is_valid(&entry, newest, request))?;
        let summary = summary(user, entry.peer_id.clone(), newest, &positions);
        Some((entry, summary))
    });
    Ok(summaries.collect())
}

/// Whether the conversation is listed under the entry's hour. If it has just moved to a later one, it may have done so
/// between the read of the entry and the read of the message: then a conversation that shows twice is better than one
/// that is missing.
fn is_valid(entry: &InboxCursor, newest: &StoredMessage, request: &Request) -> bool {
    let hour = newest.state.inbox_hour;
    let may_be_moving = request.received_at.millis_since(newest.message.created_at) < MAY_BE_MOVING_MS;
    hour == entry.hour || (hour > entry.hour && may_be_moving)
}

fn summary(user: &UserId, peer_id: UserId, newest: StoredMessage, positions: &ReadPositions) -> ConversationSummary {
    let read_seq = newest.read_by(user, positions.of(user, &peer_id));
    ConversationSummary {
        read_seq,
        peer_read_seq: newest.read_by(&peer_id, positions.of(&peer_id, user)),
        // A user who writes has read what came before, so all messages after `read_seq` are the peer's.
        unread: newest.message.seq.since(read_seq),
        conversation_id: newest.message.conversation_id.clone(),
        peer_id,
        last_message: newest.message,
    }
}
