//! `getMessages`: one page of a conversation.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::conversation::ConversationId,
    protocol::{
        position::Positions,
        replies::Page,
        requests::{Cursor, GetMessages, recipient},
    },
    store::{
        members::Members,
        messages::{Messages, pages::Range},
    },
};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    messages: Messages,
    members: Members,
    positions: Positions,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            messages: Messages::from_configuration(configuration)?,
            members: Members::from_configuration(configuration)?,
            positions: Positions::from_configuration(configuration)?,
        })
    }
}

/// Newest first, so that a client shows the latest screen with one call; oldest first for a client that catches up.
///
/// # Errors
/// [`Error::BadRequest`] if the frame is not a `getMessages`, those of [`Members::admit`], [`Error::Unavailable`] and
/// [`Error::Internal`] if the page can't be read.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    let frame: GetMessages = request.body()?;
    let recipient = recipient("targetId", frame.target_id, frame.group_id)?;
    let mut admission = context.members.admit(&request, &recipient).await?;
    let range = match (frame.start_key, frame.after) {
        (None, None) => Range::Newest,
        (None, Some(seq)) => Range::After(seq),
        (Some(cursor), None) => range_from(cursor, &admission.conversation)?,
        (Some(_), Some(_)) => return Err(Error::bad_request("give startKey or after, not both")),
    };
    let limit = frame.limit.unwrap_or_default();
    let read = loop {
        let read = context.messages.page(&admission.conversation, admission.readable, range, limit).await?;
        let confirmed = context.members.confirm(&request, &admission, read.group_version).await?;
        if confirmed.readable == admission.readable {
            break read;
        }
        // The caller was removed from the group, or added again, in between.
        admission = confirmed;
    };
    let newest = read.page.messages.iter().max_by_key(|entry| entry.seq());
    let position = newest.zip(read.state_at_end).and_then(|(newest, state)| context.positions.of(newest, state));
    Ok(Reply::Messages(Page { position, group_id: recipient.group(), ..read.page }))
}

/// Continues in the direction of the page that returned the cursor.
fn range_from(cursor: Cursor, conversation: &ConversationId) -> Result<Range, Error> {
    if cursor.conversation_id != conversation.as_str() {
        return Err(Error::bad_request("startKey belongs to another conversation; send one of this conversation"));
    }
    Ok(if cursor.newer { Range::After(cursor.seq) } else { Range::Before(cursor.seq) })
}
