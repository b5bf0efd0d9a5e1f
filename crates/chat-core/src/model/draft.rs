//! `Draft`: an entry without a sequence number.

use uuid::Uuid;

use crate::model::{
    change::Change,
    conversation::{ConversationId, GroupId, Recipient, Seq},
    entry::{ChangeEntry, ChangeKind, End, Entry, EntryHeader, GroupEntry, GroupKind},
    error::Error,
    group::{Group, MemberLimit},
    group_change::GroupChange,
    json::json_length,
    message::{ClientMessageId, Content, Mentions, Message, Reactions},
    rate_limit::RateLimits,
    state::ConversationState,
    time::Timestamp,
    user::UserId,
};

/// The maximum length of a message as JSON, in bytes. A page with one such message fits one WebSocket frame of 32 KB.
pub const MAX_MESSAGE_BYTES: usize = 24_000;

/// An entry that is to be stored. It gets its number, and its final `createdAt`, from the entry that it follows.
#[derive(Debug, Clone)]
pub struct Draft {
    message_id: Uuid,
    conversation_id: ConversationId,
    authorship: Authorship,
    recipient: Recipient,
    pub(super) kind: DraftKind,
}

/// What differs between the kinds of entries.
#[derive(Debug, Clone)]
pub(super) enum DraftKind {
    /// A message.
    Message { content: Content, reply_to: Option<Seq>, mentions: Mentions },
    /// A change of message `target`.
    Change { target: Seq, change: Change },
    /// The creation or a change of the group.
    Group { group_id: GroupId, change: GroupChange, limit: MemberLimit },
}

/// The sender and the time: what drafts of every kind begin with.
#[derive(Debug, Clone)]
pub struct Authorship {
    /// The caller.
    pub sender: UserId,
    /// Whether the request comes from a backend, which may change every group without being a member, and delete every
    /// message.
    pub is_backend: bool,
    /// When API Gateway received the request.
    pub received_at: Timestamp,
    /// The client's id for the entry.
    pub client_message_id: Option<ClientMessageId>,
}

impl Draft {
    /// A message with a new `messageId`. `reply_to` is checked when the end of the conversation is known.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the message has more than [`MAX_MESSAGE_BYTES`] as JSON. A text within the limit of
    /// [`Content`] can exceed it, because escapes are longer than what they stand for (`\u0001` has six bytes).
    pub fn message(
        authorship: Authorship,
        recipient: Recipient,
        content: Content,
        reply_to: Option<Seq>,
        mentions: Mentions,
    ) -> Result<Self, Error> {
        if reply_to == Some(Seq::NONE) {
            return Err(Error::bad_request("replyTo: the first entry is 1; name one that you hold"));
        }
        let draft = Self::new(authorship, recipient, DraftKind::Message { content, reply_to, mentions });
        // With the longest number, so that the limit does not depend on the number.
        match json_length(&draft.entry(Seq::MAX, draft.authorship.received_at)) {
            0..=MAX_MESSAGE_BYTES => Ok(draft),
            _ => Err(Error::TooLarge("the message has more than 24,000 bytes as JSON; send it in parts")),
        }
    }

    /// A change of message `target`.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if `target` is 0.
    pub fn change(authorship: Authorship, recipient: Recipient, target: Seq, change: Change) -> Result<Self, Error> {
        if target == Seq::NONE {
            return Err(Error::bad_request("seq: the first message is 1; send the seq of one that you hold"));
        }
        Ok(Self::new(authorship, recipient, DraftKind::Change { target, change }))
    }

    /// The creation of a group, or a change of its members or settings.
    ///
    /// # Errors
    /// Those of [`GroupChange::check`].
    pub fn group_change(
        authorship: Authorship,
        group_id: GroupId,
        change: GroupChange,
        limit: MemberLimit,
    ) -> Result<Self, Error> {
        change.check()?;
        Ok(Self::new(authorship, Recipient::Group(group_id), DraftKind::Group { group_id, change, limit }))
    }

    fn new(authorship: Authorship, recipient: Recipient, kind: DraftKind) -> Self {
        let conversation_id = ConversationId::of(&authorship.sender, &recipient);
        Self { message_id: Uuid::new_v4(), conversation_id, authorship, recipient, kind }
    }

    /// The entry that the draft becomes as entry `seq`.
    pub(super) fn entry(&self, seq: Seq, created_at: Timestamp) -> Entry {
        let (message_id, conversation_id) = (self.message_id, self.conversation_id.clone());
        let Authorship { sender: sender_id, client_message_id, .. } = self.authorship.clone();
        match &self.kind {
            DraftKind::Message { content, reply_to, mentions } => Entry::Message(Message {
                message_id,
                conversation_id,
                seq,
                sender_id,
                recipient: self.recipient.clone(),
                content: content.clone(),
                created_at,
                client_message_id,
                reply_to: *reply_to,
                mentions: mentions.clone(),
                version: None,
                edited_at: None,
                deleted: None,
                reactions: Reactions::default(),
            }),
            DraftKind::Change { target, .. } => Entry::Change(ChangeEntry {
                message_id,
                conversation_id,
                seq,
                kind: ChangeKind::Change,
                target: *target,
                sender_id,
                recipient: self.recipient.clone(),
                created_at,
                client_message_id,
            }),
            DraftKind::Group { group_id, change, .. } => Entry::Group(GroupEntry {
                message_id,
                conversation_id,
                group_id: *group_id,
                seq,
                kind: GroupKind::Group,
                sender_id,
                created_at,
                client_message_id,
                change: change.clone(),
            }),
        }
    }

    /// The conversation of sender and recipient.
    pub(crate) fn conversation(&self) -> &ConversationId {
        &self.conversation_id
    }

    /// As [`Message::sender_id`].
    pub fn sender(&self) -> &UserId {
        &self.authorship.sender
    }

    /// As [`Message::recipient`].
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The group that the draft goes to; none in a direct conversation.
    pub fn group(&self) -> Option<GroupId> {
        self.recipient.group()
    }

    /// Whether the draft creates its group.
    pub fn creates_group(&self) -> bool {
        matches!(&self.kind, DraftKind::Group { change, .. } if change.created)
    }

    /// Whether the draft may be stored in a group of which the sender is not a member.
    pub fn needs_no_membership(&self) -> bool {
        self.authorship.is_backend && self.is_for_moderators()
    }

    /// Whether this is something that moderators do: change the group, or delete a message.
    fn is_for_moderators(&self) -> bool {
        matches!(self.kind, DraftKind::Group { .. } | DraftKind::Change { change: Change::Delete, .. })
    }

    /// Whether the sender is a backend, or an admin or owner of the group.
    pub(super) fn is_by_moderator(&self, group: Option<&Group>) -> bool {
        self.authorship.is_backend || group.is_some_and(|group| group.is_led_by(self.sender()))
    }

    /// Whether the request comes from a backend.
    pub(super) fn is_by_backend(&self) -> bool {
        self.authorship.is_backend
    }

    /// The message that the draft changes.
    pub fn target(&self) -> Option<Seq> {
        match self.kind {
            DraftKind::Change { target, .. } => Some(target),
            DraftKind::Message { .. } | DraftKind::Group { .. } => None,
        }
    }

    pub(super) fn created_at_after(&self, newest: Option<&End>) -> Timestamp {
        let received_at = self.authorship.received_at;
        newest.map_or(received_at, |newest| newest.created_at.max(received_at))
    }

    /// Whether `stored` is this draft, stored by an attempt whose response was lost.
    pub fn is_own_attempt(&self, stored: &EntryHeader) -> bool {
        stored.message_id == self.message_id
    }

    /// Whether the client sent `stored` before and this draft is a repeat of it.
    pub fn is_duplicate_of(&self, stored: &EntryHeader) -> bool {
        self.has_client_message_id()
            && stored.client_message_id == self.authorship.client_message_id
            && stored.sender_id == self.authorship.sender
    }

    /// Whether [`Draft::is_duplicate_of`] can be true for any entry.
    pub fn has_client_message_id(&self) -> bool {
        self.authorship.client_message_id.is_some()
    }

    /// The state of the conversation if this draft follows `newest`, in `group`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the sender, or the group, has used up the limit in this conversation. Moderation ignores
    /// the limit of the group; otherwise a member who floods the group could not be removed.
    pub(super) fn state_after(
        &self,
        newest: Option<&End>,
        limits: RateLimits,
        group: Option<&Group>,
    ) -> Result<ConversationState, Error> {
        let is_group = self.group().is_some();
        let before = match newest {
            None => ConversationState::default(),
            Some(newest) if is_group || newest.sender_id.as_ref() == Some(self.sender()) => newest.state,
            Some(newest) => newest.state.for_answer_to(newest.seq),
        };
        let limit = if is_group { limits.per_group } else { limits.per_user };
        let is_moderation = is_group && self.is_for_moderators() && self.is_by_moderator(group);
        let spent = match before.spend(self.authorship.received_at, limit) {
            Err(_) if is_moderation => before,
            spent => spent?,
        };
        let created_at = self.created_at_after(newest);
        Ok(match self.kind {
            DraftKind::Message { .. } => spent.with_message(created_at),
            DraftKind::Change { .. } => spent.with_change(),
            DraftKind::Group { .. } => {
                spent.with_group_change(newest.map_or(Seq::NONE, |newest| newest.seq).next(), created_at)
            }
        })
    }
}
