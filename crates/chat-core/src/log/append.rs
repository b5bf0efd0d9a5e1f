//! Appending: an entry gets the next sequence number of its conversation, exactly once.
//!
//! A conditional put assigns the sequence number, which gives order, exactly-once and durability in one write. Because
//! entries are never removed, and a sender reads every entry between `lastSeq` and the slot that it takes, a duplicate is
//! found even while the first attempt is still running. With a valid position there is nothing to read before the first
//! put: the position proves that the entry exists and holds the state, and if the slot after it is vacant, no entry
//! follows it.
//!
//! The same put decides who is a member of a group at an entry. The newest entry names the newest change of the group, and
//! the entry is decided by the members as of that change. If the slot after the newest entry is vacant, nothing came in between.
//!
//! What an entry changes besides itself is stored in one transaction with it: the message that it changes, on condition that
//! no other change was stored since it was read, or the members and their inboxes.

use std::{cmp::Ordering, time::Instant};

use crate::{
    log::{
        Log,
        appended::Appended,
        audience::{Audience, listings},
        found::Found,
        look::{Lookup, Start, seq_of},
    },
    model::{
        conversation::Seq,
        decision::Decision,
        draft::Draft,
        entry::{End, StoredEntry},
        error::Error,
        group::Group,
        state::InboxHour,
    },
    protocol::{deadline::in_time, request::Request},
    store::{
        connections::Connection,
        dynamodb::{Writes, random_wait},
        messages::puts::PutOutcome,
    },
};

/// Attempts without a wait. Simulated with 7.5 ms a call, fewer only add delay.
const IMMEDIATE_ATTEMPTS: u32 = 8;

impl Log {
    /// Stores the draft after the newest entry. If a concurrent sender takes the slot, it tries the next one. If that one is
    /// taken, too, it looks for the end before each further attempt, until it succeeds or its caller gives up.
    ///
    /// The first message of a conversation, and the first in another hour, adds the inbox entries of that hour before the
    /// put, so that each client that finds the message finds the entries, too. The recipients are read beside each put.
    ///
    /// # Errors
    /// [`Error::RateLimited`], [`Error::OutOfDate`] and those of [`Draft::decide`]; nothing is stored then. After
    /// [`Error::Unavailable`], [`Error::Internal`] and if the caller gives up, the entry may be stored; a repeat with the same
    /// `clientMessageId` finds out.
    pub(super) async fn append(&self, request: &Request, draft: &Draft, start: Start) -> Result<Appended, Error> {
        let Start { mut lookup, mut target, mut group } = start;
        let (mut attempts, mut is_confirmed) = (0, false);
        loop {
            let (newest, is_searched) = match lookup {
                Lookup::Fresh { newest, is_searched } => (newest, is_searched),
                Lookup::Duplicate(header) => {
                    let found = Found { header, entry: None, target, recipients: None };
                    return Box::pin(self.found(request, draft, found, group, attempts)).await;
                }
            };
            let from = Some(seq_of(newest.as_ref()));
            if let Some(known) = group {
                let version = newest.as_ref().map_or(Seq::NONE, |newest| newest.state.group_version());
                let exact = in_time(request, self.group_from(known, version)).await?;
                let order = exact.version.cmp(&version);
                group = Some(exact);
                if order == Ordering::Greater {
                    // The group has changed since the look, so more entries follow. After a restore of tables of different
                    // ages they never come; then the caller gives up in the end.
                    tokio::time::sleep(random_wait()).await;
                    lookup = in_time(request, self.search(draft, from, true)).await?;
                    continue;
                }
            }
            let group_before = group.as_deref();
            let target_before = target.as_ref().map(|target| &target.entry);
            let limits = self.limiter.limits();
            let decision = match draft.decide(newest.as_ref(), limits, target_before, group_before) {
                Ok(decision) => decision,
                // A search has shown that the draft is not stored.
                Err(refused @ Error::RateLimited { .. }) if is_searched => return Err(refused),
                // The draft can be stored already, and its target therefore deleted. Or the client knows a later end than the
                // one that its position proves.
                Err(_) if !is_confirmed => {
                    is_confirmed = true;
                    lookup = in_time(request, self.search(draft, from, true)).await?;
                    continue;
                }
                Err(refused) => return Err(refused),
            };

            let state = decision.state;
            let hour_before = newest.as_ref().map_or(InboxHour::NONE, |newest| newest.state.inbox_hour);
            let enters_hour = hour_before < state.inbox_hour;
            let listings = if enters_hour { listings(draft, group_before) } else { Vec::new() };
            if !listings.is_empty() {
                in_time(request, self.inboxes.add_entries(&listings, state.inbox_hour)).await?;
            }
            let left_hour = (enters_hour && hour_before != InboxHour::NONE).then_some((hour_before, listings));
            let audience = Audience::of_next(draft, group_before, decision.group.as_ref());
            let writes = self.writes(&decision, target.as_ref(), group_before)?;
            let is_transaction = decision.changed.is_some() || decision.group.is_some();

            attempts += 1;
            let put = async {
                let began = Instant::now();
                let put = self.messages.put_if_vacant(&decision.entry, state, writes);
                (in_time(request, put).await, began.elapsed() <= self.fast_put)
            };
            let ((outcome, is_fast), recipients) = tokio::join!(put, self.recipients(request, &audience));
            let (outcome, recipients) = (outcome?, recipients.filter(|_| is_fast));
            let is_stored = match &outcome {
                PutOutcome::Stored => true,
                // The response to the put was lost, and the SDK repeated it.
                PutOutcome::Occupied(stored) => draft.is_own_attempt(&stored.header()),
                PutOutcome::Contended => false,
            };
            if is_stored {
                let Decision { entry, changed, group, .. } = decision;
                if let (PutOutcome::Stored, Some(group)) = (outcome, group) {
                    self.members.remember(group);
                }
                let stored = StoredEntry { entry, state };
                return Ok(Appended { stored, changed, duplicate: false, attempts, left_hour, audience, recipients });
            }
            match outcome {
                PutOutcome::Occupied(stored) if draft.is_duplicate_of(&stored.header()) => {
                    let found = Found { header: stored.header(), entry: Some(*stored), target: None, recipients };
                    return Box::pin(self.found(request, draft, found, group, attempts)).await;
                }
                // Mostly, no entry follows the one that took the slot. It holds the state, so it needs no look.
                PutOutcome::Occupied(stored) if attempts == 1 => {
                    lookup = Lookup::Fresh { newest: Some(End::from(stored.header())), is_searched: true };
                    target = in_time(request, self.target(draft)).await?;
                    is_confirmed = false;
                    continue;
                }
                PutOutcome::Contended if is_transaction => tokio::time::sleep(random_wait()).await,
                _ if attempts >= IMMEDIATE_ATTEMPTS => tokio::time::sleep(random_wait()).await,
                _ => {}
            }
            // From the newest known entry on, because a contended slot may be vacant, or may hold this draft: the response
            // to the put can have been lost, and the SDK's repeat be contended.
            let found = async { tokio::try_join!(self.search(draft, from, true), self.target(draft)) };
            (lookup, target) = in_time(request, found).await?;
            is_confirmed = false;
        }
    }

    /// What is stored with the entry.
    fn writes(
        &self,
        decision: &Decision,
        target: Option<&StoredEntry>,
        group: Option<&Group>,
    ) -> Result<Writes, Error> {
        let mut writes = Writes::default();
        if let Some((before, after)) = target.zip(decision.changed.as_ref()) {
            writes = writes.and(self.messages.replacement(before, after)?);
        }
        if let Some(after) = &decision.group {
            let (hour, time) = (decision.state.inbox_hour, *decision.entry.created_at());
            writes = writes.and(self.members.writes(group, after)?).and(self.inboxes.writes(group, after, hour, time)?);
        }
        Ok(writes)
    }

    /// The connections of the audience; none if they can't be read.
    pub(super) async fn recipients(&self, request: &Request, audience: &Audience) -> Option<Vec<Connection>> {
        in_time(request, self.fanout.recipients(request, audience.users())).await.ok()
    }
}
