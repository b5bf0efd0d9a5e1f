//! What a conversation has come to, carried along by its messages.

use serde::{Deserialize, Serialize};

use crate::{
    conversation::Seq,
    message::{Draft, Trace},
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
}

impl Tally {
    /// What the conversation comes to when `draft` follows `newest`.
    pub fn after(newest: Option<&Trace>, draft: &Draft) -> Self {
        let recipient_seq = match newest {
            None => Seq::NONE,
            Some(newest) if &newest.sender_id == draft.sender() => newest.tally.recipient_seq,
            Some(newest) => newest.seq,
        };
        Self { recipient_seq }
    }
}
