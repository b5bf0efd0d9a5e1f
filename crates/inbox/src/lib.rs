//! `getConversations`: one page of the caller's inbox.

#![warn(clippy::unwrap_used)]

mod candidates;
mod summaries;

use std::cmp::Reverse;

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::json::json_length,
    protocol::{
        replies::{ConversationSummary, InboxPage, PAGE_BYTES},
        requests::{GetConversations, InboxCursor},
    },
    store::{inboxes::Inboxes, members::Members, messages::Messages},
};

use candidates::Candidates;
use summaries::{Listed, summarize};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    inboxes: Inboxes,
    messages: Messages,
    members: Members,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            inboxes: Inboxes::from_configuration(configuration)?,
            messages: Messages::from_configuration(configuration)?,
            members: Members::from_configuration(configuration)?,
        })
    }
}

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
) -> Result<Vec<Listed>, Error> {
    let mut found: Vec<Listed> = Vec::new();
    let mut candidates = Candidates::new(&context.inboxes, &request.user, start.as_ref());
    // One round, unless some of the candidates are not valid, or were on an earlier page.
    while found.len() <= limit {
        let next = candidates.next(limit + 1 - found.len()).await?;
        if next.is_empty() {
            break;
        }
        for listed in summarize(context, request, next).await? {
            let is_new = found.iter().all(|known| known.place.recipient != listed.place.recipient);
            if is_new && start.as_ref().is_none_or(|start| listed.place < *start) {
                found.push(listed);
            }
        }
    }
    found.sort_by(|one, other| other.place.cmp(&one.place));
    Ok(found)
}

/// Cuts what was found to `limit` and to [`PAGE_BYTES`].
fn page(mut found: Vec<Listed>, limit: usize) -> InboxPage {
    let mut bytes = 0;
    let fitting = found.iter().take(limit).take_while(|listed| {
        bytes += json_length(&listed.summary) + 1;
        bytes <= PAGE_BYTES
    });
    let length = fitting.count();
    let more = length < found.len();
    found.truncate(length);
    let last_evaluated_key = found.last().filter(|_| more).map(|listed| listed.place.clone());
    // Changes the order only within an hour that is not sorted by time.
    found.sort_by_key(|listed| Reverse(listed.listed_at));
    let conversations: Vec<ConversationSummary> = found.into_iter().map(|listed| listed.summary).collect();
    InboxPage { conversations, last_evaluated_key }
}
