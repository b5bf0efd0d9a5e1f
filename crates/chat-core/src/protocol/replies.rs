//! `Reply`: the result of a route, which is the content of the frame that answers the caller.

use serde::Serialize;
use uuid::Uuid;

use crate::{
    model::{
        conversation::{ConversationId, GroupId, Recipient, Seq},
        entry::Entry,
        group::{GroupName, Role, Settings},
        message::{ClientMessageId, Message},
        time::Timestamp,
        user::UserId,
    },
    protocol::{
        position::Position,
        requests::{Cursor, InboxCursor, serialize_peer},
    },
};

/// The maximum length of a page's entries and changed messages as JSON, in bytes: enough for the longest changed message
/// (26,500) and the entry that announces it (1,650). With the rest of the frame (two ids of at most 530 bytes each, and a
/// `ref`) it stays below 30,000: one WebSocket frame, and one billing unit of 32 KB.
pub const PAGE_BYTES: usize = 28_200;

/// The result of a route. Each variant that carries a value is the frame type of that name.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// No frame: the client of `$disconnect` is gone, and `typing` has no reply.
    Nothing,
    /// The upgrade is accepted, with this subprotocol if the client offered any.
    Connected(Option<&'static str>),
    /// `pong`
    Pong,
    /// `sent`
    Sent(Sent),
    /// `messages`
    Messages(Page),
    /// `conversations`
    Conversations(InboxPage),
    /// `read`
    Read(ReadReceipt),
    /// `group`
    Group(GroupPage),
    /// `presence`
    Presence(PresenceList),
    /// `disconnected`
    Disconnected(Disconnected),
}

/// `sent`: the entry is stored. The fields are those of [`Message`].
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields of `Message`")]
pub struct Sent {
    pub message_id: Uuid,
    pub conversation_id: ConversationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    pub seq: Seq,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<ClientMessageId>,
    /// Whether an earlier request of the client had stored it.
    pub duplicate: bool,
    /// The position of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The message that the entry is about, as it is now, if the entry is a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Box<Message>>,
}

impl Sent {
    /// The reply for an entry that is stored.
    pub fn new(entry: &Entry, duplicate: bool, position: Option<Position>, changed: Option<Message>) -> Self {
        Self {
            message_id: *entry.message_id(),
            conversation_id: entry.conversation_id().clone(),
            group_id: entry.group(),
            seq: *entry.seq(),
            created_at: *entry.created_at(),
            client_message_id: entry.client_message_id().clone(),
            duplicate,
            position,
            changed: changed.map(Box::new),
        }
    }
}

/// `messages`: one page of a conversation.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The conversation that the request names.
    pub conversation_id: ConversationId,
    /// The group that the request names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    /// The first entry that the caller may read, if it is not the conversation's first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<Seq>,
    /// Entries of every kind: newest first; oldest first if the request has `after`. With `changed` at most [`PAGE_BYTES`]
    /// as JSON.
    pub messages: Vec<Entry>,
    /// If the request has `after`: the messages that the page's changes are about and that are not on the page, as they are
    /// now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Message>,
    /// Present if and only if more entries follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluated_key: Option<Cursor>,
    /// The position of the newest entry on the page, if it is the newest of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// `conversations`: one page of an inbox.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxPage {
    /// Sorted by the newest message or change of the group, newest first. At most [`PAGE_BYTES`] as JSON.
    pub conversations: Vec<ConversationSummary>,
    /// Present if and only if more conversations follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluated_key: Option<InboxCursor>,
}

/// A conversation as the caller sees it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationSummary {
    /// The conversation's id.
    pub conversation_id: ConversationId,
    /// What differs between direct conversations and groups.
    #[serde(flatten)]
    pub kind: SummaryKind,
    /// The newest message that the caller may read. A direct conversation has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<Message>,
    /// The number of the newest entry that the caller may read.
    pub seq: Seq,
    /// How far the caller has read: the entry that they marked or wrote last, or that added them to the group.
    pub read_seq: Seq,
    /// The count of messages after `read_seq`.
    pub unread: u64,
}

/// What differs between the summaries of direct conversations and of groups.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum SummaryKind {
    /// A direct conversation.
    Direct {
        /// The other user, or the caller.
        peer_id: UserId,
        /// How far the peer has read.
        peer_read_seq: Seq,
    },
    /// A group. If the caller has left it, all of this is as of the entry that removed them.
    Group {
        /// The group.
        group_id: GroupId,
        /// The name that members see.
        name: GroupName,
        /// The count of members.
        members: usize,
        /// The time that the inbox is sorted by: of the newest entry that is a message or changed the group.
        listed_at: Timestamp,
        /// Whether the caller is not a member any more.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        left: bool,
    },
}

impl ConversationSummary {
    /// The user or the group that entries of the conversation are sent to.
    pub fn recipient(&self) -> Recipient {
        match &self.kind {
            SummaryKind::Direct { peer_id, .. } => Recipient::User(peer_id.clone()),
            SummaryKind::Group { group_id, .. } => Recipient::Group(*group_id),
        }
    }
}

/// `group`: the settings of a group, and one page of its members.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupPage {
    /// The conversation of the group.
    pub conversation_id: ConversationId,
    /// The group.
    pub group_id: GroupId,
    /// Name, history, posting and adding.
    #[serde(flatten)]
    pub settings: Settings,
    /// When the group was created.
    pub created_at: Timestamp,
    /// The newest entry that changed the group. All of this is as of that entry.
    pub seq: Seq,
    /// The count of members.
    pub count: usize,
    /// The caller's membership; none for a backend that acts as a user who is not a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub you: Option<OwnMembership>,
    /// Sorted by user id. At most [`PAGE_BYTES`] as JSON.
    pub members: Vec<GroupMember>,
    /// The last member of the page; present if and only if more follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluated_key: Option<UserId>,
}

/// The caller's membership in a group.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct OwnMembership {
    /// What the caller may do.
    pub role: Role,
    /// The first entry that the caller may read.
    #[serde(rename = "seen")]
    pub readable_from: Seq,
}

/// A member, as other members see them.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMember {
    /// The member.
    pub user_id: UserId,
    /// What the member may do.
    pub role: Role,
    /// The entry that added the member.
    pub at: Seq,
    /// How far the member has read, if the request asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_seq: Option<Seq>,
}

/// `typing`: a user is typing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Typing {
    /// The conversation of `user_id` and the receiver of the frame.
    pub conversation_id: ConversationId,
    /// The group, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    /// The user who is typing.
    pub user_id: UserId,
}

/// `presence`: who is online.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PresenceList {
    /// Sorted by user id.
    pub users: Vec<Presence>,
}

/// Whether a user is online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// The user.
    pub user_id: UserId,
    /// Whether the user has an open connection.
    pub online: bool,
    /// When the last connection ended; none if the user is online, or has not been connected for 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
}

/// `disconnected`: connections of a user were closed.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disconnected {
    /// The user.
    pub user_id: UserId,
    /// The count of connections that were closed.
    pub connections: usize,
}

/// `read`: a user has read a conversation up to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadReceipt {
    /// The conversation of `user_id` and the receiver of the frame.
    pub conversation_id: ConversationId,
    /// The user who has read.
    pub user_id: UserId,
    /// `peerId`, the other user of the conversation, so that a receiver need not know the conversation's id; or `groupId`.
    #[serde(flatten, serialize_with = "serialize_peer")]
    pub recipient: Recipient,
    /// The newest entry that the user has read.
    pub seq: Seq,
}
