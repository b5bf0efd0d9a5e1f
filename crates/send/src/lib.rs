//! Stores a message and brings it to everyone who should see it.

use std::time::{Duration, Instant};

use chat_core::{
    Error, Reply, Request,
    clients::{Clients, Connection},
    delivery::Delivery,
    error::chain,
    frames::{self, SendMessage, Sent},
    message::{Content, Draft, Message},
    messages::Messages,
    rate_limit::RateLimiter,
};
use tokio::time::timeout_at;

/// What a send works with.
pub type Chat = (Messages, Clients, Delivery, RateLimiter);

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
    (messages, clients, delivery, limiter): &Chat,
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
        (in_time(&request, messages.append(&draft, standing, limit)).await, began.elapsed())
    };
    let ((appended, took), early) = tokio::join!(append, in_time(&request, audience(clients, &draft, &request)));
    let appended = appended?;
    let delivered = in_time(&request, async {
        let connections = match early {
            Ok(connections) if appended.attempts <= 1 && took <= fast_put => connections,
            _ => audience(clients, &draft, &request).await?,
        };
        deliver(&appended.message, connections, delivery, clients, request.received_at).await;
        Ok(())
    });
    if let Err(error) = delivered.await {
        // The message is stored: whoever misses it sees the hole, or catches up on the next connection.
        tracing::warn!(cause = chain(&error), "a stored message was not delivered to everyone");
    }
    Ok(Reply::Sent(Sent::new(appended.message, appended.duplicate)))
}

/// Gives up while there is still time to answer.
async fn in_time<T>(request: &Request, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::Unavailable("the function's time was up".into()));
    timeout_at(request.answer_by().into(), work).await.unwrap_or_else(late)
}

/// The recipient's connections and the sender's others.
async fn audience(clients: &Clients, draft: &Draft, request: &Request) -> Result<Vec<Connection>, Error> {
    let (sender, recipient) = (draft.sender(), draft.recipient());
    let to_oneself = sender == recipient;
    let (recipients, senders) = tokio::try_join!(clients.of(recipient, request.received_at), async {
        if to_oneself { Ok(Vec::new()) } else { clients.of(sender, request.received_at).await }
    })?;
    let mut connections = recipients;
    connections.extend(senders);
    connections.retain(|connection| connection.connection_id != request.connection_id);
    Ok(connections)
}

/// Pushes, and forgets the connections that turn out to be gone. One whose token has expired gets no message, but is told
/// so and closed: whoever still holds the token of its user connects again.
async fn deliver(message: &Message, connections: Vec<Connection>, delivery: &Delivery, clients: &Clients, now: i64) {
    let (expired, open): (Vec<_>, Vec<_>) = connections.into_iter().partition(|one| one.token_has_expired(now));
    let (frame, farewell) = (frames::push(message), frames::error(&Error::TokenExpired, None));
    let (mut gone, also_gone) =
        tokio::join!(delivery.deliver(&frame, open, now), delivery.close(Some(&farewell), expired, now));
    gone.extend(also_gone);
    clients.forget(&gone).await;
}
