//! `Group`: the members and settings of a group as of one entry. `Member`, `Role`, `GroupName` and the settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    conversation::{GroupId, Seq},
    time::Timestamp,
    user::UserId,
};

/// A group as of the entry `version`, which is the newest one that changed its members or settings.
///
/// The state of the conversation names that entry. So a group that was read before is exact while the newest entry names its
/// version, because the conditional put of the next entry proves that nothing came in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The group's id.
    pub id: GroupId,
    /// What members see and may do.
    pub settings: Settings,
    /// When the group was created.
    pub created_at: Timestamp,
    /// The newest entry that changed the members or the settings.
    pub version: Seq,
    /// Those who are members.
    pub members: BTreeMap<UserId, Member>,
    /// Those who were members, each with the entry that removed them.
    pub departed: BTreeMap<UserId, Seq>,
}

/// What members see and may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The name that members see.
    pub name: GroupName,
    /// Where the entries begin that a new member may read.
    pub history: History,
    /// Who may send messages.
    pub posting: Right,
    /// Who may add members.
    pub adding: Right,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// What the member may do.
    pub role: Role,
    /// The entry that added the member. It is the first one that is pushed to them.
    pub at: Seq,
    /// The first entry that the member may read.
    pub readable_from: Seq,
    /// The entry that last changed any of this.
    pub since: Seq,
    /// The count of messages up to `at`, which do not count as unread.
    pub messages: u64,
}

/// What a member may do, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Sends and reads.
    Member,
    /// Adds users, removes members, and deletes messages of others, too.
    Admin,
    /// Does everything. A group has at least one.
    Owner,
}

/// Where the entries begin that a new member may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum History {
    /// With the group's first entry.
    All,
    /// With the entry that adds the member.
    Joined,
}

/// Who may do something in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Right {
    /// Every member.
    All,
    /// Admins and owners.
    Admins,
}

impl Right {
    /// Whether a member with this role has the right.
    pub fn includes(self, role: Role) -> bool {
        self == Self::All || role >= Role::Admin
    }
}

/// The name of a group: 1 to 256 bytes of UTF-8, not only white space, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct GroupName(String);

impl TryFrom<String> for GroupName {
    type Error = InvalidGroupName;

    fn try_from(name: String) -> Result<Self, InvalidGroupName> {
        if !(1..=256).contains(&name.len()) || name.trim().is_empty() {
            Err(InvalidGroupName::Length)
        } else if name.chars().any(char::is_control) {
            Err(InvalidGroupName::ControlCharacter)
        } else {
            Ok(Self(name))
        }
    }
}

/// Why a text is not the name of a group.
#[derive(Debug, thiserror::Error)]
pub enum InvalidGroupName {
    /// Empty, only white space, or too long.
    #[error("a group's name has 1 to 256 bytes of UTF-8, and not only white space")]
    Length,
    /// A line break, a NUL or another control character.
    #[error("a group's name has no control characters")]
    ControlCharacter,
}

/// The maximum number of members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberLimit(u32);

impl MemberLimit {
    /// The largest limit.
    pub const MAX: u32 = 250;
    /// The maximum number of users who are or were members, because a list of members is read with those who left.
    pub const EVER: usize = 1_000;

    /// A limit of `most` members.
    ///
    /// # Panics
    /// If `most` is below 2 or above [`MemberLimit::MAX`]. The configuration has refused such values before.
    pub fn new(most: u32) -> Self {
        assert!((2..=Self::MAX).contains(&most), "a limit of {most} members");
        Self(most)
    }

    /// The number.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

impl Group {
    /// The role of `user`; none if they are not a member.
    pub fn role(&self, user: &UserId) -> Option<Role> {
        self.members.get(user).map(|member| member.role)
    }

    /// Whether `user` is an admin or an owner.
    pub fn is_led_by(&self, user: &UserId) -> bool {
        self.role(user) >= Some(Role::Admin)
    }
}
