//! From a token to a user.

use chat_core::{Error, configuration::TokenRules, request::Identity};
use jsonwebtoken::{Validation, errors::ErrorKind};

use crate::{claims, header::Header, jwks::Jwks, members::Members, signature};

/// Proves who connects by tokens of one issuer.
pub(crate) struct Tokens {
    rules: TokenRules,
    jwks: Jwks,
}

impl Tokens {
    /// Takes the tokens that `rules` describes.
    pub(crate) fn new(rules: TokenRules) -> Self {
        signature::install();
        Self { jwks: Jwks::new(rules.jwks_url.clone()), rules }
    }

    /// The user of a token, at `now` (milliseconds since 1970).
    ///
    /// # Errors
    /// As [`crate::handle`]. No error holds a piece of the token.
    pub(crate) async fn prove(&self, token: &str, now: i64) -> Result<Identity, Error> {
        let header = Header::of(token).map_err(Error::Unauthenticated)?;
        let key = self.jwks.key(&header, now).await.map_err(|error| Error::Unavailable(error.into()))?;
        let key = key.ok_or(Error::Unauthenticated("the token's key is not one of the issuer's"))?;
        let mut validation = Validation::new(header.algorithm);
        // Without this list, a token without an issuer or an audience would pass.
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        // By API Gateway's clock and not by this machine's: see `claims`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Members>(token, &key, &validation)
            .map_err(|error| Error::Unauthenticated(refusal(error.kind())))?
            .claims;
        claims::identity(&claims, &self.rules, now)
    }
}

/// A fixed phrase: the library's own may hold what the token says.
fn refusal(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "the token's signature is wrong",
        ErrorKind::InvalidIssuer => "the token is of another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks exp, iss or aud",
        _ => "the token is no signed JWT",
    }
}
