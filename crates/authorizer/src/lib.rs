//! Proves who connects, once per connection.

use chat_core::{Error, configuration::AuthMode, request::Upgrade, user::UserId};

/// Finds out which user this is. API Gateway puts the answer on every later event of the connection, and no route takes
/// a user from anywhere else.
///
/// # Errors
/// [`Error::Unauthenticated`] for a caller who names nobody, [`Error::Forbidden`] for one who names two users or
/// something that is no user id.
pub async fn handle(mode: &AuthMode, upgrade: Upgrade) -> Result<UserId, Error> {
    match mode {
        AuthMode::Open => match <[String; 1]>::try_from(upgrade.user_ids) {
            Ok([id]) => UserId::try_from(id).map_err(|_| Error::Forbidden("userId is no user id")),
            Err(ids) if ids.is_empty() => Err(Error::Unauthenticated("connect with ?userId=")),
            Err(_) => Err(Error::Forbidden("connect with one userId")),
        },
    }
}
