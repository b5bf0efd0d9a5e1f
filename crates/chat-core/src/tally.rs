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
            Some(newest) if &newest.sender_id == draft.sender() => newest.tally,
            // Who answers stands where the other one stood.
            Some(Trace { seq, tally, .. }) => Self {
                recipient_seq: *seq,
                sender_allowance: tally.recipient_allowance,
                recipient_allowance: tally.sender_allowance,
            },
        };
        Ok(Self { sender_allowance: limit.spend(before.sender_allowance, draft.created_at())?, ..before })
    }
}
