//! `Header`: the first part of a token, which names the algorithm and the key.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::members::Members;

/// The header of a token, before its signature is verified.
#[derive(Debug)]
pub(crate) struct Header {
    /// An asymmetric algorithm; never `none`.
    pub(crate) algorithm: Algorithm,
    /// The id of the issuer's key (`kid`).
    pub(crate) key_id: Option<String>,
}

impl Header {
    /// The maximum length of a token in bytes: 8 KB, API Gateway's limit for a header. In the query, API Gateway's limit of
    /// 4,096 characters for the URL applies first.
    const MAX_TOKEN_BYTES: usize = 8 * 1024;

    /// Parses the header of a signed token in compact form, the only form that is accepted.
    ///
    /// Keys and addresses of keys in a header (`jwk`, `jku`, `x5c`, `x5u`) are ignored, because an attacker who forges a token
    /// would supply their own.
    ///
    /// # Errors
    /// A fixed phrase, which contains no part of the token.
    pub(crate) fn parse(token: &str) -> Result<Self, &'static str> {
        const BROKEN: &str = "the token is not a signed JWT";
        if token.len() > Self::MAX_TOKEN_BYTES {
            return Err("the token is too long");
        }
        let parts: Vec<&str> = token.split('.').collect();
        let is_encoded = |part: &&str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if parts.len() != 3 || !parts.iter().all(is_encoded) {
            return Err(BROKEN);
        }
        let json = URL_SAFE_NO_PAD.decode(parts[0]).map_err(|_| BROKEN)?;
        let header: Members = serde_json::from_slice(&json).map_err(|_| BROKEN)?;
        // `crit` lists extensions that must be supported; none is. `b64` is one of them.
        if header.has("crit") || header.has("b64") {
            return Err("the token needs an extension");
        }
        if !header.get("typ").is_none_or(is_jwt) {
            return Err("the token has another type");
        }
        let algorithm = match header.get("alg").and_then(Value::as_str).unwrap_or_default() {
            "RS256" => Algorithm::RS256,
            "RS384" => Algorithm::RS384,
            "RS512" => Algorithm::RS512,
            "ES256" => Algorithm::ES256,
            "ES384" => Algorithm::ES384,
            "EdDSA" => Algorithm::EdDSA,
            _ => return Err("the token's algorithm is not accepted"),
        };
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(BROKEN),
        };
        Ok(Self { algorithm, key_id })
    }
}

/// Whether the type is a JWT or an access token (RFC 9068), and not, for example, a logout token.
fn is_jwt(typ: &Value) -> bool {
    let name = typ.as_str().map(str::to_ascii_lowercase).unwrap_or_default();
    matches!(name.strip_prefix("application/").unwrap_or(&name), "jwt" | "at+jwt")
}
