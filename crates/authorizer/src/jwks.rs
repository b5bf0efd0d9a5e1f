//! `Jwks`: the issuer's public keys, fetched and cached. The only code of the authorizer that makes a request.

use std::{collections::HashMap, time::Duration};

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    client::{
        http::HttpConnector,
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::HttpError,
};
use aws_smithy_types::byte_stream::{ByteStream, error::Error as BodyError};
use chat_core::model::{error::chain, time::Timestamp};
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::Mutex, time::timeout};

use crate::header::Header;

/// Time-out of a fetch. The connection attempt waits for it, and the function has 10 s.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// The maximum length of a response in bytes: 10,000 RSA keys of 2,048 bits. Issuers have two or three keys, in 2 KB.
const MAX_RESPONSE_BYTES: usize = 5 * 1024 * 1024;
/// The minimum interval between two fetches, in milliseconds. It limits the load on the issuer if an attacker sends tokens
/// with made-up key ids.
const MIN_INTERVAL_MS: u64 = 60_000;
/// The same while there are no keys, when no client can connect.
const MIN_INTERVAL_WITHOUT_KEYS_MS: u64 = 5_000;
/// The age in milliseconds at which keys are fetched again, so that a key that the issuer revokes stops working.
const MAX_AGE_MS: u64 = 10 * 60_000;

/// The keys that an issuer publishes, kept from one invocation to the next.
///
/// They are fetched for the first token, for a token with an unknown key id, and when they are ten minutes old; at most once
/// a minute. If a fetch fails, the last keys stay in use, without a limit.
pub(crate) struct Jwks {
    url: String,
    connector: Connector,
    cache: Mutex<Cache>,
}

/// All times are API Gateway's.
#[derive(Default)]
struct Cache {
    keys: Option<Keys>,
    fetched_at: Timestamp,
    tried_at: Option<Timestamp>,
}

impl Jwks {
    /// Fetches nothing yet.
    pub(crate) fn new(url: String) -> Self {
        // No connection is kept, because fetches are minutes apart.
        let connector = Connector::builder().pool_max_idle_per_host(0);
        let connector = connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
        Self { url, connector, cache: Mutex::default() }
    }

    /// The key that a token's header names; none if the issuer has no such key.
    ///
    /// # Errors
    /// If there are no keys, because the issuer could not be reached or its response is invalid.
    pub(crate) async fn key(&self, header: &Header, now: Timestamp) -> Result<Option<DecodingKey>, JwksError> {
        // Held during a fetch, so that concurrent connection attempts share it.
        let mut cache = self.cache.lock().await;
        if cache.wants_fetch(header, now) {
            cache.tried_at = Some(now);
            match self.fetch().await {
                Ok(keys) => {
                    cache.keys = Some(keys);
                    cache.fetched_at = now;
                }
                Err(error) if cache.keys.is_none() => return Err(error),
                Err(error) => tracing::warn!(cause = chain(&error), "the issuer's keys could not be fetched again"),
            }
        }
        let keys = cache.keys.as_ref().ok_or(JwksError::FailedBefore)?;
        Ok(keys.find(header).map(|key| key.decoding.clone()))
    }

    async fn fetch(&self) -> Result<Keys, JwksError> {
        timeout(FETCH_TIMEOUT, async {
            let request = HttpRequest::get(&self.url)?;
            let response = self.connector.call(request).await?;
            // A redirect is not followed, because the operator has configured the address.
            match response.status().as_u16() {
                200 => Keys::parse(&body(response).await?),
                status => Err(JwksError::Status(status)),
            }
        })
        .await
        .unwrap_or(Err(JwksError::TooSlow))
    }
}

async fn body(response: HttpResponse) -> Result<Vec<u8>, JwksError> {
    let mut chunks = ByteStream::new(response.into_body());
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(JwksError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Cache {
    fn wants_fetch(&self, header: &Header, now: Timestamp) -> bool {
        // The absolute difference, because events can be out of order.
        let since = |earlier: Timestamp| now.millis_since(earlier).unsigned_abs();
        let (is_needed, min_interval) = match &self.keys {
            None => (true, MIN_INTERVAL_WITHOUT_KEYS_MS),
            Some(keys) => (!keys.may_contain(header) || since(self.fetched_at) >= MAX_AGE_MS, MIN_INTERVAL_MS),
        };
        is_needed && self.tried_at.is_none_or(|tried_at| since(tried_at) >= min_interval)
    }
}

/// The keys of one response that can verify a signature, by key id.
struct Keys {
    by_id: HashMap<Option<String>, Vec<Key>>,
    count: usize,
}

struct Key {
    decoding: DecodingKey,
    kind: Kind,
    /// The only algorithm that the issuer allows, if it names one.
    algorithm: Option<KeyAlgorithm>,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Keys {
    /// Parses a JWK set (RFC 7517). Other keys are ignored: a set may contain keys for encryption.
    fn parse(json: &[u8]) -> Result<Self, JwksError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| JwksError::NoKeySet)?;
        let mut keys = Self { by_id: HashMap::new(), count: 0 };
        for (id, key) in set.keys.into_iter().filter_map(Key::parse) {
            keys.by_id.entry(id).or_default().push(key);
            keys.count += 1;
        }
        // An issuer that signs tokens has a key, so an empty set is an error of the issuer's.
        if keys.count == 0 { Err(JwksError::NoKeys) } else { Ok(keys) }
    }

    /// Whether these keys can contain the token's key. If not, a fetch may.
    fn may_contain(&self, header: &Header) -> bool {
        header.key_id.is_none() || self.by_id.contains_key(&header.key_id)
    }

    /// A token without a key id is accepted only if the issuer has exactly one key.
    fn find(&self, header: &Header) -> Option<&Key> {
        let mut candidates = match &header.key_id {
            Some(_) => self.by_id.get(&header.key_id)?.iter(),
            None if self.count == 1 => self.by_id.values().next()?.iter(),
            None => return None,
        };
        candidates.find(|key| key.allows(header.algorithm))
    }
}

impl Key {
    fn parse(jwk: Value) -> Option<(Option<String>, Self)> {
        // A published private key proves nothing.
        if jwk.get("d").is_some() {
            return None;
        }
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Kind::Rsa,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Kind::P256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Kind::P384,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Kind::Ed25519,
            // Shared secrets among them.
            _ => return None,
        };
        let common = jwk.common.clone();
        let for_signatures = common.public_key_use.is_none_or(|purpose| purpose == PublicKeyUse::Signature)
            && common.key_operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        let key = Self { kind, decoding, algorithm: common.key_algorithm };
        (for_signatures && key.has_valid_size()).then_some((common.key_id, key))
    }

    /// Whether the key has a valid size: for RSA, 2,048 to 8,192 bits.
    fn has_valid_size(&self) -> bool {
        let length = self.decoding.try_get_as_bytes().map_or(0, <[u8]>::len);
        match self.kind {
            Kind::Rsa => match self.decoding.kind() {
                DecodingKeyKind::RsaModulusExponent { n, e } => (256..=1024).contains(&n.len()) && !e.is_empty(),
                DecodingKeyKind::SecretOrDer(_) => false,
            },
            Kind::P256 => length == 1 + 2 * 32,
            Kind::P384 => length == 1 + 2 * 48,
            Kind::Ed25519 => length == 32,
        }
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::ES256 => Kind::P256,
            Algorithm::ES384 => Kind::P384,
            Algorithm::EdDSA => Kind::Ed25519,
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Kind::Rsa,
            _ => return false,
        };
        self.kind == kind && self.algorithm.is_none_or(|only| only == KeyAlgorithm::from(algorithm))
    }
}

/// Why the keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JwksError {
    #[error("the value of JWT_JWKS_URL is not an address")]
    Address(#[from] HttpError),
    #[error("the issuer could not be reached")]
    Connection(#[from] ConnectorError),
    #[error("the issuer's response ended early")]
    Body(#[from] BodyError),
    #[error("the issuer answered with status {0}")]
    Status(u16),
    #[error("the issuer did not answer in time")]
    TooSlow,
    #[error("the issuer's response is too long")]
    TooLong,
    #[error("the issuer's response is not a JWK set")]
    NoKeySet,
    #[error("the issuer has no key for signatures")]
    NoKeys,
    /// The last fetch failed, and the next one is not due.
    #[error("the issuer's keys could not be fetched a moment ago")]
    FailedBefore,
}
