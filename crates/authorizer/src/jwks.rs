//! The issuer's public keys: the only code that fetches anything from anywhere.

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
use chat_core::error::chain;
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::Mutex, time::timeout};

use crate::header::Header;

/// How long a fetch may take. The connection attempt that needs it waits so long, and the function has 10 s.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer: 10,000 RSA keys of 2,048 bits. Issuers have two or three keys, in 2 KB.
const LONGEST_ANSWER: usize = 5 * 1024 * 1024;
/// Between two fetches, in milliseconds, whatever tokens ask for: who makes names of keys up can't make this function
/// hammer the issuer.
const REST: u64 = 60_000;
/// The same while there are no keys at all, and nobody can connect.
const REST_WITHOUT_KEYS: u64 = 5_000;
/// After this, in milliseconds, keys are fetched anew even where none is missing: an issuer that takes a key back is
/// heard.
const FRESH: u64 = 10 * 60_000;

/// The keys that an issuer publishes, kept from one invocation to the next.
///
/// They are fetched with the first token, when a token names a key that is not among them, and when they are ten minutes
/// old; at most once a minute. Where a fetch fails, the last good ones are kept, without end.
pub(crate) struct Jwks {
    url: String,
    connector: Connector,
    cache: Mutex<Cache>,
}

/// All times in milliseconds since 1970, by API Gateway's clock.
#[derive(Default)]
struct Cache {
    keys: Option<Keys>,
    fetched_at: i64,
    tried_at: Option<i64>,
}

impl Jwks {
    /// The keys at `url`; nothing is fetched yet.
    pub(crate) fn new(url: String) -> Self {
        // Fetches are minutes apart, and a connection would be dead by then.
        let connector = Connector::builder().pool_max_idle_per_host(0);
        let connector = connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
        Self { url, connector, cache: Mutex::default() }
    }

    /// The key that a token says it is signed with; none where the issuer has no such key.
    ///
    /// # Errors
    /// Where there are no keys, because the issuer could not be reached or answered nonsense.
    pub(crate) async fn key(&self, header: &Header, now: i64) -> Result<Option<DecodingKey>, JwksError> {
        // Held during a fetch: whoever else needs it waits for the same one.
        let mut cache = self.cache.lock().await;
        if cache.wants_fetch(header, now) {
            cache.tried_at = Some(now);
            match self.fetch().await {
                Ok(keys) => {
                    cache.keys = Some(keys);
                    cache.fetched_at = now;
                }
                Err(error) if cache.keys.is_none() => return Err(error),
                Err(error) => tracing::warn!(cause = chain(&error), "the issuer's keys could not be fetched anew"),
            }
        }
        let keys = cache.keys.as_ref().ok_or(JwksError::FailedBefore)?;
        Ok(keys.find(header).map(|key| key.decoding.clone()))
    }

    async fn fetch(&self) -> Result<Keys, JwksError> {
        timeout(PATIENCE, async {
            let request = HttpRequest::get(&self.url)?;
            let answer = self.connector.call(request).await?;
            // A redirect is not followed: the address is what the operator has said it is.
            match answer.status().as_u16() {
                200 => Keys::parse(&body(answer).await?),
                status => Err(JwksError::Status(status)),
            }
        })
        .await
        .unwrap_or(Err(JwksError::TooSlow))
    }
}

async fn body(answer: HttpResponse) -> Result<Vec<u8>, JwksError> {
    let mut chunks = ByteStream::new(answer.into_body());
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(JwksError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Cache {
    fn wants_fetch(&self, header: &Header, now: i64) -> bool {
        let (wanted, rest) = match &self.keys {
            None => (true, REST_WITHOUT_KEYS),
            Some(keys) => (!keys.know(header) || now.abs_diff(self.fetched_at) >= FRESH, REST),
        };
        wanted && self.tried_at.is_none_or(|tried_at| now.abs_diff(tried_at) >= rest)
    }
}

/// The keys of one answer that can check a signature, by name.
struct Keys {
    by_id: HashMap<Option<String>, Vec<Key>>,
    count: usize,
}

struct Key {
    decoding: DecodingKey,
    kind: Kind,
    /// The only algorithm that the issuer uses it with, where it says so.
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
    /// Reads a JWK set (RFC 7517). Keys that can't be used are left out: a set may hold others, for encryption say.
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
        // An issuer that signs tokens has a key; an empty set is a mishap.
        if keys.count == 0 { Err(JwksError::NoKeys) } else { Ok(keys) }
    }

    /// Whether it is worth looking for this token's key here.
    fn know(&self, header: &Header) -> bool {
        header.key_id.is_none() || self.by_id.contains_key(&header.key_id)
    }

    /// A token that names no key is signed with the only one, and with none where there are several.
    fn find(&self, header: &Header) -> Option<&Key> {
        let mut candidates = match &header.key_id {
            Some(_) => self.by_id.get(&header.key_id)?.iter(),
            None if self.count == 1 => self.by_id.values().next()?.iter(),
            None => return None,
        };
        candidates.find(|key| key.serves(header.algorithm))
    }
}

impl Key {
    fn parse(jwk: Value) -> Option<(Option<String>, Self)> {
        // A private key that everyone can read proves nothing.
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
        (for_signatures && key.is_sound()).then_some((common.key_id, key))
    }

    /// Whether it has the size of its kind: for RSA, 2,048 to 8,192 bits.
    fn is_sound(&self) -> bool {
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

    fn serves(&self, algorithm: Algorithm) -> bool {
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

/// Why there are no (new) keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JwksError {
    /// `JWT_JWKS_URL` is no address.
    #[error("the address of the issuer's keys is none")]
    Address(#[from] HttpError),
    /// No connection, or one that broke.
    #[error("the issuer could not be reached")]
    Connection(#[from] ConnectorError),
    /// The answer broke off.
    #[error("the issuer's answer broke off")]
    Body(#[from] BodyError),
    /// Another status than 200.
    #[error("the issuer answered with status {0}")]
    Status(u16),
    /// No whole answer in [`PATIENCE`].
    #[error("the issuer did not answer in time")]
    TooSlow,
    /// More than [`LONGEST_ANSWER`].
    #[error("the issuer's answer is too long")]
    TooLong,
    /// Not `{"keys": […]}`.
    #[error("the issuer's answer is no set of keys")]
    NoKeySet,
    /// None for a signature that is taken.
    #[error("the issuer has no key for signatures")]
    NoKeys,
    /// A moment ago; it is not tried again yet.
    #[error("the issuer's keys could not be fetched a moment ago")]
    FailedBefore,
}
