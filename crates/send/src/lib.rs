//! `sendMessage`: stores a message, then pushes it to the recipients.

#![warn(clippy::unwrap_used)]

mod append;

use std::time::{Duration, Instant};

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::{
        error::chain,
        message::{Content, Draft},
        rate_limit::RateLimiter,
    },
    protocol::{
        codec,
        deadline::in_time,
        position::Positions,
        replies::Sent,
        requests::{KnownEnd, SendMessage},
    },
    push::fanout::Fanout,
    store::{inboxes::Inboxes, messages::Messages},
};

use append::{Appended, append, prove_end};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    messages: Messages,
    inboxes: Inboxes,
    fanout: Fanout,
    positions: Positions,
    limiter: RateLimiter,
    fast_put: Duration,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            messages: Messages::from_configuration(configuration)?,
            inboxes: Inboxes::from_configuration(configuration)?,
            fanout: Fanout::from_configuration(configuration)?,
            positions: Positions::from_configuration(configuration)?,
            limiter: RateLimiter::from_configuration(configuration)?,
            fast_put: Duration::from_millis(25),
        })
    }
}

impl Context {
    /// With another bound on the time of a put. If a put takes longer, the recipients are read again after it, because a
    /// client may have connected and caught up after the recipients were read and before the message was stored.
    pub fn with_fast_put(self, fast_put: Duration) -> Self {
        Self { fast_put, ..self }
    }
}

/// Nothing is pushed or acknowledged before it is stored. What is stored is acknowledged, even if a push fails.
///
/// # Errors
/// [`Error::BadRequest`] and [`Error::TooLarge`] if the frame is not a `sendMessage`, [`Error::OutOfDate`] if the client
/// must catch up first, [`Error::RateLimited`] if the caller sends too much, [`Error::Unavailable`] if a repeat with the same
/// `clientMessageId` can succeed.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    let frame: SendMessage = request.body()?;
    let known = KnownEnd::new(frame.last_seq, frame.position)?;
    let content = Content::new(frame.content)?;
    let draft =
        Draft::new(request.user.clone(), frame.recipient_id, content, request.received_at, frame.client_message_id)?;
    context.limiter.spend(draft.sender(), request.received_at)?;

    let end = in_time(&request, prove_end(context, &draft, &known)).await?;
    let put = async {
        let began = Instant::now();
        (in_time(&request, append(context, &draft, end)).await, began.elapsed())
    };
    let recipients = || in_time(&request, context.fanout.recipients(&request, draft.recipient()));
    let ((appended, duration), recipients_before_put) = tokio::join!(put, recipients());
    let appended = appended?;
    request.metrics.stored(appended.attempts, appended.duplicate);
    let position = context.positions.of(&appended.message, appended.state);

    let deliver = in_time(&request, async {
        let recipients = match recipients_before_put {
            Ok(recipients) if appended.attempts <= 1 && duration <= context.fast_put => recipients,
            _ => recipients().await?,
        };
        let frame = codec::encode_message_push(&appended.message, position.as_ref());
        context.fanout.push(&request, &frame, recipients).await;
        Ok(())
    });
    let (delivered, ()) = tokio::join!(deliver, leave_hour(context, &draft, &appended, &request));
    if let Err(error) = delivered {
        // The message is stored. A client that misses the push sees the gap in `seq`, or catches up when it reconnects.
        tracing::warn!(cause = chain(&error), "a stored message was not pushed to every recipient");
    }
    Ok(Reply::Sent(Sent::new(appended.message, appended.duplicate, position)))
}

/// Removes the inbox entries of the hour that the conversation has left.
async fn leave_hour(context: &Context, draft: &Draft, appended: &Appended, request: &Request) {
    let Some(hour) = appended.left_hour else { return };
    if let Err(error) = in_time(request, context.inboxes.remove_entries(draft, hour)).await {
        // The entries are ignored, because the newest message carries another hour.
        tracing::warn!(cause = chain(&error), "the inbox entries of an earlier hour were not removed");
    }
}
