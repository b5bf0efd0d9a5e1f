//! `LocalIssuer`: the token issuer of `ws-local` with a JWKS endpoint, for the whole system in JWT mode.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, routing::get};
use serde_json::json;
use tokio::net::TcpListener;
use ws_local::{issuer, system::SystemOptions};

/// `iss` and `aud` of its tokens.
const NAME: &str = "tests";

/// Signs tokens, and serves the public key on a free port.
pub struct LocalIssuer {
    issuer: issuer::Issuer,
    url: String,
}

impl LocalIssuer {
    /// Starts an issuer with the key in `folder`. Creates the key if there is none.
    pub async fn start(folder: &Path) -> Self {
        let issuer = issuer::Issuer::open(folder).unwrap_or_else(|error| panic!("{error:?}"));
        let keys = issuer.jwks();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/jwks.json", listener.local_addr().expect("a bound socket has an address"));
        let router = Router::new().route("/jwks.json", get(async || Json(keys)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, url }
    }

    /// Makes the system accept only tokens from this issuer.
    pub fn trusted_by(&self, options: &mut SystemOptions) {
        for (name, value) in
            [("AuthMode", "jwt"), ("JwtJwksUrl", self.url.as_str()), ("JwtIssuer", NAME), ("JwtAudience", NAME)]
        {
            options.parameters.insert(name.to_owned(), value.to_owned());
        }
    }

    /// A token for `user`. `expires_in` is in seconds; a negative value makes an expired token.
    pub fn token(&self, user: &str, expires_in: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs() as i64;
        self.issuer.token(&json!({ "iss": NAME, "aud": NAME, "sub": user, "exp": now + expires_in }))
    }
}
