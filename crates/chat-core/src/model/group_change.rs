//! `GroupChange`: what an entry changes in a group, and who may change it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{
    conversation::{GroupId, Seq},
    error::Error,
    group::{Group, GroupName, History, Member, MemberLimit, Right, Role, Settings},
    time::Timestamp,
    user::UserId,
};

/// The maximum number of users that one entry adds, removes or gives a role: with the group and an inbox entry of each, they
/// fit the 100 items of a transaction.
pub const MAX_USERS_OF_CHANGE: usize = 48;

/// What an entry changes in a group. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChange {
    /// Whether the entry creates the group. Its sender is the owner then, unless `roles` names another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<GroupName>,
    /// Where the entries begin that new members may read. Only the entry that creates the group has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Who may send messages from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posting: Option<Right>,
    /// Who may add members from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adding: Option<Right>,
    /// Those who become members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<UserId>,
    /// Those who are members no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<UserId>,
    /// Members, each with a new role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<UserId, Role>,
}

/// Who changes a group, by which entry.
#[derive(Debug, Clone, Copy)]
pub struct GroupAuthor<'a> {
    /// The sender of the entry.
    pub user: &'a UserId,
    /// Whether the request comes from a backend, which may change a group without being a member.
    pub is_backend: bool,
    /// The number of the entry.
    pub seq: Seq,
    /// The time of the entry.
    pub created_at: Timestamp,
    /// The count of messages before the entry.
    pub messages: u64,
}

impl GroupChange {
    /// Checks what does not depend on the group.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the change is empty, or names a user twice or too many users.
    pub fn check(&self) -> Result<(), Error> {
        if *self == Self::default() {
            return Err(Error::bad_request(
                "nothing to change: give add, remove, roles, name, posting or adding, with at least one user",
            ));
        }
        let users: Vec<_> = self.users().collect();
        if users.len() > MAX_USERS_OF_CHANGE {
            return Err(Error::bad_request("a frame names at most 48 users; send several"));
        }
        match users.iter().collect::<BTreeSet<_>>().len() == users.len() {
            true => Ok(()),
            false => Err(Error::bad_request("a user is named twice; name each user once in the frame")),
        }
    }

    /// The users that the change is about.
    fn users(&self) -> impl Iterator<Item = &UserId> {
        self.added.iter().chain(&self.removed).chain(self.roles.keys())
    }

    /// The new group `id`.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the creator is among the members, or there are too many. [`Error::Internal`] if a
    /// setting is missing.
    pub fn create(&self, id: GroupId, author: GroupAuthor<'_>, limit: MemberLimit) -> Result<Group, Error> {
        if self.added.contains(author.user) && self.roles.is_empty() {
            return Err(Error::bad_request("members: the creator is always a member; leave yourself out"));
        }
        let (Some(name), Some(history), Some(posting), Some(adding)) =
            (self.name.clone(), self.history, self.posting, self.adding)
        else {
            return Err(Error::Internal("the entry that creates a group lacks a setting".into()));
        };
        let settings = Settings { name, history, posting, adding };
        let creator = [(author.user, Role::Owner)].into_iter().filter(|_| self.roles.is_empty());
        let others = self.added.iter().map(|user| (user, Role::Member));
        let owners = self.roles.iter().map(|(user, role)| (user, *role));
        let members: BTreeMap<_, _> = creator
            .chain(others)
            .chain(owners)
            .map(|(user, role)| (user.clone(), new_member(&settings, role, author)))
            .collect();
        check_size(members.len(), 0, limit)?;
        let created_at = author.created_at;
        Ok(Group { id, settings, created_at, version: author.seq, members, departed: BTreeMap::new() })
    }

    /// The group after this change.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the author may not make it, [`Error::BadRequest`] if it adds a member, removes or gives a role
    /// to another user, or exceeds a limit.
    pub fn apply(&self, before: &Group, author: GroupAuthor<'_>, limit: MemberLimit) -> Result<Group, Error> {
        self.check_rights(before, author)?;
        let mut group = Group { version: author.seq, ..before.clone() };
        let settings = &mut group.settings;
        settings.name = self.name.clone().unwrap_or_else(|| settings.name.clone());
        settings.posting = self.posting.unwrap_or(settings.posting);
        settings.adding = self.adding.unwrap_or(settings.adding);
        for user in &self.added {
            if group.members.insert(user.clone(), new_member(&group.settings, Role::Member, author)).is_some() {
                return Err(Error::bad_request(format!("add: {user} is a member of the group; leave them out")));
            }
            group.departed.remove(user);
        }
        for (user, role) in &self.roles {
            let member = group.members.get_mut(user).ok_or_else(|| not_a_member("roles", user))?;
            (member.role, member.since) = (*role, author.seq);
        }
        for user in &self.removed {
            group.members.remove(user).ok_or_else(|| not_a_member("remove", user))?;
            group.departed.insert(user.clone(), author.seq);
        }
        // A limit that was lowered keeps no member from leaving.
        if !self.added.is_empty() {
            check_size(group.members.len(), group.departed.len(), limit)?;
        }
        let has_owner = group.members.values().any(|member| member.role == Role::Owner);
        if !has_owner && !group.members.is_empty() {
            return Err(Error::Forbidden("a group needs an owner; give another member the role owner first"));
        }
        Ok(group)
    }

    /// Owners change everything. Admins add users, and remove members. Members leave, and add users if the group allows it.
    fn check_rights(&self, before: &Group, author: GroupAuthor<'_>) -> Result<(), Error> {
        if author.is_backend {
            return Ok(());
        }
        let role = before.role(author.user).ok_or(Error::Forbidden(NOT_A_MEMBER))?;
        if role == Role::Owner {
            return Ok(());
        }
        if self.name.is_some() || self.posting.is_some() || self.adding.is_some() || !self.roles.is_empty() {
            return Err(Error::Forbidden("only an owner of the group may change its name, settings and roles"));
        }
        if !self.added.is_empty() && !before.settings.adding.includes(role) {
            return Err(Error::Forbidden("only admins and owners may add users to this group"));
        }
        for user in self.removed.iter().filter(|user| *user != author.user) {
            let other = before.role(user).ok_or_else(|| not_a_member("remove", user))?;
            if role < Role::Admin || other > Role::Member {
                return Err(Error::Forbidden("admins may remove members; only owners may remove admins and owners"));
            }
        }
        Ok(())
    }
}

/// Why a user is refused who is not, or is no longer, a member of a group, or names a group that does not exist.
pub const NOT_A_MEMBER: &str = "you are not a member of this group, or there is no such group";

fn new_member(settings: &Settings, role: Role, author: GroupAuthor<'_>) -> Member {
    let readable_from = match settings.history {
        History::All => Seq::FIRST,
        History::Joined => author.seq,
    };
    Member { role, at: author.seq, readable_from, since: author.seq, messages: author.messages }
}

fn not_a_member(field: &str, user: &UserId) -> Error {
    Error::bad_request(format!("{field}: {user} is not a member of the group; leave them out"))
}

fn check_size(members: usize, departed: usize, limit: MemberLimit) -> Result<(), Error> {
    if members > limit.get() {
        return Err(Error::bad_request(format!("a group has at most {} members; add fewer users", limit.get())));
    }
    match members + departed <= MemberLimit::EVER {
        true => Ok(()),
        false => Err(Error::bad_request("1,000 users are or were members of this group; create another one")),
    }
}
