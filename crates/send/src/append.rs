//! Appending: a message gets the next sequence number of its conversation, exactly once.
//!
//! A conditional put assigns the sequence number, which gives order, exactly-once and durability in one write. Because
//! messages are never removed, and a sender reads every message between `lastSeq` and the slot that it takes, a duplicate is
//! found even while the first attempt is still running. With a valid position there is nothing to read before the first
//! put: the position proves that the message exists and holds the state, and if the slot after it is vacant, no message
//! follows it.

use chat_core::{
    Error,
    model::{
        conversation::Seq,
        message::{Draft, End, Message, MessageHeader, StoredMessage},
        state::{ConversationState, InboxHour},
    },
    protocol::{
        position::{Evidence, Position},
        requests::KnownEnd,
    },
    store::{dynamodb::random_wait, messages::PutOutcome},
};

use crate::Context;

/// The maximum number of messages after `lastSeq` that are searched for a duplicate.
const MAX_UNSEEN: u64 = 1_000;
/// The number of newest messages that are searched for a duplicate if nothing shows what the client holds.
const UNSEEN_BY_DEFAULT: u16 = 25;
/// The number of messages per query: more than a client that is nearly up to date needs, and at most 2.4 MB of reading.
const HEADERS_PER_QUERY: u16 = 100;
/// Attempts without a wait. Simulated with 7.5 ms a call, fewer only add delay.
const IMMEDIATE_ATTEMPTS: u32 = 8;

/// The end of a conversation, as a draft finds it.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// No message from the searched ones is this draft.
    Fresh {
        /// The newest known message; none if the conversation has none.
        newest: Option<End>,
        /// The state of the conversation if the draft follows.
        state: ConversationState,
    },
    /// This message is the draft, stored by an earlier attempt of this function or of the client.
    Duplicate(MessageHeader),
}

/// A stored message.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) message: Message,
    /// The state of the conversation as of the message.
    pub(crate) state: ConversationState,
    /// Whether an earlier request of the client had stored it.
    pub(crate) duplicate: bool,
    /// The number of puts; 0 for a duplicate that was found before the first one.
    pub(crate) attempts: u32,
    /// The hour of the inboxes that the conversation left with this message.
    pub(crate) left_hour: Option<InboxHour>,
}

/// Reads every message that the client may not have seen: those from `lastSeq` on, or the newest 25. A valid position
/// needs no read.
///
/// # Errors
/// [`Error::BadRequest`] if message `lastSeq` does not exist, [`Error::OutOfDate`] if more than 1,000 messages follow it
/// and the draft could be among them, [`Error::RateLimited`] if the sender has used up the limit in this conversation.
pub(crate) async fn prove_end(context: &Context, draft: &Draft, known: &KnownEnd) -> Result<Lookup, Error> {
    match known {
        KnownEnd::Unknown => look(context, draft, None).await,
        KnownEnd::Position(position) => prove_position(context, draft, position).await,
        KnownEnd::LastSeq(last_seq) => match look(context, draft, Some(*last_seq)).await? {
            Lookup::Fresh { newest, .. } if seq_of(newest.as_ref()) < *last_seq => Err(Error::bad_request(
                "lastSeq: the conversation has no such message; send the newest seq that you hold, or 0",
            )),
            lookup => Ok(lookup),
        },
    }
}

/// A position that is not valid is never an error: it only makes the look necessary.
async fn prove_position(context: &Context, draft: &Draft, position: &Position) -> Result<Lookup, Error> {
    match context.positions.read(position, (draft.sender(), draft.recipient())) {
        Evidence::Proof(end) => match draft.state_after(Some(&end), context.limiter.limit()) {
            Ok(state) => Ok(Lookup::Fresh { newest: Some(end), state }),
            // A repeat of a stored message is not refused.
            Err(_) => look(context, draft, Some(end.seq)).await,
        },
        // The claim may be about another conversation, so the newest messages are searched in any case.
        Evidence::Claim(seq) => match look(context, draft, Some(seq.before(UNSEEN_BY_DEFAULT.into()))).await? {
            Lookup::Fresh { newest, .. } if seq_of(newest.as_ref()) < seq => look(context, draft, None).await,
            lookup => Ok(lookup),
        },
        Evidence::Nothing => look(context, draft, None).await,
    }
}

/// Stores the draft after the newest message. If a concurrent sender takes the slot, it tries the next one. If that one is
/// taken, too, it looks for the end before each further attempt, until it succeeds or its caller gives up.
///
/// The first message of a conversation, and the first in another hour, adds the inbox entries of that hour before the put,
/// so that each client that finds the message finds the entries, too.
///
/// # Errors
/// [`Error::RateLimited`] as from [`prove_end`]; nothing is stored then. After [`Error::Unavailable`], [`Error::Internal`]
/// and if the caller gives up, the message may be stored; a repeat with the same `clientMessageId` finds out.
pub(crate) async fn append(context: &Context, draft: &Draft, lookup: Lookup) -> Result<Appended, Error> {
    let mut lookup = lookup;
    let mut attempts = 0;
    loop {
        let (newest, state) = match lookup {
            Lookup::Fresh { newest, state } => (newest, state),
            Lookup::Duplicate(header) => {
                let message = context.messages.get(draft.conversation(), header.seq).await?;
                let duplicate = !draft.is_own_attempt(&header);
                return Ok(Appended { message, state: header.state, duplicate, attempts, left_hour: None });
            }
        };
        let hour_before = newest.as_ref().map_or(InboxHour::NONE, |newest| newest.state.inbox_hour);
        let enters_hour = hour_before < state.inbox_hour;
        if enters_hour {
            context.inboxes.add_entries(draft, state.inbox_hour).await?;
        }
        let left_hour = Some(hour_before).filter(|hour| enters_hour && *hour != InboxHour::NONE);

        let message = draft.after(newest.as_ref());
        attempts += 1;
        match context.messages.put_if_vacant(&message, state).await? {
            PutOutcome::Stored => return Ok(Appended { message, state, duplicate: false, attempts, left_hour }),
            // The response to the put was lost, and the SDK repeated it.
            PutOutcome::Occupied(stored) if draft.is_own_attempt(&stored.header()) => {
                return Ok(Appended { message, state, duplicate: false, attempts, left_hour });
            }
            PutOutcome::Occupied(stored) if draft.is_duplicate_of(&stored.header()) => {
                let StoredMessage { message, state } = *stored;
                return Ok(Appended { message, state, duplicate: true, attempts, left_hour: None });
            }
            // Mostly, no message follows the one that took the slot. It holds the state, so it needs no look.
            PutOutcome::Occupied(stored) if attempts == 1 => {
                let newest = End::from(stored.header());
                let state = draft.state_after(Some(&newest), context.limiter.limit())?;
                lookup = Lookup::Fresh { newest: Some(newest), state };
                continue;
            }
            PutOutcome::Occupied(_) | PutOutcome::Contended => {}
        }
        if attempts >= IMMEDIATE_ATTEMPTS {
            tokio::time::sleep(random_wait()).await;
        }
        // From the newest known message on, because a contended slot may be vacant, or may hold this draft: the response to
        // the put can have been lost, and the SDK's repeat be contended.
        lookup = search(context, draft, Some(seq_of(newest.as_ref())), true).await?;
    }
}

/// The look before the first put. Without a `clientMessageId` there is nothing to search for.
async fn look(context: &Context, draft: &Draft, from: Option<Seq>) -> Result<Lookup, Error> {
    search(context, draft, from, draft.has_client_message_id()).await
}

/// Reads the messages from `from` on, or the newest 25, newest first, until one of them is the draft. If the draft can't
/// be stored yet, it reads the newest message only.
async fn search(context: &Context, draft: &Draft, from: Option<Seq>, may_be_stored: bool) -> Result<Lookup, Error> {
    let limit = match (may_be_stored, from) {
        (false, _) => 1,
        (true, None) => UNSEEN_BY_DEFAULT,
        (true, Some(_)) => HEADERS_PER_QUERY,
    };
    let mut newest: Option<End> = None;
    let mut before = None;
    loop {
        let page = context.messages.headers(draft.conversation(), from, before, limit).await?;
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
                let state = draft.state_after(newest.as_ref(), context.limiter.limit())?;
                return Ok(Lookup::Fresh { newest, state });
            }
        }
    }
}

/// The sequence number of the newest message, or [`Seq::NONE`].
fn seq_of(newest: Option<&End>) -> Seq {
    newest.map_or(Seq::NONE, |newest| newest.seq)
}
