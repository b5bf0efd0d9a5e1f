//! `Draft`: an entry without a sequence number.

use uuid::Uuid;

use crate::model::{
    change::Change,
    conversation::{ConversationId, Seq},
    entry::{ChangeEntry, ChangeKind, End, Entry, EntryHeader},
    error::Error,
    json::json_length,
    message::{ClientMessageId, Content, Mentions, Message, Reactions},
    rate_limit::RateLimit,
    state::ConversationState,
    time::Timestamp,
    user::UserId,
};

/// The maximum length of a message as JSON, in bytes. A page with one such message fits one WebSocket frame of 32 KB.
pub const MAX_MESSAGE_BYTES: usize = 24_000;

const NO_SUCH_MESSAGE: &str = "seq: the conversation has no such message; send the seq of one that you hold";

/// An entry that is to be stored. It gets its number, and its final `createdAt`, from the entry that it follows.
#[derive(Debug, Clone)]
pub struct Draft {
    /// With the longest number, so that the length of the entry does not depend on its number.
    entry: Entry,
    /// What the entry announces, if it is a [`ChangeEntry`].
    change: Option<Change>,
}

/// Who writes to whom, and when: what drafts of every kind begin with.
#[derive(Debug, Clone)]
pub struct Authorship {
    /// The caller.
    pub sender: UserId,
    /// The other user of the conversation, or the caller.
    pub recipient: UserId,
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
        content: Content,
        reply_to: Option<Seq>,
        mentions: Mentions,
    ) -> Result<Self, Error> {
        if reply_to == Some(Seq::NONE) {
            return Err(Error::bad_request("replyTo: the first entry is 1; name one that you hold"));
        }
        let message = Message {
            message_id: Uuid::new_v4(),
            conversation_id: ConversationId::between(&authorship.sender, &authorship.recipient),
            seq: Seq::MAX,
            sender_id: authorship.sender,
            recipient_id: authorship.recipient,
            content,
            created_at: authorship.received_at,
            client_message_id: authorship.client_message_id,
            reply_to,
            mentions,
            version: None,
            edited_at: None,
            deleted: None,
            reactions: Reactions::default(),
        };
        match json_length(&message) {
            0..=MAX_MESSAGE_BYTES => Ok(Self { entry: Entry::Message(message), change: None }),
            _ => Err(Error::TooLarge("the message has more than 24,000 bytes as JSON; send it in parts")),
        }
    }

    /// A change of message `target`.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if `target` is 0.
    pub fn change(authorship: Authorship, target: Seq, change: Change) -> Result<Self, Error> {
        if target == Seq::NONE {
            return Err(Error::bad_request("seq: the first message is 1; send the seq of one that you hold"));
        }
        let entry = Entry::Change(ChangeEntry {
            message_id: Uuid::new_v4(),
            conversation_id: ConversationId::between(&authorship.sender, &authorship.recipient),
            seq: Seq::MAX,
            kind: ChangeKind::Change,
            target,
            sender_id: authorship.sender,
            recipient_id: authorship.recipient,
            created_at: authorship.received_at,
            client_message_id: authorship.client_message_id,
        });
        Ok(Self { entry, change: Some(change) })
    }

    /// The conversation of sender and recipient.
    pub fn conversation(&self) -> &ConversationId {
        self.entry.conversation_id()
    }

    /// As [`Message::sender_id`].
    pub fn sender(&self) -> &UserId {
        self.entry.sender_id()
    }

    /// As [`Message::recipient_id`].
    pub fn recipient(&self) -> &UserId {
        self.entry.recipient_id()
    }

    /// The message that the draft changes.
    pub fn target(&self) -> Option<Seq> {
        self.entry.target()
    }

    /// The entry that follows `newest`, or the first of its conversation.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the draft replies to, or changes, an entry after `newest`.
    pub fn after(&self, newest: Option<&End>) -> Result<Entry, Error> {
        let end = newest.map_or(Seq::NONE, |newest| newest.seq);
        let (seq, created_at) = (end.next(), self.created_at_after(newest));
        match &self.entry {
            Entry::Message(message) if message.reply_to > Some(end) => {
                Err(Error::bad_request("replyTo: the conversation has no such entry; name one that you hold"))
            }
            Entry::Change(change) if change.target > end => Err(Error::bad_request(NO_SUCH_MESSAGE)),
            Entry::Message(message) => Ok(Entry::Message(Message { seq, created_at, ..message.clone() })),
            Entry::Change(change) => Ok(Entry::Change(ChangeEntry { seq, created_at, ..change.clone() })),
        }
    }

    /// The target as it is after the change that `entry` announces; none if the draft is a message.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the target is not a message, and those of [`Change::apply`].
    pub fn changed(&self, target: Option<Entry>, entry: &Entry) -> Result<Option<Message>, Error> {
        match (&self.change, entry, target) {
            (Some(change), Entry::Change(entry), Some(Entry::Message(message))) => {
                change.apply(message, entry).map(Some)
            }
            (Some(_), _, Some(Entry::Change(_))) => {
                Err(Error::bad_request("seq: this entry is a change; name the message, its target"))
            }
            (Some(_), _, _) => Err(Error::bad_request(NO_SUCH_MESSAGE)),
            (None, _, _) => Ok(None),
        }
    }

    fn created_at_after(&self, newest: Option<&End>) -> Timestamp {
        let received_at = *self.entry.created_at();
        newest.map_or(received_at, |newest| newest.created_at.max(received_at))
    }

    /// Whether `stored` is this draft, stored by an attempt whose response was lost.
    pub fn is_own_attempt(&self, stored: &EntryHeader) -> bool {
        stored.message_id == *self.entry.message_id()
    }

    /// Whether the client sent `stored` before and this draft is a repeat of it.
    pub fn is_duplicate_of(&self, stored: &EntryHeader) -> bool {
        self.has_client_message_id()
            && stored.client_message_id == *self.entry.client_message_id()
            && stored.sender_id == *self.entry.sender_id()
    }

    /// Whether [`Draft::is_duplicate_of`] can be true for any entry.
    pub fn has_client_message_id(&self) -> bool {
        self.entry.client_message_id().is_some()
    }

    /// The state of the conversation if this draft follows `newest`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the sender has used up the limit in this conversation.
    pub fn state_after(&self, newest: Option<&End>, limit: RateLimit) -> Result<ConversationState, Error> {
        let before = match newest {
            None => ConversationState::default(),
            Some(newest) if newest.sender_id == *self.sender() => newest.state,
            Some(newest) => newest.state.for_answer_to(newest.seq),
        };
        let spent = before.spend(*self.entry.created_at(), limit)?;
        Ok(match self.entry {
            Entry::Message(_) => spent.with_message(self.created_at_after(newest)),
            Entry::Change(_) => spent.with_change(),
        })
    }
}
