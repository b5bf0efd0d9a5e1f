//! `ConversationId`, `GroupId`, `Recipient`, and `Seq`: the sequence number of an entry.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Unexpected, Visitor},
};
use uuid::Uuid;

use crate::model::user::UserId;

/// The id of a group: a UUID. As text it is in lower case with hyphens. Other spellings of a UUID are refused, so that a client
/// that compares texts never takes one group for two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupId(Uuid);

impl GroupId {
    /// The namespace of the ids that are made from a request.
    const NAMESPACE: Uuid = Uuid::from_u128(0x6f7a_1c2e_58b4_4d0e_9a31_7c5b_e2d0_4f16);

    /// A new id, different from every other one.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id of the group that `creator` creates with a request of this id, so that a repeat creates no second group.
    pub fn of_request(creator: &UserId, request: &str) -> Self {
        let creator = creator.as_str();
        Self(Uuid::new_v5(&Self::NAMESPACE, format!("{}:{creator}:{request}", creator.len()).as_bytes()))
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<GroupId> for String {
    fn from(id: GroupId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for GroupId {
    type Error = InvalidGroupId;

    fn try_from(text: String) -> Result<Self, InvalidGroupId> {
        let id = Self(Uuid::try_parse(&text).map_err(|_| InvalidGroupId)?);
        if id.to_string() == text { Ok(id) } else { Err(InvalidGroupId) }
    }
}

/// The text is not a UUID, or another spelling of one.
#[derive(Debug, thiserror::Error)]
#[error("a groupId is a UUID in lower case with hyphens; send the one that the service gave you")]
pub struct InvalidGroupId;

/// The user or the group that an entry is sent to. In frames and items: `recipientId` or `groupId`.
///
/// Groups sort before users, as their keys do in an inbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Recipient {
    /// All members of a group.
    #[serde(rename = "groupId")]
    Group(GroupId),
    /// The other user of a direct conversation, or the sender.
    #[serde(rename = "recipientId", alias = "peerId")]
    User(UserId),
}

impl Recipient {
    /// The group; none for a user.
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::Group(group) => Some(*group),
            Self::User(_) => None,
        }
    }
}

/// The id of a conversation: `dm:<byte length of the smaller id>:<smaller id>:<larger id>`, compared bytewise, or
/// `group:<group id>`.
///
/// Because of the length, two different pairs of users never share an id, whatever characters their ids contain. The
/// Lambda functions never build one. They get it with a membership, or give a draft to the log, which checks the membership
/// first. So a caller can't name a conversation without being in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConversationId(String);

impl ConversationId {
    /// The conversation of two users, in either order. Both may be the same user.
    pub(crate) fn between(one: &UserId, other: &UserId) -> Self {
        let (smaller, larger) = if one <= other { (one, other) } else { (other, one) };
        Self(format!("dm:{}:{smaller}:{larger}", smaller.as_str().len()))
    }

    /// The conversation of a group. Only code that reads the caller's membership may call it.
    pub(crate) fn of_group(group: GroupId) -> Self {
        Self(format!("group:{group}"))
    }

    /// The conversation of `sender` and `recipient`.
    pub(crate) fn of(sender: &UserId, recipient: &Recipient) -> Self {
        match recipient {
            Recipient::Group(group) => Self::of_group(*group),
            Recipient::User(user) => Self::between(sender, user),
        }
    }

    /// The partition key in the table `Messages`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The entries of a conversation that a user may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readable {
    /// The first one.
    pub from: Seq,
    /// The last one; none if every further entry is readable, too.
    pub to: Option<Seq>,
}

impl Readable {
    /// Every entry, as in a direct conversation.
    pub const ALL: Self = Self { from: Seq::FIRST, to: None };

    /// Whether entry `seq` is one of them.
    pub fn contains(self, seq: Seq) -> bool {
        self.from <= seq && self.to.is_none_or(|to| seq <= to)
    }
}

/// The sequence number of an entry in its conversation: 1, 2, 3, … without gaps. 0 means "no entry yet".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Seq(u64);

impl Seq {
    /// The end of a conversation without entries.
    pub const NONE: Seq = Seq(0);
    /// The first entry of a conversation.
    pub const FIRST: Seq = Seq(1);
    /// The largest number that a JavaScript client can hold exactly (`Number.MAX_SAFE_INTEGER`).
    pub const MAX: Seq = Seq((1 << 53) - 1);

    /// The sequence number that follows.
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }

    /// The sequence number that is smaller by `count`; 0 if there is none.
    pub fn before(self, count: u64) -> Seq {
        Seq(self.0.saturating_sub(count))
    }

    /// The count of entries after `earlier`, up to and including this one; 0 if `earlier` is not earlier.
    pub fn since(self, earlier: Seq) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Seq {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SeqVisitor;

        impl Visitor<'_> for SeqVisitor {
            type Value = Seq;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 0 to {}", Seq::MAX)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Seq, E> {
                if number <= Seq::MAX.0 {
                    Ok(Seq(number))
                } else {
                    Err(E::invalid_value(Unexpected::Unsigned(number), &self))
                }
            }
        }

        deserializer.deserialize_u64(SeqVisitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn user(id: &str) -> UserId {
        UserId::try_from(id.to_owned()).unwrap()
    }

    #[test]
    fn it_is_the_same_from_both_sides() {
        let id = ConversationId::between(&user("bob"), &user("alice"));
        assert_eq!(id.as_str(), "dm:5:alice:bob");
        assert_eq!(id, ConversationId::between(&user("alice"), &user("bob")));
        assert_eq!(ConversationId::between(&user("李"), &user("李")).as_str(), "dm:3:李:李");
    }

    #[test]
    fn a_group_id_has_one_spelling() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let parsed = GroupId::try_from(id.to_owned()).unwrap();
        assert_eq!(serde_json::to_string(&parsed).unwrap(), format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<GroupId>(&format!("\"{id}\"")).unwrap(), parsed);
        let others = [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
            format!("{id} "),
            id[1..].to_owned(),
            String::new(),
        ];
        for other in others {
            assert!(GroupId::try_from(other.clone()).is_err(), "{other}");
        }
    }

    proptest! {
        /// Ids from alphabets that an attacker would choose: the characters of the format itself, and every way to cut
        /// one text into two names.
        #[test]
        fn no_two_pairs_share_an_id(
            text in "[a1:]{3,12}",
            names in proptest::collection::vec("[dm:12ab]{1,6}|[a\u{e9}\u{301}\u{ff1a}|#]{1,4}|[a:]{126,128}", 0..8),
        ) {
            let cuts = text.match_indices(':').flat_map(|(at, _)| [&text[..at], &text[at + 1..]]).map(str::to_owned);
            let users: Vec<_> = cuts.chain(names).filter_map(|name| UserId::try_from(name).ok()).collect();
            let mut owner = HashMap::new();
            for one in &users {
                for other in &users {
                    let pair = (one.min(other), one.max(other));
                    let known = owner.entry(ConversationId::between(one, other)).or_insert(pair);
                    prop_assert_eq!(*known, pair);
                }
            }
        }
    }
}
