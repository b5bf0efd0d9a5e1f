//! Appending: an entry gets the next sequence number of its conversation, exactly once.
//!
//! A conditional put assigns the sequence number, which gives order, exactly-once and durability in one write. Because
//! entries are never removed, and a sender reads every entry between `lastSeq` and the slot that it takes, a duplicate is
//! found even while the first attempt is still running. With a valid position there is nothing to read before the first
//! put: the position proves that the entry exists and holds the state, and if the slot after it is vacant, no entry
//! follows it.
//!
//! A change of a message is put together with the changed message, in one transaction, on condition that nobody has changed
//! it since it was read. So the entries of a message's changes and its versions agree, whatever fails.

use std::time::Instant;

use crate::{
    log::Log,
    model::{
        conversation::Seq,
        draft::Draft,
        entry::{End, Entry, EntryHeader, StoredEntry},
        error::Error,
        message::Message,
        state::{ConversationState, InboxHour},
    },
    protocol::{
        deadline::in_time,
        position::{Evidence, Position},
        request::Request,
        requests::KnownEnd,
    },
    store::{
        connections::Connection,
        dynamodb::random_wait,
        messages::puts::{PutOutcome, Replacement},
    },
};

/// The maximum number of entries after `lastSeq` that are searched for a duplicate.
const MAX_UNSEEN: u64 = 1_000;
/// The number of newest entries that are searched for a duplicate if nothing shows what the client holds.
const UNSEEN_BY_DEFAULT: u16 = 25;
/// The number of entries per query: more than a client that is nearly up to date needs, and at most 2.4 MB of reading.
const HEADERS_PER_QUERY: u16 = 100;
/// Attempts without a wait. Simulated with 7.5 ms a call, fewer only add delay.
const IMMEDIATE_ATTEMPTS: u32 = 8;

/// The end of a conversation, as a draft finds it.
#[derive(Debug)]
pub(super) enum Lookup {
    /// No entry from the searched ones is this draft.
    Fresh {
        /// The newest known entry; none if the conversation has none.
        newest: Option<End>,
        /// The state of the conversation if the draft follows.
        state: ConversationState,
    },
    /// This entry is the draft, stored by an earlier attempt of this function or of the client.
    Duplicate(EntryHeader),
}

/// The result of an append.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) stored: StoredEntry,
    /// The message that the entry is about, as it is now.
    pub(super) changed: Option<Message>,
    /// Whether an earlier request of the client had stored the entry.
    pub(super) duplicate: bool,
    /// The number of puts; 0 for a duplicate that was found before the first one.
    pub(super) attempts: u32,
    /// The hour of the inboxes that the conversation left with this entry.
    pub(super) left_hour: Option<InboxHour>,
    /// Who is to receive the entry; none if they could not be read, or if the entry was stored too long after they were.
    pub(super) recipients: Option<Vec<Connection>>,
}

impl Log {
    /// Reads every entry that the client may not have seen: those from `lastSeq` on, or the newest 25. A valid position
    /// needs no read.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if entry `lastSeq` does not exist, [`Error::OutOfDate`] if more than 1,000 entries follow it
    /// and the draft could be among them, [`Error::RateLimited`] if the sender has used up the limit in this conversation.
    pub(super) async fn prove_end(&self, draft: &Draft, known: &KnownEnd) -> Result<Lookup, Error> {
        match known {
            KnownEnd::Unknown => self.look(draft, None).await,
            KnownEnd::Position(position) => self.prove_position(draft, position).await,
            KnownEnd::LastSeq(last_seq) => match self.look(draft, Some(*last_seq)).await? {
                Lookup::Fresh { newest, .. } if seq_of(newest.as_ref()) < *last_seq => Err(Error::bad_request(
                    "lastSeq: the conversation has no such entry; send the newest seq that you hold, or 0",
                )),
                lookup => Ok(lookup),
            },
        }
    }

    /// A position that is not valid is never an error: it only makes the look necessary.
    async fn prove_position(&self, draft: &Draft, position: &Position) -> Result<Lookup, Error> {
        match self.positions.read(position, (draft.sender(), draft.recipient())) {
            Evidence::Proof(end) => match draft.state_after(Some(&end), self.limiter.limit()) {
                Ok(state) => Ok(Lookup::Fresh { newest: Some(end), state }),
                // A repeat of a stored entry is not refused.
                Err(_) => self.look(draft, Some(end.seq)).await,
            },
            // The claim may be about another conversation, so the newest entries are searched in any case.
            Evidence::Claim(seq) => match self.look(draft, Some(seq.before(UNSEEN_BY_DEFAULT.into()))).await? {
                Lookup::Fresh { newest, .. } if seq_of(newest.as_ref()) < seq => self.look(draft, None).await,
                lookup => Ok(lookup),
            },
            Evidence::Nothing => self.look(draft, None).await,
        }
    }

    /// The entry that the draft changes, as it is stored now; none without a call if the draft is a message.
    ///
    /// # Errors
    /// If the entry can't be read.
    pub(super) async fn target(&self, draft: &Draft) -> Result<Option<StoredEntry>, Error> {
        match draft.target() {
            None => Ok(None),
            Some(target) => self.messages.get(draft.conversation(), target).await,
        }
    }

    /// Stores the draft after the newest entry. If a concurrent sender takes the slot, it tries the next one. If that one is
    /// taken, too, it looks for the end before each further attempt, until it succeeds or its caller gives up.
    ///
    /// The first message of a conversation, and the first in another hour, adds the inbox entries of that hour before the
    /// put, so that each client that finds the message finds the entries, too. The recipients are read beside each put.
    ///
    /// # Errors
    /// [`Error::RateLimited`] as from [`Log::prove_end`], those of [`Draft::after`] and [`Draft::changed`]; nothing is stored
    /// then. After [`Error::Unavailable`], [`Error::Internal`] and if the caller gives up, the entry may be stored; a repeat
    /// with the same `clientMessageId` finds out.
    pub(super) async fn append(
        &self,
        request: &Request,
        draft: &Draft,
        mut lookup: Lookup,
        mut target: Option<StoredEntry>,
    ) -> Result<Appended, Error> {
        let (mut attempts, mut is_confirmed) = (0, false);
        loop {
            let (newest, state) = match lookup {
                Lookup::Fresh { newest, state } => (newest, state),
                Lookup::Duplicate(header) => {
                    let stored = in_time(request, self.messages.get(draft.conversation(), header.seq));
                    let (stored, recipients) = tokio::join!(stored, self.recipients(request, draft));
                    let stored = stored?.ok_or_else(|| Error::Internal("an entry that was found is missing".into()))?;
                    let changed = in_time(request, self.changed_by(draft, &stored, target)).await?;
                    let duplicate = !draft.is_own_attempt(&stored.header());
                    return Ok(Appended { stored, changed, duplicate, attempts, left_hour: None, recipients });
                }
            };
            let (entry, replacement) = match decide(draft, newest.as_ref(), target.as_ref()) {
                Ok(decided) => decided,
                // The draft can be stored already, and its target therefore deleted. Or the client knows a later end than the
                // one that its position proves.
                Err(_) if !is_confirmed => {
                    is_confirmed = true;
                    lookup = in_time(request, self.search(draft, Some(seq_of(newest.as_ref())), true)).await?;
                    continue;
                }
                Err(refused) => return Err(refused),
            };

            let hour_before = newest.as_ref().map_or(InboxHour::NONE, |newest| newest.state.inbox_hour);
            let enters_hour = hour_before < state.inbox_hour;
            if enters_hour {
                in_time(request, self.inboxes.add_entries(draft, state.inbox_hour)).await?;
            }
            let left_hour = Some(hour_before).filter(|hour| enters_hour && *hour != InboxHour::NONE);

            attempts += 1;
            let put = async {
                let began = Instant::now();
                let put = self.messages.put_if_vacant(&entry, state, replacement.as_ref());
                (in_time(request, put).await, began.elapsed() <= self.fast_put)
            };
            let ((outcome, is_fast), recipients) = tokio::join!(put, self.recipients(request, draft));
            let (outcome, recipients) = (outcome?, recipients.filter(|_| is_fast));
            let is_stored = match &outcome {
                PutOutcome::Stored => true,
                // The response to the put was lost, and the SDK repeated it.
                PutOutcome::Occupied(stored) => draft.is_own_attempt(&stored.header()),
                PutOutcome::Contended => false,
            };
            if is_stored {
                let (stored, changed) = (StoredEntry { entry, state }, replacement.map(|it| it.after));
                return Ok(Appended { stored, changed, duplicate: false, attempts, left_hour, recipients });
            }
            match outcome {
                PutOutcome::Occupied(stored) if draft.is_duplicate_of(&stored.header()) => {
                    let changed = in_time(request, self.changed_by(draft, &stored, None)).await?;
                    let stored = *stored;
                    return Ok(Appended { stored, changed, duplicate: true, attempts, left_hour: None, recipients });
                }
                // Mostly, no entry follows the one that took the slot. It holds the state, so it needs no look.
                PutOutcome::Occupied(stored) if attempts == 1 => {
                    let newest = End::from(stored.header());
                    let state = draft.state_after(Some(&newest), self.limiter.limit())?;
                    lookup = Lookup::Fresh { newest: Some(newest), state };
                    target = in_time(request, self.target(draft)).await?;
                    is_confirmed = false;
                    continue;
                }
                PutOutcome::Contended if draft.target().is_some() => tokio::time::sleep(random_wait()).await,
                _ if attempts >= IMMEDIATE_ATTEMPTS => tokio::time::sleep(random_wait()).await,
                _ => {}
            }
            // From the newest known entry on, because a contended slot may be vacant, or may hold this draft: the response
            // to the put can have been lost, and the SDK's repeat be contended.
            let from = Some(seq_of(newest.as_ref()));
            let found = async { tokio::try_join!(self.search(draft, from, true), self.target(draft)) };
            (lookup, target) = in_time(request, found).await?;
            is_confirmed = false;
        }
    }

    /// The message that a stored entry is about, as it is now. `target` is that of the draft, as it was read; the entry may
    /// have replaced it since.
    async fn changed_by(
        &self,
        draft: &Draft,
        stored: &StoredEntry,
        target: Option<StoredEntry>,
    ) -> Result<Option<Message>, Error> {
        let shows_change = |target: &StoredEntry| {
            stored.entry.target() == Some(*target.entry.seq()) && target.entry.version() >= Some(*stored.entry.seq())
        };
        let changed = match (stored.entry.target(), target.filter(shows_change)) {
            (None, _) => None,
            (Some(_), Some(target)) => Some(target),
            (Some(target), None) => self.messages.get(draft.conversation(), target).await?,
        };
        Ok(changed.and_then(|changed| changed.entry.into_message()))
    }

    /// The connections of the recipients; none if they can't be read.
    async fn recipients(&self, request: &Request, draft: &Draft) -> Option<Vec<Connection>> {
        in_time(request, self.fanout.recipients(request, draft.recipient())).await.ok()
    }

    /// The look before the first put. Without a `clientMessageId` there is nothing to search for.
    async fn look(&self, draft: &Draft, from: Option<Seq>) -> Result<Lookup, Error> {
        self.search(draft, from, draft.has_client_message_id()).await
    }

    /// Reads the entries from `from` on, or the newest 25, newest first, until one of them is the draft. If the draft can't
    /// be stored yet, it reads the newest entry only.
    async fn search(&self, draft: &Draft, from: Option<Seq>, may_be_stored: bool) -> Result<Lookup, Error> {
        let limit = match (may_be_stored, from) {
            (false, _) => 1,
            (true, None) => UNSEEN_BY_DEFAULT,
            (true, Some(_)) => HEADERS_PER_QUERY,
        };
        let mut newest: Option<End> = None;
        let mut before = None;
        loop {
            let page = self.messages.headers(draft.conversation(), from, before, limit).await?;
            for header in page.headers {
                if draft.is_own_attempt(&header) || draft.is_duplicate_of(&header) {
                    return Ok(Lookup::Duplicate(header));
                }
                newest.get_or_insert_with(|| header.into());
            }
            before = page.more_before;
            match from {
                Some(from) if before.is_some() && may_be_stored => {
                    if seq_of(newest.as_ref()).since(from) > MAX_UNSEEN {
                        return Err(Error::OutOfDate);
                    }
                }
                _ => {
                    let state = draft.state_after(newest.as_ref(), self.limiter.limit())?;
                    return Ok(Lookup::Fresh { newest, state });
                }
            }
        }
    }
}

/// The entry that follows `newest`, and what it replaces.
///
/// # Errors
/// Why the draft is refused, if this is the end of the conversation and `target` is its target.
fn decide(
    draft: &Draft,
    newest: Option<&End>,
    target: Option<&StoredEntry>,
) -> Result<(Entry, Option<Replacement>), Error> {
    let entry = draft.after(newest)?;
    let after = draft.changed(target.map(|target| target.entry.clone()), &entry)?;
    let replacement = target.cloned().zip(after).map(|(before, after)| Replacement { before, after });
    Ok((entry, replacement))
}

/// The sequence number of the newest entry, or [`Seq::NONE`].
fn seq_of(newest: Option<&End>) -> Seq {
    newest.map_or(Seq::NONE, |newest| newest.seq)
}
