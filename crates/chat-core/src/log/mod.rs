//! `Log`: stores an entry as the next one of its conversation, then pushes it to the recipients.

mod append;
mod appended;
mod audience;
mod found;
mod look;

use std::time::Duration;

use crate::{
    model::{
        draft::Draft,
        error::{Error, chain},
        rate_limit::RateLimiter,
        state::ReadPosition,
    },
    protocol::{
        codec,
        deadline::in_time,
        position::{Position, Positions},
        replies::{Reply, Sent},
        request::Request,
        requests::KnownEnd,
    },
    push::fanout::Fanout,
    store::{connections::Connection, inboxes::Inboxes, members::Members, messages::Messages},
};

use appended::Appended;

/// How long a put may take before the recipients are read again after it.
const FAST_PUT: Duration = Duration::from_millis(25);

/// Appends entries of every kind to conversations. Only here do conversations grow.
#[derive(Debug)]
pub struct Log {
    messages: Messages,
    inboxes: Inboxes,
    members: Members,
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
        members: Members,
        fanout: Fanout,
        positions: Positions,
        limiter: RateLimiter,
    ) -> Self {
        Self { messages, inboxes, members, fanout, positions, limiter, fast_put: FAST_PUT }
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
    /// [`Draft::decide`], and [`Error::Unavailable`] if a repeat with the same `clientMessageId` can succeed.
    pub async fn publish(&self, request: &Request, draft: &Draft, known: &KnownEnd) -> Result<Reply, Error> {
        self.limiter.spend(draft.sender(), request.received_at)?;
        let start = in_time(request, self.start(draft, known)).await?;
        let mut appended = Box::pin(self.append(request, draft, start)).await?;
        request.metrics.stored(appended.attempts, appended.duplicate);
        let position = self.positions.of(&appended.stored.entry, appended.stored.state);

        let recipients = appended.recipients.take();
        let deliver = in_time(request, self.deliver(request, &appended, position.as_ref(), recipients));
        let (delivered, (), ()) =
            tokio::join!(deliver, self.leave_hour(&appended, request), self.mark_own(draft, &appended, request));
        if let Err(error) = delivered {
            // The entry is stored. A client that misses the push sees the gap in `seq`, or catches up when it reconnects.
            tracing::warn!(cause = chain(&error), "a stored entry was not pushed to every recipient");
        }
        Ok(Reply::Sent(Sent::new(&appended.stored.entry, appended.duplicate, position, appended.changed)))
    }

    /// Pushes the entry to its audience, with the changed message for those who may read that.
    async fn deliver(
        &self,
        request: &Request,
        appended: &Appended,
        position: Option<&Position>,
        recipients: Option<Vec<Connection>>,
    ) -> Result<(), Error> {
        let recipients = match recipients {
            Some(recipients) => recipients,
            None => self.fanout.recipients(request, appended.audience.users()).await?,
        };
        let (entry, changed) = (&appended.stored.entry, appended.changed.as_ref());
        let (readers, others): (Vec<_>, Vec<_>) = recipients
            .into_iter()
            .filter(|connection| appended.audience.contains(&connection.user_id))
            .partition(|connection| appended.audience.may_read(&connection.user_id, entry.target()));
        let push = async |changed, recipients: Vec<Connection>| {
            if !recipients.is_empty() {
                let frame = codec::encode_entry_push(entry, changed, position);
                self.fanout.push(request, &frame, recipients).await;
            }
        };
        tokio::join!(push(changed, readers), push(None, others));
        Ok(())
    }

    /// Removes the inbox entries of the hour that the conversation has left.
    async fn leave_hour(&self, appended: &Appended, request: &Request) {
        let Some((hour, listings)) = &appended.left_hour else { return };
        if let Err(error) = in_time(request, self.inboxes.remove_entries(listings, *hour)).await {
            // The entries are ignored, because the newest message carries another hour.
            tracing::warn!(cause = chain(&error), "the inbox entries of an earlier hour were not removed");
        }
    }

    /// Moves the sender's read position in a group. In a direct conversation, the state holds it.
    async fn mark_own(&self, draft: &Draft, appended: &Appended, request: &Request) {
        if draft.group().is_none() || !appended.audience.contains(draft.sender()) {
            return;
        }
        let position = ReadPosition::at(*appended.stored.entry.seq(), appended.stored.state.changes);
        let mark = self.inboxes.mark_read(draft.sender(), draft.recipient(), position);
        if let Err(error) = in_time(request, mark).await {
            // Until the sender's next entry or `markRead`, what they have read before counts as unread.
            tracing::warn!(cause = chain(&error), "the read position of a sender was not stored");
        }
    }
}
