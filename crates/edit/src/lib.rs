//! `editMessage`, `deleteMessage` and `react`: each changes a stored message, and stores an entry that announces the change.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    log::Log,
    model::{
        change::{Change, EditWindow},
        draft::Draft,
        message::Content,
    },
    protocol::requests::{ChangeMessage, EditMessage, KnownEnd, React, recipient},
};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    log: Log,
    window: EditWindow,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            log: Log::from_configuration(configuration)?,
            window: EditWindow::from_configuration(configuration)?,
        })
    }
}

/// Checks the frame; the rest is the log's.
///
/// # Errors
/// [`Error::BadRequest`] and [`Error::TooLarge`] if the frame is none of the three actions, and those of [`Log::publish`].
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    let frame: ChangeMessage = request.body()?;
    let known = KnownEnd::new(frame.last_seq, frame.position)?;
    let change = match frame.action.as_str() {
        "editMessage" => {
            let EditMessage { content } = request.body()?;
            Change::Edit { content: Content::new(content)?, window: context.window }
        }
        "deleteMessage" => Change::Delete,
        "react" => match request.body()? {
            React { reaction, on: true } => Change::React(reaction),
            React { reaction, on: false } => Change::Unreact(reaction),
        },
        _ => return Err(Error::UnknownAction),
    };
    let recipient = recipient("targetId", frame.target_id, frame.group_id)?;
    let authorship = request.authorship(frame.client_message_id);
    context.log.publish(&request, &Draft::change(authorship, recipient, frame.seq, change)?, &known).await
}
