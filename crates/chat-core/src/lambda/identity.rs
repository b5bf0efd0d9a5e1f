//! The identity in an authorizer's context: how the authorizer hands it to the routes.
//!
//! API Gateway adds the context to every later event of the connection, as strings. How it converts a number, and what it
//! does to text that is not ASCII, is not documented. So every value is a string, and the user id is percent-encoded.

use std::collections::HashMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::{
    model::{time::UnixSeconds, user::UserId},
    protocol::request::Identity,
};

/// The bytes that are encoded: all but these and ASCII letters and digits, so that common ids stay readable in logs.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The context that carries an identity: `userId`, and for a token `expiresAt` in seconds since the Unix epoch. Every value
/// is ASCII that needs no escape in JSON.
pub(super) fn context(identity: &Identity) -> HashMap<String, Value> {
    let user = [("userId".to_owned(), encode(&identity.user).into())];
    let expiry = identity.expires_at.map(|at| ("expiresAt".to_owned(), at.as_secs().to_string().into()));
    user.into_iter().chain(expiry).collect()
}

/// The user id in percent-encoding.
pub(super) fn encode(user: &UserId) -> String {
    utf8_percent_encode(user.as_str(), ENCODED).to_string()
}

/// The user of a connection; none if the context has no user id as the authorizer writes it.
pub(super) fn user(context: &HashMap<String, Value>) -> Option<UserId> {
    let encoded = context.get("userId")?.as_str()?;
    let user = UserId::try_from(percent_decode_str(encoded).decode_utf8().ok()?.into_owned()).ok()?;
    // Each id has one encoding, so that a value that something else wrote is never taken for another user's id.
    (encode(&user) == encoded).then_some(user)
}

/// When the connection's token expires; none in open mode. A value that is not a number counts as expired.
pub(super) fn token_expires_at(context: &HashMap<String, Value>) -> Option<UnixSeconds> {
    let value = context.get("expiresAt")?;
    let seconds = value.as_str().and_then(|text| text.parse().ok());
    Some(seconds.map_or(UnixSeconds::MIN, UnixSeconds::from_secs))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn any_user_survives_as_ascii_that_needs_no_escape(id in "\\PC{1,32}", expires_at in proptest::option::of(any::<i64>())) {
            prop_assume!(UserId::try_from(id.clone()).is_ok());
            let expires_at = expires_at.map(UnixSeconds::from_secs);
            let identity = Identity { user: UserId::try_from(id).unwrap(), expires_at };
            let context = context(&identity);
            for value in context.values() {
                let text = value.as_str().expect("every value is a string");
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'), "{text}");
            }
            prop_assert_eq!(user(&context), Some(identity.user));
            prop_assert_eq!(token_expires_at(&context), identity.expires_at);
        }
    }

    #[test]
    fn common_ids_stay_as_they_are_and_others_are_encoded() {
        for (id, encoded) in [
            ("alice", "alice"),
            ("9b2d-7f.a_b~c", "9b2d-7f.a_b~c"),
            ("alice@example.com", "alice@example.com"),
            ("auth0|123", "auth0%7C123"),
            ("a\"b\\c", "a%22b%5Cc"),
            ("100%", "100%25"),
            ("李雷", "%E6%9D%8E%E9%9B%B7"),
        ] {
            let identity = Identity { user: UserId::try_from(id.to_owned()).unwrap(), expires_at: None };
            assert_eq!(json!(context(&identity)), json!({ "userId": encoded }));
        }
    }

    #[test]
    fn a_value_that_the_authorizer_does_not_write_names_nobody() {
        for value in [
            json!("李雷"),
            json!("a%62"),
            json!("%e6%9d%8e"),
            json!("%FF"),
            json!("%"),
            json!(""),
            json!(7),
            json!(null),
        ] {
            let context = [("userId".to_owned(), value.clone())].into();
            assert_eq!(user(&context), None, "{value}");
        }
    }
}
