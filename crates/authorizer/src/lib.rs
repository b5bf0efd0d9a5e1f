//! Proves who connects, once per connection.

#![warn(clippy::unwrap_used)]

mod claims;
mod header;
mod jwks;
mod members;
mod signature;
mod tokens;

use chat_core::{
    Error,
    configuration::{AuthMode, Configuration, InvalidConfiguration, Provide},
    origins::Origins,
    request::{Identity, Upgrade},
    user::UserId,
};

use crate::tokens::Tokens;

/// What the function works with: from where one may connect, and how one proves who one is.
pub struct Authorizer {
    origins: Origins,
    /// None in open mode.
    tokens: Option<Tokens>,
}

impl Provide for Authorizer {
    async fn provide(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        let tokens = match configuration.auth_mode()? {
            AuthMode::Open => None,
            AuthMode::Jwt(rules) => Some(Tokens::new(rules)),
        };
        Ok(Self { origins: configuration.allowed_origins()?, tokens })
    }
}

/// Finds out which user this is. API Gateway puts the answer on every later event of the connection, and no route takes
/// a user from anywhere else.
///
/// # Errors
/// [`Error::Unauthenticated`] (401) for a caller who proves nothing: without a token, or with one that is broken, forged,
/// expired or another service's; a new token helps. [`Error::Forbidden`] (403) for one who may not connect like this
/// whatever they prove: from a foreign page, with two tokens or two users, as somebody other than the token's user, or as
/// something that is no user id. [`Error::Unavailable`] (500) where the issuer's keys can't be had.
pub async fn handle(authorizer: &Authorizer, upgrade: Upgrade) -> Result<Identity, Error> {
    match upgrade.origins.as_slice() {
        [] => {}
        [origin] if authorizer.origins.allow(origin) => {}
        _ => return Err(Error::Forbidden("pages of this origin may not connect")),
    }
    let claimed = single(&upgrade.user_ids, "connect with one userId")?;
    let Some(tokens) = &authorizer.tokens else {
        let user = claimed.ok_or(Error::Unauthenticated("connect with ?userId="))?;
        let user = UserId::try_from(user.to_owned()).map_err(|_| Error::Forbidden("userId is no user id"))?;
        return Ok(Identity { user, expires_at: None });
    };
    let token = token(&upgrade)?.ok_or(Error::Unauthenticated("connect with a token"))?;
    let identity = tokens.prove(token, upgrade.received_at).await?;
    match claimed {
        Some(claimed) if claimed != identity.user.as_str() => Err(Error::Forbidden("userId is not the token's user")),
        _ => Ok(identity),
    }
}

/// The token of the query, or the one among the subprotocols; both ways at once only with the same one.
fn token(upgrade: &Upgrade) -> Result<Option<&str>, Error> {
    /// With which names of subprotocols begin. No token does: its first letters are a `{`, encoded.
    const NAME: &str = "chat.";
    const ONE: &str = "connect with one token";
    let offers = upgrade.subprotocols.iter().map(String::as_str);
    let offered: Vec<_> = offers.filter(|offer| !offer.is_empty() && !offer.starts_with(NAME)).collect();
    match (single(&upgrade.tokens, ONE)?, single(&offered, ONE)?) {
        (Some(token), Some(&offered)) if token != offered => Err(Error::Forbidden(ONE)),
        (Some(token), _) => Ok(Some(token)),
        (None, offered) => Ok(offered.copied()),
    }
}

/// The only value, where there is one. A doubled one is refused, even by itself: whoever looks at the other of the two
/// would see somebody else.
fn single<'a, T>(values: &'a [T], advice: &'static str) -> Result<Option<&'a T>, Error> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(Error::Forbidden(advice)),
    }
}
