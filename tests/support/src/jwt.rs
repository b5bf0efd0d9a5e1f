//! Signing keys for every supported algorithm, and a JWKS endpoint that can be made to fail.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::StreamExt;
use ring::{
    rand::SystemRandom,
    rsa::{self, KeyPairComponents, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The published RSA key of RFC 7515, A.2.1.
pub const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
const P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
const Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
const DP: &str = "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0";
const DQ: &str = "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU";
const QI: &str = "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U";

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A key pair and its `kid`.
pub struct Key {
    pub id: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(rsa::KeyPair),
    Curve { pair: EcdsaKeyPair, name: &'static str, algorithm: &'static str },
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub fn rsa(id: &'static str) -> Self {
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: decode(MODULUS), e: decode("AQAB") },
            d: decode(D),
            p: decode(P),
            q: decode(Q),
            dP: decode(DP),
            dQ: decode(DQ),
            qInv: decode(QI),
        };
        Self { id, pair: Pair::Rsa(rsa::KeyPair::from_components(&components).unwrap()) }
    }

    pub fn p256(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(scheme, document.as_ref(), &random).unwrap();
        Self { id, pair: Pair::Curve { pair, name: "P-256", algorithm: "ES256" } }
    }

    pub fn p384(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let scheme = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(scheme, document.as_ref(), &random).unwrap();
        Self { id, pair: Pair::Curve { pair, name: "P-384", algorithm: "ES384" } }
    }

    pub fn ed25519(id: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { id, pair: Pair::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()) }
    }

    /// Value of `alg` in a token's header, unless the test passes another header.
    pub fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Curve { algorithm, .. } => algorithm,
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key as a JWK.
    pub fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(_) => json!({ "kty": "RSA", "kid": self.id, "use": "sig", "n": MODULUS, "e": "AQAB" }),
            Pair::Curve { pair, name, algorithm } => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                json!({ "kty": "EC", "kid": self.id, "crv": name, "alg": algorithm, "x": encode(x), "y": encode(y) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "kid": self.id, "crv": "Ed25519", "x": encode(pair.public_key()) })
            }
        }
    }

    /// Signs `text`. For an RSA key, `algorithm` selects the hash; other keys ignore it.
    pub fn sign(&self, algorithm: &str, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding = match algorithm {
                    "RS512" => &RSA_PKCS1_SHA512,
                    "RS384" => &RSA_PKCS1_SHA384,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, text.as_bytes(), &mut signature).unwrap();
                signature
            }
            Pair::Curve { pair, .. } => pair.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(text.as_bytes()).as_ref().to_vec(),
        }
    }

    /// A token with these claims and the header that fits the key.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with_header(&json!({ "alg": self.algorithm(), "typ": "JWT", "kid": self.id }), claims)
    }

    /// A token with this header.
    pub fn token_with_header(&self, header: &Value, claims: &Value) -> String {
        self.token_from_text(&header.to_string(), &claims.to_string())
    }

    /// A signed token with these texts as header and claims. They need not be JSON.
    pub fn token_from_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let algorithm = ["RS384", "RS512"].into_iter().find(|name| header.contains(name)).unwrap_or(self.algorithm());
        let signature = encode(self.sign(algorithm, &signed));
        format!("{signed}.{signature}")
    }
}

/// A JWKS endpoint on a free port.
pub struct JwksServer {
    pub url: String,
    state: Arc<Shared>,
}

struct Shared {
    response: Mutex<JwksResponse>,
    fetches: AtomicUsize,
}

/// A response of the endpoint.
#[derive(Clone)]
pub enum JwksResponse {
    Keys(Vec<Value>),
    Text(u16, String),
    /// The endpoint accepts the request and never responds.
    Silence,
    /// A body that never ends.
    EndlessBody,
    /// The connection breaks inside the body.
    BrokenBody,
    /// The connection stays open inside the body, without further bytes.
    StalledBody,
}

impl JwksServer {
    /// Starts an endpoint that serves these keys.
    pub async fn start(keys: &[&Key]) -> Self {
        let state = Arc::new(Shared { response: Mutex::new(JwksResponse::Silence), fetches: AtomicUsize::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
        let router = Router::new().fallback(respond).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let server = Self { url, state };
        server.publish(keys);
        server
    }

    /// Makes the endpoint serve these keys.
    pub fn publish(&self, keys: &[&Key]) {
        self.respond_with(JwksResponse::Keys(keys.iter().map(|key| key.jwk()).collect()));
    }

    pub fn respond_with(&self, response: JwksResponse) {
        *self.state.response.lock().unwrap() = response;
    }

    /// Number of requests so far.
    pub fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }
}

async fn respond(State(state): State<Arc<Shared>>) -> Response {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    let response = state.response.lock().unwrap().clone();
    match response {
        JwksResponse::Keys(keys) => json!({ "keys": keys }).to_string().into_response(),
        JwksResponse::Text(status, text) => {
            let location = [("location", "/elsewhere")];
            (StatusCode::from_u16(status).unwrap(), location, text).into_response()
        }
        JwksResponse::Silence => std::future::pending().await,
        JwksResponse::EndlessBody => {
            let piece = Bytes::from(vec![b' '; 64 * 1024]);
            Body::from_stream(futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
                .into_response()
        }
        JwksResponse::StalledBody => {
            let beginning = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("{\"keys\":["))]);
            Body::from_stream(beginning.chain(futures_util::stream::pending())).into_response()
        }
        JwksResponse::BrokenBody => {
            let pieces = [Ok(Bytes::from("{\"keys\":[")), Err(std::io::Error::other("broken off"))];
            Body::from_stream(futures_util::stream::iter(pieces)).into_response()
        }
    }
}
