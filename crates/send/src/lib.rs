//! `sendMessage`: stores a message, then pushes it to the recipients.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    log::Log,
    model::{draft::Draft, message::Content},
    protocol::requests::{KnownEnd, SendMessage, recipient},
};

/// What this route works with.
pub type Context = Log;

/// Checks the frame; the rest is the log's.
///
/// # Errors
/// [`Error::BadRequest`] and [`Error::TooLarge`] if the frame is not a `sendMessage`, and those of [`Log::publish`].
pub async fn handle(log: &Context, request: Request) -> Result<Reply, Error> {
    let frame: SendMessage = request.body()?;
    let known = KnownEnd::new(frame.last_seq, frame.position)?;
    let recipient = recipient("recipientId", frame.recipient_id, frame.group_id)?;
    let authorship = request.authorship(frame.client_message_id);
    let (content, mentions) = (Content::new(frame.content)?, frame.mentions.unwrap_or_default());
    let draft = Draft::message(authorship, recipient, content, frame.reply_to, mentions)?;
    log.publish(&request, &draft, &known).await
}
