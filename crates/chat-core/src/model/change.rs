//! `Change`: what a user does to a stored message, and who may do it.

use crate::model::{
    conversation::Seq,
    error::Error,
    json::json_length,
    message::{Content, Deletion, Mentions, Message, Reaction, Reactions},
    time::Timestamp,
    user::UserId,
};

/// The maximum length of a changed message as JSON, in bytes: a message and some reactions. A page with one such message
/// and the entry that announces its change fits one WebSocket frame of 32 KB.
pub const MAX_CHANGED_BYTES: usize = 26_500;

/// A change of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replaces the content.
    Edit {
        /// The new one.
        content: Content,
        /// For how long after it was sent a message may be edited.
        window: EditWindow,
    },
    /// Removes the content for good.
    Delete,
    /// Adds a reaction of the caller.
    React(Reaction),
    /// Removes a reaction of the caller.
    Unreact(Reaction),
}

/// How long after it was sent a message may be edited, in milliseconds; 0 forbids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EditWindow(i64);

impl EditWindow {
    /// The longest one in minutes: ten years.
    pub const MAX_MINUTES: u32 = 5_256_000;

    /// A window of this many minutes.
    pub fn from_minutes(minutes: u32) -> Self {
        Self(i64::from(minutes) * 60_000)
    }
}

/// Who changes a message, by which entry.
#[derive(Debug, Clone, Copy)]
pub struct ChangeAuthor<'a> {
    /// The sender of the entry.
    pub user: &'a UserId,
    /// Whether the user may delete messages of others: an admin or owner of the group, or a backend.
    pub is_moderator: bool,
    /// The number of the entry.
    pub seq: Seq,
    /// The time of the entry.
    pub created_at: Timestamp,
}

impl Change {
    /// The message after this change.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the author may not change the message like this, [`Error::BadRequest`] and
    /// [`Error::TooLarge`] if the message would exceed a limit.
    pub fn apply(&self, target: &Message, author: ChangeAuthor<'_>) -> Result<Message, Error> {
        let ChangeAuthor { user, is_moderator, seq, created_at } = author;
        let is_own = target.sender_id == *user;
        if target.deleted.is_some() {
            return Err(Error::Forbidden("the message is deleted; it can't be changed"));
        }
        let mut changed = Message { version: Some(seq), ..target.clone() };
        match self {
            Self::Edit { content, window } => {
                if !is_own {
                    return Err(Error::Forbidden("only the sender of a message may edit it"));
                }
                if *window == EditWindow(0) {
                    return Err(Error::Forbidden("messages can't be edited here"));
                }
                if created_at.millis_since(changed.created_at) > window.0 {
                    return Err(Error::Forbidden("the message is too old to be edited; send a new one"));
                }
                changed.content = content.clone();
                changed.edited_at = Some(created_at);
            }
            Self::Delete => {
                if !is_own && !is_moderator {
                    return Err(Error::Forbidden(
                        "only the sender of a message, or an admin of the group, may delete it",
                    ));
                }
                changed.content = Content::of_deleted();
                changed.deleted = Some(Deletion { at: created_at, by: user.clone() });
                changed.edited_at = None;
                changed.reply_to = None;
                changed.mentions = Mentions::default();
                changed.reactions = Reactions::default();
            }
            Self::React(reaction) => changed.reactions.add(reaction, user)?,
            Self::Unreact(reaction) => changed.reactions.remove(reaction, user),
        }
        match json_length(&changed) {
            0..=MAX_CHANGED_BYTES => Ok(changed),
            _ => Err(Error::TooLarge("the message would have more than 26,500 bytes as JSON; shorten it")),
        }
    }
}
