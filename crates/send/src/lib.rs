//! Stores a message and brings it to everyone who should see it.

#![warn(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use chat_core::{
    Error, Reply, Request,
    audience::{audience, tell},
    clients::Clients,
    conversations::Conversations,
    deadline::in_time,
    delivery::Delivery,
    error::chain,
    frames::{self, SendMessage, Sent},
    message::{Content, Draft},
    messages::{Appended, Messages},
    rate_limit::RateLimiter,
};

/// What a send works with.
pub type Chat = (Messages, Conversations, Clients, Delivery, RateLimiter);

/// Beside a put that took longer than this, somebody may have connected, and synced, after the connections were read
/// and before the message was stored: they are read again.
const FAST_PUT: Duration = Duration::from_millis(25);

/// Durable first: nothing is pushed or acknowledged before it is stored, and what is stored is acknowledged even where
/// a push fails.
///
/// # Errors
/// [`Error::BadRequest`] and [`Error::TooLarge`] where the frame is not a `sendMessage`, [`Error::OutOfDate`] where the
/// client must sync first, [`Error::RateLimited`] where its user sends too much, [`Error::Unavailable`] where a repeat with
/// the same `clientMessageId` is worth it.
pub async fn handle(chat: &Chat, request: Request) -> Result<Reply, Error> {
    handle_with(chat, request, FAST_PUT).await
}

/// As [`handle`], with another idea of a fast put, so that tests need not lean on time.
///
/// # Errors
/// As [`handle`].
pub async fn handle_with(
    (messages, conversations, clients, delivery, limiter): &Chat,
    request: Request,
    fast_put: Duration,
) -> Result<Reply, Error> {
    let ask: SendMessage = request.body()?;
    let content = Content::new(ask.content)?;
    let draft =
        Draft::new(request.user.clone(), ask.recipient_id, content, request.received_at, ask.client_message_id)?;

    limiter.spend(draft.sender(), request.received_at)?;

    let limit = limiter.limit();
    let standing = in_time(&request, messages.standing(&draft, ask.last_seq, limit)).await?;
    let append = async {
        let began = Instant::now();
        (in_time(&request, messages.append(&draft, standing, limit, conversations)).await, began.elapsed())
    };
    let ((appended, took), early) =
        tokio::join!(append, in_time(&request, audience(clients, draft.recipient(), &request)));
    let appended = appended?;
    request.measurements.stored(appended.attempts, appended.duplicate);
    let delivered = in_time(&request, async {
        let connections = match early {
            Ok(connections) if appended.attempts <= 1 && took <= fast_put => connections,
            _ => audience(clients, draft.recipient(), &request).await?,
        };
        tell(&frames::push(&appended.message), connections, delivery, clients, &request).await;
        Ok(())
    });
    let (delivered, ()) = tokio::join!(delivered, leave(conversations, &draft, &appended, &request));
    if let Err(error) = delivered {
        // The message is stored: whoever misses it sees the hole, or catches up on the next connection.
        tracing::warn!(cause = chain(&error), "a stored message was not delivered to everyone");
    }
    Ok(Reply::Sent(Sent::new(appended.message, appended.duplicate)))
}

/// Takes the conversation out of the hour of the inboxes that it has left.
async fn leave(conversations: &Conversations, draft: &Draft, appended: &Appended, request: &Request) {
    let Some(hour) = appended.moved_from else { return };
    if let Err(error) = in_time(request, conversations.unlist(draft, hour)).await {
        // It shows nothing any more, wherever it stands.
        tracing::warn!(cause = chain(&error), "a conversation was left in an hour of the past");
    }
}
