//! `Tokens`: identifies users by the tokens of one issuer.

use chat_core::{Error, configuration::TokenRules, model::time::Timestamp, protocol::request::Identity};
use jsonwebtoken::{Validation, errors::ErrorKind};

use crate::{claims, header::Header, jwks::Jwks, members::Members, signature};

/// Identifies users by the tokens of one issuer.
pub(crate) struct Tokens {
    rules: TokenRules,
    jwks: Jwks,
}

impl Tokens {
    pub(crate) fn new(rules: TokenRules) -> Self {
        signature::install();
        Self { jwks: Jwks::new(rules.jwks_url.clone()), rules }
    }

    /// The user of a token that is valid at `now`.
    ///
    /// # Errors
    /// As [`crate::handle`]. No error contains a part of the token.
    pub(crate) async fn prove(&self, token: &str, now: Timestamp) -> Result<Identity, Error> {
        let header = Header::parse(token).map_err(Error::Unauthenticated)?;
        let key = self.jwks.key(&header, now).await.map_err(|error| Error::Unavailable(error.into()))?;
        let key = key.ok_or(Error::Unauthenticated("the token's key is not one of the issuer's"))?;
        let mut validation = Validation::new(header.algorithm);
        // Without this list, a token without an issuer or an audience would pass.
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        // `claims` checks them by API Gateway's clock instead of this machine's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Members>(token, &key, &validation)
            .map_err(|error| Error::Unauthenticated(reason(error.kind())))?
            .claims;
        claims::identity(&claims, &self.rules, now)
    }
}

/// A fixed phrase, because the library's own can contain a claim.
fn reason(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "the token's signature is wrong",
        ErrorKind::InvalidIssuer => "the token is from another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks exp, iss or aud",
        _ => "the token is not a signed JWT",
    }
}
