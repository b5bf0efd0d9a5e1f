//! Random mutations of valid tokens, subprotocols and key sets: no panic, and no other user is identified.

use authorizer::Context;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::FakeAws;
use tokio::runtime::Runtime;

use crate::{NOW, claiming, claims, offering, request, status};
use support::jwt::{JwksResponse, JwksServer, Key};

/// An issuer with one key, and authorizers that have not fetched it.
struct Scene {
    runtime: Runtime,
    key: Key,
    issuer: JwksServer,
    aws: FakeAws,
}

impl Scene {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let key = Key::ed25519("ed");
        let issuer = runtime.block_on(JwksServer::start(&[&key]));
        let aws = runtime.block_on(FakeAws::start());
        Self { runtime, key, issuer, aws }
    }

    fn authorizer(&self) -> Context {
        let variables = [
            ("AUTH_MODE", "jwt"),
            ("JWT_JWKS_URL", self.issuer.url.as_str()),
            ("JWT_ISSUER", "https://issuer.example/"),
            ("JWT_AUDIENCE", "chat"),
        ];
        self.aws.try_context(&variables).unwrap()
    }

    fn connect(&self, authorizer: &Context, token: &str) -> (u16, Value) {
        self.runtime.block_on(status(authorizer, request(&[("token", token)])))
    }
}

#[test]
fn a_mutated_token_is_refused() {
    let scene = Scene::new();
    let authorizer = scene.authorizer();
    let valid = scene.key.token(&claims());
    proptest!(support::strategies::cases(1_000), |(token in support::strategies::mutated(vec![valid.clone()]))| {
        let (code, _) = scene.connect(&authorizer, &token);
        prop_assert_eq!(code, if token == valid { 200 } else { 401 });
    });
}

#[test]
fn a_signed_token_is_accepted_only_with_every_required_claim() {
    let scene = Scene::new();
    let authorizer = scene.authorizer();
    let headers = [
        json!({ "alg": "EdDSA", "kid": "ed", "typ": "JWT" }),
        json!({ "alg": "EdDSA", "crit": ["exp"], "b64": false, "jwk": { "kty": "OKP" } }),
    ];
    let payloads = [claims(), claiming("nbf", NOW), claiming("aud", json!(["chat", "other"])), claiming("iat", 1.5)];
    let headers = support::strategies::mutated(headers.map(|header| header.to_string()).into());
    let payloads = support::strategies::mutated(payloads.map(|payload| payload.to_string()).into());
    proptest!(support::strategies::cases(1_000), |(header in headers, payload in payloads)| {
        let (code, context) = scene.connect(&authorizer, &scene.key.token_from_text(&header, &payload));
        prop_assert!([200, 401, 403].contains(&code), "{code}: {context}");
        if code == 200 {
            let header: Value = serde_json::from_str(&header).unwrap();
            prop_assert_eq!((&header["alg"], header.get("crit")), (&json!("EdDSA"), None));
            let claims: Value = serde_json::from_str(&payload).unwrap();
            prop_assert_eq!(&context["userId"], &support::in_context(claims["sub"].as_str().unwrap()));
            prop_assert_eq!(&claims["iss"], "https://issuer.example/");
            prop_assert!(claims["aud"] == "chat" || claims["aud"].as_array().unwrap().contains(&json!("chat")));
            prop_assert!(claims["exp"].as_f64().unwrap() > (NOW - 60) as f64);
        }
    });
}

#[test]
fn offers_of_any_shape_identify_only_the_tokens_user() {
    let scene = Scene::new();
    let authorizer = scene.authorizer();
    let valid = scene.key.token(&claims());
    let offers =
        [format!("chat.v1, {valid}"), format!("{valid},chat.v2,chat.v1"), valid.clone(), ",,chat.v1,".to_owned()];
    let users = support::strategies::mutated(["alice", "", "bob", "alice&userId=bob"].map(str::to_owned).into());
    proptest!(support::strategies::cases(1_000), |(offer in support::strategies::mutated(offers.into()), users in prop::collection::vec(users, 0..3))| {
        let query: Vec<_> = users.iter().map(|user| ("userId", user.as_str())).collect();
        let (code, context) = scene.runtime.block_on(status(&authorizer, offering(request(&query), &offer)));
        prop_assert!([200, 401, 403].contains(&code), "{code}: {context}");
        if code == 200 {
            prop_assert!(offer.split(',').any(|part| part.trim() == valid));
            prop_assert_eq!(&context["userId"], "alice");
            prop_assert!(users.is_empty() || users == ["alice"]);
        }
    });
}

#[test]
fn a_mutated_key_set_accepts_no_foreign_token() {
    let scene = Scene::new();
    let stranger = Key::ed25519("ed");
    let (token, forged) = (scene.key.token(&claims()), stranger.token(&claims()));
    let jwks = [
        json!({ "keys": [scene.key.jwk()] }),
        json!({ "keys": [Key::rsa("rsa").jwk(), scene.key.jwk(), Key::p256("p256").jwk()] }),
    ];
    let jwks = support::strategies::mutated(jwks.map(|set| set.to_string()).into());
    proptest!(support::strategies::cases(250), |(set in jwks)| {
        scene.issuer.respond_with(JwksResponse::Text(200, set));
        let authorizer = scene.authorizer();
        let (code, context) = scene.connect(&authorizer, &token);
        prop_assert!([200, 401, 500].contains(&code), "{code}: {context}");
        prop_assert!([401, 500].contains(&scene.connect(&authorizer, &forged).0));
    });
}
