//! `Log`: stores an entry as the next one of its conversation, then pushes it to the recipients.

mod append;

use std::time::Duration;

use crate::{
    model::{draft::Draft, error::Error, error::chain, rate_limit::RateLimiter},
    protocol::{
        codec,
        deadline::in_time,
        position::Positions,
        replies::{Reply, Sent},
        request::Request,
        requests::KnownEnd,
    },
    push::fanout::Fanout,
    store::{inboxes::Inboxes, messages::Messages},
};

use append::Appended;

/// How long a put may take before the recipients are read again after it.
const FAST_PUT: Duration = Duration::from_millis(25);

/// Appends entries of every kind to conversations. Only here do conversations grow.
#[derive(Debug)]
pub struct Log {
    messages: Messages,
    inboxes: Inboxes,
    fanout: Fanout,
    positions: Positions,
    limiter: RateLimiter,
    fast_put: Duration,
}

impl Log {
    /// A log in these tables. The limiter counts what this process stores.
    pub fn new(
        messages: Messages,
        inboxes: Inboxes,
        fanout: Fanout,
        positions: Positions,
        limiter: RateLimiter,
    ) -> Self {
        Self { messages, inboxes, fanout, positions, limiter, fast_put: FAST_PUT }
    }

    /// With another bound on the time of a put. If a put takes longer, the recipients are read again after it, because a
    /// client may have connected and caught up after the recipients were read and before the entry was stored.
    pub fn with_fast_put(self, fast_put: Duration) -> Self {
        Self { fast_put, ..self }
    }

    /// Stores the draft, pushes the entry and returns `sent`. Nothing is pushed or acknowledged before it is stored. What is
    /// stored is acknowledged, even if a push fails.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the draft or `known` refers to an entry that does not exist, [`Error::OutOfDate`] if the
    /// client must catch up first, [`Error::RateLimited`] if the caller sends too much, those of
    /// [`Draft::changed`], and [`Error::Unavailable`] if a repeat with the same `clientMessageId` can succeed.
    pub async fn publish(&self, request: &Request, draft: &Draft, known: &KnownEnd) -> Result<Reply, Error> {
        self.limiter.spend(draft.sender(), request.received_at)?;
        let found = in_time(request, async { tokio::try_join!(self.prove_end(draft, known), self.target(draft)) });
        let (end, target) = found.await?;
        let mut appended = self.append(request, draft, end, target).await?;
        request.metrics.stored(appended.attempts, appended.duplicate);
        let position = self.positions.of(&appended.stored.entry, appended.stored.state);

        let recipients = appended.recipients.take();
        let deliver = in_time(request, async {
            let recipients = match recipients {
                Some(recipients) => recipients,
                None => self.fanout.recipients(request, draft.recipient()).await?,
            };
            let frame = codec::encode_entry_push(&appended.stored.entry, appended.changed.as_ref(), position.as_ref());
            self.fanout.push(request, &frame, recipients).await;
            Ok(())
        });
        let (delivered, ()) = tokio::join!(deliver, self.leave_hour(draft, &appended, request));
        if let Err(error) = delivered {
            // The entry is stored. A client that misses the push sees the gap in `seq`, or catches up when it reconnects.
            tracing::warn!(cause = chain(&error), "a stored entry was not pushed to every recipient");
        }
        Ok(Reply::Sent(Sent::new(&appended.stored.entry, appended.duplicate, position, appended.changed)))
    }

    /// Removes the inbox entries of the hour that the conversation has left.
    async fn leave_hour(&self, draft: &Draft, appended: &Appended, request: &Request) {
        let Some(hour) = appended.left_hour else { return };
        if let Err(error) = in_time(request, self.inboxes.remove_entries(draft, hour)).await {
            // The entries are ignored, because the newest message carries another hour.
            tracing::warn!(cause = chain(&error), "the inbox entries of an earlier hour were not removed");
        }
    }
}
