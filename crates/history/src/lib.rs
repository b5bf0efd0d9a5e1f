//! Answers one page of a conversation.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    conversation::ConversationId,
    frames::{Cursor, GetMessages},
    messages::{Messages, Range},
};

/// Newest first, so that a client shows the latest screen with one call; oldest first for one that catches up.
///
/// # Errors
/// [`Error::BadRequest`] where the frame is not a `getMessages`, and those of DynamoDB.
pub async fn handle(messages: &Messages, request: Request) -> Result<Reply, Error> {
    let ask: GetMessages = request.body()?;
    let conversation = ConversationId::between(&request.user, &ask.target_id);
    let range = match (ask.start_key, ask.after) {
        (None, None) => Range::Newest,
        (None, Some(seq)) => Range::After(seq),
        (Some(cursor), None) => range_from(cursor, &conversation)?,
        (Some(_), Some(_)) => return Err(Error::bad_request("give startKey or after, not both")),
    };
    Ok(Reply::Messages(messages.page(&conversation, range, ask.limit.unwrap_or_default()).await?))
}

/// Goes on in the direction in which the page before was read.
fn range_from(cursor: Cursor, conversation: &ConversationId) -> Result<Range, Error> {
    if cursor.conversation_id != *conversation {
        return Err(Error::bad_request("startKey belongs to another conversation; hand back this one's"));
    }
    Ok(if cursor.newer { Range::After(cursor.seq) } else { Range::Before(cursor.seq) })
}
