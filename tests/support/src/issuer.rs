//! An issuer of tokens that serves its keys, for the whole system in JWT mode.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, routing::get};
use serde_json::json;
use tokio::net::TcpListener;
use ws_local::{issuer, system::SystemOptions};

/// What `iss` and `aud` of its tokens are.
const NAME: &str = "tests";

/// The issuer of the local system, served on a port of its own.
pub struct Issuer {
    issuer: issuer::Issuer,
    url: String,
}

impl Issuer {
    /// Makes its key in this folder, and serves the public half on a free port.
    pub async fn start(folder: &Path) -> Self {
        let issuer = issuer::Issuer::open(folder).unwrap_or_else(|error| panic!("{error:?}"));
        let keys = issuer.jwks();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/jwks.json", listener.local_addr().expect("a bound socket has an address"));
        let router = Router::new().route("/jwks.json", get(async || Json(keys)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, url }
    }

    /// Lets the system take this issuer's tokens and no other's.
    pub fn trusted_by(&self, options: &mut SystemOptions) {
        for (name, value) in
            [("AuthMode", "jwt"), ("JwtJwksUrl", self.url.as_str()), ("JwtIssuer", NAME), ("JwtAudience", NAME)]
        {
            options.parameters.insert(name.to_owned(), value.to_owned());
        }
    }

    /// A token of this user that expires so many seconds from now, or did so many ago.
    pub fn token(&self, user: &str, expires_in: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs() as i64;
        self.issuer.token(&json!({ "iss": NAME, "aud": NAME, "sub": user, "exp": now + expires_in }))
    }
}
