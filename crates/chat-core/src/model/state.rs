//! `ConversationState`: per-conversation state, carried on the newest entry. `ReadPosition`: how far a user has read.
//! `InboxHour`: the sort order of an inbox.

use serde::{Deserialize, Serialize};

use crate::model::{
    conversation::Seq,
    error::Error,
    rate_limit::{RateLimit, RateState},
    time::Timestamp,
};

/// The state of a conversation as of one entry, stored in that entry's item.
///
/// A sender reads the newest entry before it appends, and the conditional put lets exactly one entry follow it. So
/// the state derived from the newest entry is exact under any number of concurrent senders, and costs no call. A
/// part that is 0 may be absent from the item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConversationState {
    /// The newest entry by the recipient of this entry. The newest by its sender is this entry. 0 in a group.
    pub recipient_seq: Seq,
    /// The sender's use of the rate limit in this conversation. In a group, that of all members together.
    #[serde(rename = "senderAllowance")]
    pub sender_rate: RateState,
    /// The recipient's use of the rate limit in this conversation. Nothing in a group.
    #[serde(rename = "recipientAllowance")]
    pub recipient_rate: RateState,
    /// The hour under which the inboxes of all users list the conversation: that of the newest message, or change of the
    /// group. It never decreases, and the inbox entries are written before the entry.
    #[serde(rename = "listed")]
    pub inbox_hour: InboxHour,
    /// The count of entries up to this one that are not messages. All others are, so that items without this field count
    /// right.
    pub changes: u64,
    /// The same count as of `recipient_seq`.
    #[serde(rename = "theirChanges")]
    pub recipient_changes: u64,
    /// The count of entries after the newest message; 0 if this entry is a message.
    #[serde(rename = "trailing")]
    pub trailing_changes: u64,
    /// What only a group has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupState>,
}

/// The part of a conversation's state that only a group has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupState {
    /// The newest entry that changed the members or settings: the version of the group.
    pub version: Seq,
    /// The time of the newest entry that is a message or changed the group. Inboxes are sorted by it.
    pub listed_at: Timestamp,
}

impl ConversationState {
    /// The same state as seen by the other user, who answers entry `seq`: sender and recipient swap their roles.
    pub(crate) fn for_answer_to(self, seq: Seq) -> Self {
        Self {
            recipient_seq: seq,
            recipient_changes: self.changes,
            sender_rate: self.recipient_rate,
            recipient_rate: self.sender_rate,
            ..self
        }
    }

    /// The state after the sender has used the limit once more, at `received_at` by the clock. The entry's `createdAt` can be
    /// later, after a clock went back; a rate by it would stand still until the clock has caught up.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the sender has used up the limit in this conversation. The recipient's use of it does
    /// not count.
    pub(crate) fn spend(self, received_at: Timestamp, limit: RateLimit) -> Result<Self, Error> {
        Ok(Self { sender_rate: limit.spend(self.sender_rate, received_at)?, ..self })
    }

    /// The state after one more message by the sender.
    pub(crate) fn with_message(self, created_at: Timestamp) -> Self {
        Self {
            inbox_hour: self.inbox_hour.max(InboxHour::containing(created_at)),
            trailing_changes: 0,
            group: self.group.map(|group| GroupState { listed_at: created_at, ..group }),
            ..self
        }
    }

    /// The state after entry `seq`, which changes the group. The conversation moves up in the inboxes, because those who are
    /// added look for it there.
    pub(crate) fn with_group_change(self, seq: Seq, created_at: Timestamp) -> Self {
        let group = Some(GroupState { version: seq, listed_at: created_at });
        Self { inbox_hour: self.inbox_hour.max(InboxHour::containing(created_at)), group, ..self.with_change() }
    }

    /// The version of the group; 0 in a direct conversation.
    pub fn group_version(self) -> Seq {
        self.group.map_or(Seq::NONE, |group| group.version)
    }

    /// The state after one more change by the sender. The conversation stays where it is in the inboxes, because they show
    /// messages.
    pub(crate) fn with_change(self) -> Self {
        Self { changes: self.changes + 1, trailing_changes: self.trailing_changes + 1, ..self }
    }
}

/// How far a user has read a conversation. A later one is larger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadPosition {
    /// The last entry that the user has read.
    pub seq: Seq,
    /// The count of messages up to there.
    pub messages: u64,
}

impl ReadPosition {
    /// At entry `seq`, of which `changes` and the entries before it are no messages.
    pub fn at(seq: Seq, changes: u64) -> Self {
        Self { seq, messages: seq.since(Seq::NONE).saturating_sub(changes) }
    }

    /// The count of messages after `earlier`, up to this position.
    pub fn messages_since(self, earlier: Self) -> u64 {
        self.messages.saturating_sub(earlier.messages)
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
