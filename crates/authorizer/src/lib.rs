//! The authorizer: identifies the user of a new connection, once per connection.

#![warn(clippy::unwrap_used)]

mod claims;
mod header;
mod jwks;
mod members;
mod signature;
mod tokens;

use chat_core::{
    Error,
    configuration::{AuthMode, Configuration, FromConfiguration, InvalidConfiguration, origins::Origins},
    model::user::UserId,
    protocol::request::{ConnectRequest, Identity},
};

use crate::tokens::Tokens;

/// What the authorizer works with.
pub struct Context {
    origins: Origins,
    /// None in open mode.
    tokens: Option<Tokens>,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        let tokens = match configuration.auth_mode()? {
            AuthMode::Open => None,
            AuthMode::Jwt(rules) => Some(Tokens::new(rules)),
        };
        Ok(Self { origins: configuration.allowed_origins()?, tokens })
    }
}

/// API Gateway adds the result to every later event of the connection, and no route takes a user from anywhere else.
///
/// # Errors
/// [`Error::Unauthenticated`] (401) for a caller who proves nothing: without a token, or with one that is invalid, forged,
/// expired or for another service; a new token helps. [`Error::Forbidden`] (403) for a request that no token makes valid:
/// from another origin, with two tokens or two users, with another user id than the token's, or with an invalid user id.
/// [`Error::Unavailable`] (500) if the issuer's keys can't be fetched.
pub async fn handle(context: &Context, request: ConnectRequest) -> Result<Identity, Error> {
    match request.origins.as_slice() {
        [] => {}
        [origin] if context.origins.allow(origin) => {}
        _ => return Err(Error::Forbidden("pages of this origin may not connect")),
    }
    let claimed = single(&request.user_ids, "connect with one userId")?;
    let Some(tokens) = &context.tokens else {
        let user = claimed.ok_or(Error::Unauthenticated("connect with ?userId="))?;
        let user = UserId::try_from(user.to_owned()).map_err(|_| Error::Forbidden("userId is not a user id"))?;
        return Ok(Identity { user, expires_at: None });
    };
    let token = token(&request)?.ok_or(Error::Unauthenticated("connect with a token"))?;
    let identity = tokens.prove(token, request.received_at).await?;
    match claimed {
        Some(claimed) if claimed != identity.user.as_str() => Err(Error::Forbidden("userId is not the token's user")),
        _ => Ok(identity),
    }
}

/// The token of the query or of the subprotocols. If both have one, it must be the same.
fn token(request: &ConnectRequest) -> Result<Option<&str>, Error> {
    /// The prefix of a subprotocol's name. No token begins with it, because a token begins with an encoded `{`.
    const NAME_PREFIX: &str = "chat.";
    const ADVICE: &str = "connect with one token";
    let offers = request.subprotocols.iter().map(String::as_str);
    let offered: Vec<_> = offers.filter(|offer| !offer.is_empty() && !offer.starts_with(NAME_PREFIX)).collect();
    match (single(&request.tokens, ADVICE)?, single(&offered, ADVICE)?) {
        (Some(token), Some(&offered)) if token != offered => Err(Error::Forbidden(ADVICE)),
        (Some(token), _) => Ok(Some(token)),
        (None, offered) => Ok(offered.copied()),
    }
}

/// The only value, if there is one. Two values are refused, even equal ones, because another reader of the request might use
/// the other one.
fn single<'a, T>(values: &'a [T], advice: &'static str) -> Result<Option<&'a T>, Error> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(Error::Forbidden(advice)),
    }
}
