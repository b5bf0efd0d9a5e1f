//! `Entry`: what a conversation consists of, and its parts that decide what may follow: `EntryHeader`, `End`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{
    conversation::{ConversationId, GroupId, Recipient, Seq},
    group_change::GroupChange,
    message::{ClientMessageId, Message},
    state::{ConversationState, ReadPosition},
    time::Timestamp,
    user::UserId,
};

/// An entry of a conversation. Entries share one sequence of numbers, whatever their kind, so order, exactly-once and
/// catch-up are the same for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// A message; it has no field `kind`.
    Message(Message),
    /// A message is different now.
    Change(ChangeEntry),
    /// The members or settings of the group are different now.
    Group(GroupEntry),
}

/// The announcement that a message has changed. It holds no text, so a deletion leaves no copy of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the other fields are those of `Message`")]
pub struct ChangeEntry {
    pub message_id: Uuid,
    pub conversation_id: ConversationId,
    pub seq: Seq,
    /// Tells the entry from a message.
    pub kind: ChangeKind,
    /// The message that has changed.
    pub target: Seq,
    /// The user who changed the message.
    pub sender_id: UserId,
    #[serde(flatten)]
    pub recipient: Recipient,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<ClientMessageId>,
}

/// The `kind` of a [`ChangeEntry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// `change`
    Change,
}

/// The announcement that the members or settings of a group have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the other fields are those of `Message`")]
pub struct GroupEntry {
    pub message_id: Uuid,
    pub conversation_id: ConversationId,
    pub group_id: GroupId,
    pub seq: Seq,
    /// Tells the entry from a message.
    pub kind: GroupKind,
    /// The user who changed the group. A backend can change it as a user who is not a member.
    pub sender_id: UserId,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<ClientMessageId>,
    /// What has changed.
    #[serde(flatten)]
    pub change: GroupChange,
}

/// The `kind` of a [`GroupEntry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupKind {
    /// `group`
    Group,
}

/// Reads a field that every kind of entry has.
macro_rules! of_each_kind {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        impl Entry {
            $($(#[$doc])* pub fn $field(&self) -> &$type {
                match self {
                    Self::Message(message) => &message.$field,
                    Self::Change(change) => &change.$field,
                    Self::Group(group) => &group.$field,
                }
            })*
        }
    };
}

of_each_kind! {
    /// As [`Message::message_id`].
    message_id: Uuid,
    /// As [`Message::conversation_id`].
    conversation_id: ConversationId,
    /// As [`Message::seq`].
    seq: Seq,
    /// As [`Message::sender_id`].
    sender_id: UserId,
    /// As [`Message::created_at`].
    created_at: Timestamp,
    /// As [`Message::client_message_id`].
    client_message_id: Option<ClientMessageId>,
}

impl Entry {
    /// As [`Message::recipient`].
    pub fn recipient(&self) -> Recipient {
        match self {
            Self::Message(message) => message.recipient.clone(),
            Self::Change(change) => change.recipient.clone(),
            Self::Group(group) => Recipient::Group(group.group_id),
        }
    }

    /// The group of the entry; none in a direct conversation.
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::Message(message) => message.recipient.group(),
            Self::Change(change) => change.recipient.group(),
            Self::Group(group) => Some(group.group_id),
        }
    }

    /// The message; none if this is another entry.
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Change(_) | Self::Group(_) => None,
        }
    }

    /// The message that the entry is about; none unless it is a change of one.
    pub fn target(&self) -> Option<Seq> {
        match self {
            Self::Message(_) | Self::Group(_) => None,
            Self::Change(change) => Some(change.target),
        }
    }

    /// As [`Message::version`]; none for another entry, which never changes.
    pub fn version(&self) -> Option<Seq> {
        match self {
            Self::Message(message) => message.version,
            Self::Change(_) | Self::Group(_) => None,
        }
    }
}

/// A stored entry, with the state of its conversation as of this entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Without the state.
    pub entry: Entry,
    /// The state of the conversation as of this entry.
    pub state: ConversationState,
}

impl StoredEntry {
    /// What the next entry depends on.
    pub fn header(&self) -> EntryHeader {
        let Self { entry, state } = self;
        EntryHeader {
            message_id: *entry.message_id(),
            seq: *entry.seq(),
            sender_id: entry.sender_id().clone(),
            client_message_id: entry.client_message_id().clone(),
            created_at: *entry.created_at(),
            state: *state,
        }
    }
}

/// A stored entry of any kind, without what it says: enough to recognise it and to derive the next state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryHeader {
    /// As [`Message::message_id`].
    pub message_id: Uuid,
    /// As [`Message::seq`].
    pub seq: Seq,
    /// As [`Message::sender_id`].
    pub sender_id: UserId,
    /// As [`Message::client_message_id`].
    pub client_message_id: Option<ClientMessageId>,
    /// As [`Message::created_at`].
    pub created_at: Timestamp,
    /// The state of the conversation as of this entry.
    #[serde(rename = "tally")]
    pub state: ConversationState,
}

/// What the next entry of a conversation depends on: its newest entry, and the state as of that entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// As [`Message::seq`].
    pub seq: Seq,
    /// As [`Message::sender_id`]. In a group, nothing depends on it, and a position does not hold it.
    pub sender_id: Option<UserId>,
    /// As [`Message::created_at`].
    pub created_at: Timestamp,
    /// The state of the conversation as of this entry.
    pub state: ConversationState,
}

impl From<EntryHeader> for End {
    fn from(EntryHeader { seq, sender_id, created_at, state, .. }: EntryHeader) -> Self {
        Self { seq, sender_id: Some(sender_id), created_at, state }
    }
}

impl End {
    /// The newest entry that is a message; 0 if there is none.
    pub fn newest_message(&self) -> Seq {
        self.seq.before(self.state.trailing_changes)
    }

    /// The read position of a user who has read everything.
    pub fn read_position(&self) -> ReadPosition {
        ReadPosition::at(self.seq, self.state.changes)
    }

    /// The read position at entry `seq`, if it follows from this end: it counts messages, and only for some entries the
    /// end knows how many messages precede them.
    pub fn read_position_at(&self, seq: Seq) -> Option<ReadPosition> {
        let is_known = self.state.changes == 0 || self.newest_message() <= seq;
        // Between the newest message and the end, no entry is a message.
        let changes = self.state.changes.saturating_sub(self.seq.since(seq).min(self.state.trailing_changes));
        (is_known && seq <= self.seq).then(|| ReadPosition::at(seq, changes))
    }

    /// How far `user` has read a direct conversation: up to the later of `position`, their stored read position, and the
    /// newest entry that they wrote; never past this end.
    pub fn read_by(&self, user: &UserId, position: ReadPosition) -> ReadPosition {
        let own = match self.sender_id.as_ref() == Some(user) {
            true => self.read_position(),
            false => ReadPosition::at(self.state.recipient_seq, self.state.recipient_changes),
        };
        position.max(own).min(self.read_position())
    }
}
