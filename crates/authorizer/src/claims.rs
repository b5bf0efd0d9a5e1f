//! What a token whose signature is good says, and whether that is enough.

use chat_core::{Error, configuration::TokenRules, request::Identity, user::UserId};
use serde_json::Value;

use crate::members::Members;

/// How far the issuer's clock and API Gateway's may differ, in seconds.
const LEEWAY: f64 = 60.0;

/// The user that these claims name, at `now` (milliseconds since 1970). Issuer and audience have been checked.
///
/// # Errors
/// [`Error::Unauthenticated`] for a token that is not valid now or not at all, [`Error::Forbidden`] for one of somebody
/// who can't be a user.
pub(crate) fn identity(claims: &Members, rules: &TokenRules, now: i64) -> Result<Identity, Error> {
    let now = now as f64 / 1000.0;
    let expires_at = match claims.get("exp").and_then(Value::as_f64) {
        // What doubles, and JavaScript, count exactly.
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
    // A list of issuers is no issuer, though the library takes one.
    if !claims.get("iss").is_some_and(Value::is_string) {
        return Err(Error::Unauthenticated("the token is of another issuer"));
    }
    let user = claims.get(&rules.user_claim).and_then(Value::as_str);
    let user = user.and_then(|user| UserId::try_from(user.to_owned()).ok());
    let user = user.ok_or(Error::Forbidden("the token names nobody who can be a user"))?;
    Ok(Identity { user, expires_at: Some(expires_at as i64) })
}
