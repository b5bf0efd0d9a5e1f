//! `getConversations`: one page of the caller's inbox.

#![warn(clippy::unwrap_used)]

mod candidates;

use std::cmp::Reverse;

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::{conversation::ConversationId, json::json_length, user::UserId},
    protocol::{
        replies::{ConversationSummary, InboxPage, PAGE_BYTES},
        requests::{GetConversations, InboxCursor},
    },
    store::{
        inboxes::{InboxEntry, Inboxes, ReadPositions},
        messages::{Messages, Newest},
    },
};
use futures_util::{StreamExt, TryStreamExt, stream};

use candidates::{Candidate, Candidates};

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

/// The conversations with the newest messages, newest first, after `start_key`.
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

/// The conversations after `start`: one more than `limit`, if there are that many, which shows that a page follows.
async fn find(
    context: &Context,
    request: &Request,
    limit: usize,
    start: Option<InboxCursor>,
) -> Result<Vec<(InboxCursor, ConversationSummary)>, Error> {
    let mut found: Vec<(InboxCursor, ConversationSummary)> = Vec::new();
    let mut candidates = Candidates::new(&context.inboxes, &request.user, start.as_ref());
    // One round, unless some of the candidates are not valid, or were on an earlier page.
    while found.len() <= limit {
        let next = candidates.next(limit + 1 - found.len()).await?;
        if next.is_empty() {
            break;
        }
        for (place, summary) in summarize(context, request, next).await? {
            let is_new = found.iter().all(|(_, known)| known.peer_id != summary.peer_id);
            if is_new && start.as_ref().is_none_or(|start| place < *start) {
                found.push((place, summary));
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
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
    let last_evaluated_key = found.last().filter(|_| more).map(|(place, _)| place.clone());
    let mut conversations: Vec<_> = found.into_iter().map(|(_, summary)| summary).collect();
    // Changes the order only within an hour that is not sorted by time.
    conversations.sort_by_key(|conversation| Reverse(conversation.last_message.created_at));
    InboxPage { conversations, last_evaluated_key }
}

/// The conversations of the valid ones among these candidates, by two concurrent reads.
async fn summarize(
    context: &Context,
    request: &Request,
    candidates: Vec<Candidate>,
) -> Result<Vec<(InboxCursor, ConversationSummary)>, Error> {
    let user = &request.user;
    let newest = stream::iter(&candidates)
        .map(|it| async { context.messages.newest(&ConversationId::between(user, &it.entry.peer_id)).await })
        .buffered(CONCURRENT_READS)
        .try_collect::<Vec<_>>();
    let peers = candidates.iter().map(|candidate| &candidate.entry.peer_id);
    let (newest, positions) = tokio::try_join!(newest, context.inboxes.read_positions(user, peers))?;
    let summaries = candidates.into_iter().zip(newest).filter_map(|(Candidate { entry, is_sorted }, newest)| {
        let newest = newest.filter(|newest| is_valid(&entry, newest, request))?;
        let hour = newest.end.state.inbox_hour;
        let place = InboxCursor {
            hour,
            created_at: (is_sorted || hour != entry.hour).then_some(newest.message.created_at),
            peer_id: entry.peer_id.clone(),
        };
        Some((place, summary(user, entry.peer_id, newest, &positions)))
    });
    Ok(summaries.collect())
}

/// Whether the conversation is listed under the entry's hour. If it has just moved to a later one, it may have done so
/// between the read of the entry and the read of the message: then it counts, or it would be missing from the page.
fn is_valid(entry: &InboxEntry, newest: &Newest, request: &Request) -> bool {
    let hour = newest.end.state.inbox_hour;
    let may_be_moving = request.received_at.millis_since(newest.message.created_at) < MAY_BE_MOVING_MS;
    hour == entry.hour || (hour > entry.hour && may_be_moving)
}

fn summary(
    user: &UserId,
    peer_id: UserId,
    Newest { end, message }: Newest,
    positions: &ReadPositions,
) -> ConversationSummary {
    let read = end.read_by(user, positions.of(user, &peer_id));
    ConversationSummary {
        seq: end.seq,
        read_seq: read.seq,
        peer_read_seq: end.read_by(&peer_id, positions.of(&peer_id, user)).seq,
        // A user who writes has read what came before, so all messages after `read_seq` are the peer's.
        unread: end.read_position().messages_since(read),
        conversation_id: message.conversation_id.clone(),
        peer_id,
        last_message: message,
    }
}
