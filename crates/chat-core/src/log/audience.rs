//! `Audience`: the users who get an entry, and which of them may read the message that it is about.

use std::collections::BTreeMap;

use crate::{
    model::{
        conversation::{Recipient, Seq},
        draft::Draft,
        group::Group,
        user::UserId,
    },
    store::inboxes::Listing,
};

/// The users who get an entry, each with the first entry that they may read.
#[derive(Debug, Default)]
pub(super) struct Audience(BTreeMap<UserId, Seq>);

impl Audience {
    /// Of an entry that is stored next. In a group these are exactly the members at that entry: those `before` it, and those
    /// that it adds.
    pub(super) fn of_next(draft: &Draft, before: Option<&Group>, after: Option<&Group>) -> Self {
        match draft.recipient() {
            Recipient::User(recipient) => Self::of_users([draft.sender(), recipient]),
            Recipient::Group(_) => Self(members(after).chain(members(before)).collect()),
        }
    }

    /// Of entry `seq`, which is pushed again: those present members of the group who were members then.
    pub(super) fn of_stored(draft: &Draft, seq: Seq, group: Option<&Group>) -> Self {
        match draft.recipient() {
            Recipient::User(recipient) => Self::of_users([draft.sender(), recipient]),
            Recipient::Group(_) => {
                let present = group.into_iter().flat_map(|group| &group.members);
                let then = present.filter(|(_, member)| member.at <= seq);
                Self(then.map(|(user, member)| (user.clone(), member.readable_from)).collect())
            }
        }
    }

    fn of_users(users: [&UserId; 2]) -> Self {
        Self(users.into_iter().map(|user| (user.clone(), Seq::FIRST)).collect())
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &UserId> {
        self.0.keys()
    }

    pub(super) fn contains(&self, user: &UserId) -> bool {
        self.0.contains_key(user)
    }

    /// Whether the user may read entry `target`, if the entry is about one.
    pub(super) fn may_read(&self, user: &UserId, target: Option<Seq>) -> bool {
        target.is_none_or(|target| self.0.get(user).is_some_and(|first| *first <= target))
    }
}

fn members(group: Option<&Group>) -> impl Iterator<Item = (UserId, Seq)> {
    let members = group.into_iter().flat_map(|group| &group.members);
    members.map(|(user, member)| (user.clone(), member.readable_from))
}

/// In whose inboxes the conversation is listed.
pub(super) fn listings(draft: &Draft, group: Option<&Group>) -> Vec<Listing> {
    let (sender, recipient) = (draft.sender(), draft.recipient());
    match recipient {
        Recipient::User(other) if other == sender => vec![(sender.clone(), recipient.clone())],
        Recipient::User(other) => {
            vec![(sender.clone(), recipient.clone()), (other.clone(), Recipient::User(sender.clone()))]
        }
        Recipient::Group(_) => {
            let members = group.into_iter().flat_map(|group| group.members.keys());
            members.map(|user| (user.clone(), recipient.clone())).collect()
        }
    }
}
