//! The frames that a client sends, one type per action.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Unexpected, Visitor},
    ser::SerializeMap,
};

use crate::{
    model::{
        conversation::{GroupId, Recipient, Seq},
        error::Error,
        group::{GroupName, History, Right, Role},
        group_change::GroupChange,
        message::{ClientMessageId, Mentions, Reaction},
        state::InboxHour,
        time::Timestamp,
        user::UserId,
    },
    protocol::position::Position,
};

/// `sendMessage`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct SendMessage {
    /// The other user of the conversation, or the caller. Excludes `group_id`.
    pub recipient_id: Option<UserId>,
    /// The group.
    pub group_id: Option<GroupId>,
    /// Not validated; [`Content::new`](crate::model::message::Content::new) does that.
    pub content: String,
    /// The same in every repeat, so that the message is stored once.
    pub client_message_id: Option<ClientMessageId>,
    /// The newest entry of the conversation that the client holds; 0 if it holds none. Excludes `position`.
    pub last_seq: Option<Seq>,
    /// The position that came with the newest entry of the conversation that the client holds.
    pub position: Option<Position>,
    /// The entry that the message replies to.
    pub reply_to: Option<Seq>,
    /// The users that the message mentions.
    pub mentions: Option<Mentions>,
}

/// What `editMessage`, `deleteMessage` and `react` have in common. The fields that it shares with [`SendMessage`] mean the
/// same.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
#[allow(missing_docs, reason = "the other fields are those of `SendMessage`")]
pub struct ChangeMessage {
    /// One of the three.
    pub action: String,
    /// The other user of the conversation, or the caller. Excludes `group_id`.
    pub target_id: Option<UserId>,
    /// The group.
    pub group_id: Option<GroupId>,
    /// The message to change.
    pub seq: Seq,
    pub client_message_id: Option<ClientMessageId>,
    pub last_seq: Option<Seq>,
    pub position: Option<Position>,
}

/// What only `editMessage` has.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a JSON object")]
pub struct EditMessage {
    /// The new content, not validated.
    pub content: String,
}

/// What only `react` has.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a JSON object")]
pub struct React {
    /// The reaction of the caller.
    pub reaction: Reaction,
    /// Whether it is there from now on.
    pub on: bool,
}

/// `createGroup`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct CreateGroup {
    /// The name that members see.
    pub name: GroupName,
    /// The first members besides the caller.
    #[serde(default)]
    pub members: Vec<UserId>,
    /// Where the entries begin that new members may read; by default with the first.
    pub history: Option<History>,
    /// Who may send messages; by default every member.
    pub posting: Option<Right>,
    /// Who may add members; by default admins and owners.
    pub adding: Option<Right>,
    /// The same in every repeat, so that one group is created.
    pub client_message_id: Option<ClientMessageId>,
    /// The owner, if a backend creates the group for another user. Ignored in the frame of a client.
    pub owner: Option<UserId>,
}

impl CreateGroup {
    /// The first entry of the group. With an `owner`, the sender of the entry is not a member.
    pub fn change(self, owner: Option<UserId>) -> GroupChange {
        GroupChange {
            created: true,
            name: Some(self.name),
            history: Some(self.history.unwrap_or(History::All)),
            posting: Some(self.posting.unwrap_or(Right::All)),
            adding: Some(self.adding.unwrap_or(Right::Admins)),
            added: self.members,
            roles: owner.into_iter().map(|owner| (owner, Role::Owner)).collect(),
            ..GroupChange::default()
        }
    }
}

/// `changeGroup`. What is absent stays as it is. The fields that it shares with [`SendMessage`] mean the same.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
#[allow(missing_docs, reason = "the other fields are those of `SendMessage` and `CreateGroup`")]
pub struct ChangeGroup {
    pub group_id: GroupId,
    /// Users who become members.
    #[serde(default)]
    pub add: Vec<UserId>,
    /// Members who leave the group, or are removed from it.
    #[serde(default)]
    pub remove: Vec<UserId>,
    /// Members, each with a new role.
    #[serde(default)]
    pub roles: BTreeMap<UserId, Role>,
    pub name: Option<GroupName>,
    pub posting: Option<Right>,
    pub adding: Option<Right>,
    pub client_message_id: Option<ClientMessageId>,
    pub last_seq: Option<Seq>,
    pub position: Option<Position>,
}

impl ChangeGroup {
    /// What the entry changes.
    pub fn change(self) -> GroupChange {
        GroupChange {
            name: self.name,
            posting: self.posting,
            adding: self.adding,
            added: self.add,
            removed: self.remove,
            roles: self.roles,
            ..GroupChange::default()
        }
    }
}

/// `getGroup`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct GetGroup {
    /// The group.
    pub group_id: GroupId,
    /// Whether the reply shows how far each member has read.
    #[serde(default)]
    pub read_positions: bool,
    /// Continues an earlier page: its last member.
    pub start_key: Option<UserId>,
}

/// The recipient that a frame names: the user of `field`, or a group.
///
/// # Errors
/// [`Error::BadRequest`] if it names both or neither.
pub fn recipient(field: &'static str, user: Option<UserId>, group: Option<GroupId>) -> Result<Recipient, Error> {
    match (user, group) {
        (Some(user), None) => Ok(Recipient::User(user)),
        (None, Some(group)) => Ok(Recipient::Group(group)),
        (None, None) => {
            Err(Error::bad_request(format!("missing field `{field}`; name the other user, or a group with `groupId`")))
        }
        (Some(_), Some(_)) => Err(Error::bad_request(format!("give {field} or groupId, not both"))),
    }
}

/// How far a client holds a conversation: every entry up to there.
#[derive(Debug)]
pub enum KnownEnd {
    /// The client does not say.
    Unknown,
    /// Up to this entry; 0 is none.
    LastSeq(Seq),
    /// Up to the entry that this position came with.
    Position(Position),
}

impl KnownEnd {
    /// # Errors
    /// [`Error::BadRequest`] if the client gives both.
    pub fn new(last_seq: Option<Seq>, position: Option<Position>) -> Result<Self, Error> {
        match (last_seq, position) {
            (None, None) => Ok(Self::Unknown),
            (Some(seq), None) => Ok(Self::LastSeq(seq)),
            (None, Some(position)) => Ok(Self::Position(position)),
            (Some(_), Some(_)) => Err(Error::bad_request("give lastSeq or position, not both")),
        }
    }
}

/// `getMessages`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct GetMessages {
    /// The other user of the conversation. Excludes `group_id`.
    pub target_id: Option<UserId>,
    /// The group.
    pub group_id: Option<GroupId>,
    /// Maximum number of entries.
    pub limit: Option<Limit>,
    /// Continues an earlier page; excludes `after`.
    pub start_key: Option<Cursor>,
    /// The newest entry that the client holds, 0 if it holds none: the page holds newer ones.
    pub after: Option<Seq>,
}

/// `getConversations`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct GetConversations {
    /// Maximum number of conversations.
    pub limit: Option<Limit>,
    /// Continues an earlier page.
    pub start_key: Option<InboxCursor>,
}

/// `markRead`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct MarkRead {
    /// The other user of the conversation. Excludes `group_id`.
    pub target_id: Option<UserId>,
    /// The group.
    pub group_id: Option<GroupId>,
    /// The newest entry that the caller has read.
    pub seq: Seq,
    /// A position that came with this entry or a later one.
    pub position: Option<Position>,
}

/// `typing`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct StartTyping {
    /// The other user of the conversation. Excludes `group_id`.
    pub target_id: Option<UserId>,
    /// The group.
    pub group_id: Option<GroupId>,
}

/// `getPresence`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
pub struct GetPresence {
    /// The users that the caller asks about: users that the caller has a direct conversation with, or members of the group.
    pub user_ids: Option<UserIds>,
    /// The group whose members the caller asks about; all of them, if there are no `user_ids`.
    pub group_id: Option<GroupId>,
}

/// 1 to 20 users.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<UserId>")]
pub struct UserIds(Vec<UserId>);

impl TryFrom<Vec<UserId>> for UserIds {
    type Error = InvalidUserIds;

    fn try_from(users: Vec<UserId>) -> Result<Self, InvalidUserIds> {
        match users.len() {
            1..=20 => Ok(Self(users)),
            _ => Err(InvalidUserIds),
        }
    }
}

impl IntoIterator for UserIds {
    type Item = UserId;
    type IntoIter = std::vec::IntoIter<UserId>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The list is empty or too long.
#[derive(Debug, thiserror::Error)]
#[error("name 1 to 20 users in one frame")]
pub struct InvalidUserIds;

/// Maximum number of entries on a page: 1 to 100, by default 50. A larger number counts as 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u8);

impl Limit {
    const MAX: u8 = 100;

    /// A number from 1 to 100.
    pub fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;

        impl Visitor<'_> for LimitVisitor {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 1 to 100")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Limit, E> {
                match u8::try_from(number).unwrap_or(Limit::MAX).min(Limit::MAX) {
                    0 => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                    limit => Ok(Limit(limit)),
                }
            }
        }

        deserializer.deserialize_u64(LimitVisitor)
    }
}

/// The last entry of a page, from which the next page continues. Clients treat it as opaque.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the unchanged lastEvaluatedKey of a page")]
pub struct Cursor {
    /// The conversation of the page. The cursor is refused for any other. A plain string, because a client can send any text.
    pub conversation_id: String,
    /// The last entry of the page.
    pub seq: Seq,
    /// Whether the page was read towards newer entries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newer: bool,
}

/// A place in an inbox, from which the next page continues: that of the last conversation of a page. Clients treat it as
/// opaque. It names no owner: it is always a place in the caller's own inbox.
///
/// A smaller place comes later in the inbox. Without a time it comes after all places of its hour that have one: if an hour
/// got too many conversations to be sorted after a page was returned, the next page begins that hour again, and none is
/// missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the unchanged lastEvaluatedKey of a page")]
pub struct InboxCursor {
    /// The hour under which inboxes list the conversation.
    #[serde(rename = "listed")]
    pub hour: InboxHour,
    /// The time by which inboxes are sorted; absent if the hour has too many conversations to be sorted.
    #[serde(rename = "createdAt", skip_serializing_if = "Option::is_none")]
    pub listed_at: Option<Timestamp>,
    /// The conversation: `peerId` or `groupId`.
    #[serde(flatten, serialize_with = "serialize_peer")]
    pub recipient: Recipient,
}

/// As [`Recipient`] does, with `peerId` in place of `recipientId`.
pub(super) fn serialize_peer<S: Serializer>(recipient: &Recipient, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    match recipient {
        Recipient::User(user) => map.serialize_entry("peerId", user)?,
        Recipient::Group(group) => map.serialize_entry("groupId", group)?,
    }
    map.end()
}
