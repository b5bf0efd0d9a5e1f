//! `getMessages`: one page of a conversation.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::conversation::ConversationId,
    protocol::{
        position::Positions,
        replies::Page,
        requests::{Cursor, GetMessages},
    },
    store::messages::{Messages, pages::Range},
};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    messages: Messages,
    positions: Positions,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            messages: Messages::from_configuration(configuration)?,
            positions: Positions::from_configuration(configuration)?,
        })
    }
}

/// Newest first, so that a client shows the latest screen with one call; oldest first for a client that catches up.
///
/// # Errors
/// [`Error::BadRequest`] if the frame is not a `getMessages`, [`Error::Unavailable`] and [`Error::Internal`] if the page
/// can't be read.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    let frame: GetMessages = request.body()?;
    let conversation = ConversationId::between(&request.user, &frame.target_id);
    let range = match (frame.start_key, frame.after) {
        (None, None) => Range::Newest,
        (None, Some(seq)) => Range::After(seq),
        (Some(cursor), None) => range_from(cursor, &conversation)?,
        (Some(_), Some(_)) => return Err(Error::bad_request("give startKey or after, not both")),
    };
    let read = context.messages.page(&conversation, range, frame.limit.unwrap_or_default()).await?;
    let newest = read.page.messages.iter().max_by_key(|entry| entry.seq());
    let position = newest.zip(read.state_at_end).and_then(|(newest, state)| context.positions.of(newest, state));
    Ok(Reply::Messages(Page { position, ..read.page }))
}

/// Continues in the direction of the page that returned the cursor.
fn range_from(cursor: Cursor, conversation: &ConversationId) -> Result<Range, Error> {
    if cursor.conversation_id != *conversation {
        return Err(Error::bad_request("startKey belongs to another conversation; hand back this one's"));
    }
    Ok(if cursor.newer { Range::After(cursor.seq) } else { Range::Before(cursor.seq) })
}
