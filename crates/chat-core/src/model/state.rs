//! `ConversationState`: per-conversation state, carried on the newest message. `InboxHour`: the sort order of an inbox.

use serde::{Deserialize, Serialize};

use crate::model::{
    conversation::Seq,
    error::Error,
    rate_limit::{RateLimit, RateState},
    time::Timestamp,
};

/// The state of a conversation as of one message, stored in that message's item.
///
/// A sender reads the newest message before it appends, and the conditional put lets exactly one message follow it. So
/// the state derived from the newest message is exact under any number of concurrent senders, and costs no call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationState {
    /// The newest message by the recipient of this message. The newest by its sender is this message.
    pub recipient_seq: Seq,
    /// The sender's use of the rate limit in this conversation.
    #[serde(rename = "senderAllowance")]
    pub sender_rate: RateState,
    /// The recipient's use of the rate limit in this conversation.
    #[serde(rename = "recipientAllowance")]
    pub recipient_rate: RateState,
    /// The hour of the valid inbox entries of both users. It never decreases, and the entries are written before the
    /// message.
    #[serde(rename = "listed")]
    pub inbox_hour: InboxHour,
}

impl ConversationState {
    /// The same state as seen by the other user, who answers message `seq`: sender and recipient swap their roles.
    pub(crate) fn for_answer_to(self, seq: Seq) -> Self {
        Self {
            recipient_seq: seq,
            sender_rate: self.recipient_rate,
            recipient_rate: self.sender_rate,
            inbox_hour: self.inbox_hour,
        }
    }

    /// The state after one more message by the sender, received at `received_at` by the clock. `created_at` can be later,
    /// after a clock went back; a rate by it would stand still until the clock has caught up.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the sender has used up the limit in this conversation. The recipient's use of it does
    /// not count.
    pub(crate) fn with_message(
        self,
        created_at: Timestamp,
        received_at: Timestamp,
        limit: RateLimit,
    ) -> Result<Self, Error> {
        Ok(Self {
            sender_rate: limit.spend(self.sender_rate, received_at)?,
            inbox_hour: self.inbox_hour.max(InboxHour::containing(created_at)),
            ..self
        })
    }
}

/// An hour, counted from the Unix epoch. Inbox entries are sorted by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InboxHour(u32);

impl InboxHour {
    /// The hour of a conversation without messages, which is in no inbox.
    pub const NONE: InboxHour = InboxHour(0);

    /// The hour with this number.
    pub fn from_number(hours_since_epoch: u32) -> Self {
        Self(hours_since_epoch)
    }

    /// The hour that contains `time`.
    pub fn containing(time: Timestamp) -> Self {
        Self(u32::try_from(time.as_millis() / 3_600_000).unwrap_or(0))
    }

    /// Hours since the Unix epoch.
    pub fn number(self) -> u32 {
        self.0
    }
}
