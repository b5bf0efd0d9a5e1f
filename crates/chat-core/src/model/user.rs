//! `UserId`: a validated user identifier.

use serde::{Deserialize, Serialize};

/// A user's id: 1 to 128 bytes of UTF-8 without control characters, without U+FFFD, and without white space at either end.
///
/// E-mail addresses, UUIDs, `auth0|123` and names in any script are valid. Two ids are equal if their bytes are; nothing
/// is case-folded or normalised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl UserId {
    /// The maximum length in bytes. A conversation id contains two user ids and stays far below the 2,048 bytes that
    /// DynamoDB allows for a partition key.
    pub const MAX_BYTES: usize = 128;

    /// The id, byte for byte as the client or the issuer sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0
    }
}

impl TryFrom<String> for UserId {
    type Error = InvalidUserId;

    fn try_from(id: String) -> Result<Self, InvalidUserId> {
        if id.is_empty() || id.len() > Self::MAX_BYTES {
            Err(InvalidUserId::Length)
        } else if id.chars().any(char::is_control) {
            Err(InvalidUserId::ControlCharacter)
        } else if id.contains(char::REPLACEMENT_CHARACTER) {
            Err(InvalidUserId::NotUnicode)
        } else if id.trim() != id {
            Err(InvalidUserId::OuterWhiteSpace)
        } else {
            Ok(Self(id))
        }
    }
}

/// Why a text is not a user id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUserId {
    /// Empty, or longer than [`UserId::MAX_BYTES`].
    #[error("a user id has 1 to 128 bytes of UTF-8")]
    Length,
    /// A line break, a NUL or another control character.
    #[error("a user id has no control characters")]
    ControlCharacter,
    /// U+FFFD, which URL and JSON decoders put in the place of what is not Unicode: two broken names would be one user.
    #[error("a user id has no U+FFFD, which stands for text that is not valid Unicode")]
    NotUnicode,
    /// Leading or trailing white space, which is invisible.
    #[error("a user id does not begin or end with white space")]
    OuterWhiteSpace,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(id: &str) -> Result<UserId, InvalidUserId> {
        UserId::try_from(id.to_owned())
    }

    #[test]
    fn it_takes_names_of_any_kind() {
        let longest = "x".repeat(128);
        for id in ["a", "alice@example.com", "auth0|123", "a:b#c\"d'", "李雷", "مريم", "🦀 crab", "9b2d-…", &longest]
        {
            assert_eq!(parse(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn it_refuses_an_id_that_is_empty_too_long_or_invisible() {
        let four_byte_characters = "🦀".repeat(33);
        for (id, why) in [
            ("", InvalidUserId::Length),
            (&"x".repeat(129), InvalidUserId::Length),
            (&four_byte_characters, InvalidUserId::Length),
            ("a\0b", InvalidUserId::ControlCharacter),
            ("a\u{fffd}", InvalidUserId::NotUnicode),
            ("a\nb", InvalidUserId::ControlCharacter),
            ("a\u{85}b", InvalidUserId::ControlCharacter),
            (" alice", InvalidUserId::OuterWhiteSpace),
            ("alice\u{3000}", InvalidUserId::OuterWhiteSpace),
        ] {
            assert_eq!(parse(id), Err(why), "{id:?}");
        }
    }
}
