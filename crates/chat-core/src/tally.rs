//! What a conversation has come to, carried along by its messages.

use serde::{Deserialize, Serialize};

use crate::{
    conversation::Seq,
    error::Error,
    message::{Draft, Trace},
    rate_limit::{Allowance, RateLimit},
};

/// What a conversation has come to with one message, stored in that message's item.
///
/// Whoever appends has read the newest message anyway, and the conditional put lets exactly one message follow it. So
/// what is worked out from the newest message's tally is exact, under any number of senders, and costs no call. A
/// message of before there were tallies counts as one with the [`Default`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// The newest message that the recipient of this one wrote. The sender's newest is this one.
    pub recipient_seq: Seq,
    /// What its sender has left in this conversation.
    pub sender_allowance: Allowance,
    /// What its recipient has left in this conversation.
    pub recipient_allowance: Allowance,
    /// In which hour the inboxes of both have the conversation. It never goes back, whatever the clocks say, and the
    /// entries are there before the message is.
    pub listed: Hour,
}

impl Tally {
    /// What the conversation comes to when `draft` follows `newest`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] where the sender has sent too much in this conversation. The other one's allowance is
    /// their own: nobody is slowed down by somebody else.
    pub fn after(newest: Option<&Trace>, draft: &Draft, limit: RateLimit) -> Result<Self, Error> {
        let before = match newest {
            None => Self::default(),
            Some(Trace { sender_id, tally, .. }) if sender_id == draft.sender() && tally.listed != Hour::NONE => *tally,
            // Of before there were tallies: who wrote what is not known, and nobody marked anything. It counts as read.
            Some(Trace { sender_id, seq, .. }) if sender_id == draft.sender() => {
                Self { recipient_seq: *seq, ..Self::default() }
            }
            // Who answers stands where the other one stood.
            Some(Trace { seq, tally, .. }) => Self {
                recipient_seq: *seq,
                sender_allowance: tally.recipient_allowance,
                recipient_allowance: tally.sender_allowance,
                listed: tally.listed,
            },
        };
        Ok(Self {
            sender_allowance: limit.spend(before.sender_allowance, draft.created_at())?,
            listed: before.listed.max(Hour::of(draft.created_at())),
            ..before
        })
    }

    /// In which hour the inboxes have a conversation whose newest message is this.
    pub fn listed(newest: Option<&Trace>) -> Hour {
        newest.map_or(Hour::NONE, |newest| newest.tally.listed)
    }
}

/// An hour, counted from 1970: what an inbox is ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hour(u32);

impl Hour {
    /// Before the first one: not in any inbox.
    pub const NONE: Hour = Hour(0);

    /// The one with this number.
    pub fn new(number: u32) -> Self {
        Self(number)
    }

    /// That of a moment, in milliseconds since 1970.
    pub fn of(moment: i64) -> Self {
        Self(u32::try_from(moment / 3_600_000).unwrap_or(0))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}
