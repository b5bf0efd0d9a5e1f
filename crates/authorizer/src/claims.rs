//! The claims of a token whose signature is valid.

use chat_core::{
    Error,
    configuration::TokenRules,
    model::{
        time::{Timestamp, UnixSeconds},
        user::UserId,
    },
    protocol::request::Identity,
};
use serde_json::Value;

use crate::members::Members;

/// Tolerance for the difference between the issuer's clock and API Gateway's, in seconds.
const LEEWAY: f64 = 60.0;

/// The user that the claims name, if the token is valid at `now`. The caller has checked issuer and audience.
///
/// # Errors
/// [`Error::Unauthenticated`] for a token that is not valid, or not now; [`Error::Forbidden`] if its user claim is not a user
/// id.
pub(crate) fn identity(claims: &Members, rules: &TokenRules, now: Timestamp) -> Result<Identity, Error> {
    let now = now.as_millis() as f64 / 1000.0;
    let expires_at = match claims.get("exp").and_then(Value::as_f64) {
        // The range in which doubles represent integers exactly.
        Some(exp) if exp.abs() < 9e15 => exp,
        _ => return Err(Error::Unauthenticated("the token has no expiry")),
    };
    if expires_at + LEEWAY <= now {
        return Err(Error::Unauthenticated("the token has expired"));
    }
    match claims.get("nbf").map(Value::as_f64) {
        None => {}
        Some(Some(begins_at)) if begins_at <= now + LEEWAY => {}
        Some(_) => return Err(Error::Unauthenticated("the token is not valid yet")),
    }
    // The library also accepts a list of issuers.
    if !claims.get("iss").is_some_and(Value::is_string) {
        return Err(Error::Unauthenticated("the token is from another issuer"));
    }
    let user = claims.get(&rules.user_claim).and_then(Value::as_str);
    let user = user.and_then(|user| UserId::try_from(user.to_owned()).ok());
    let user = user.ok_or(Error::Forbidden("the token's user claim is not a user id"))?;
    Ok(Identity { user, expires_at: Some(UnixSeconds::from_secs(expires_at as i64)) })
}
