//! Tokens, offers and sets of keys as chance would make them from good ones: no panic, and nobody let in who isn't meant.

use authorizer::Context;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::FakeAws;
use tokio::runtime::Runtime;

use crate::{NOW, asking, claiming, claims, offering, status};
use support::jwt::{Issuer, Key, Mood};

/// An issuer with one key, and what makes authorizers that know nothing of it yet.
struct Scene {
    runtime: Runtime,
    key: Key,
    issuer: Issuer,
    aws: FakeAws,
}

impl Scene {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let key = Key::ed25519("ed");
        let issuer = runtime.block_on(Issuer::start(&[&key]));
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
        self.runtime.block_on(status(authorizer, asking(&[("token", token)])))
    }
}

#[test]
fn a_token_with_one_letter_changed_is_another_token() {
    let scene = Scene::new();
    let authorizer = scene.authorizer();
    let good = scene.key.token(&claims());
    proptest!(support::strategies::cases(1_000), |(token in support::strategies::changed(vec![good.clone()]))| {
        let (code, _) = scene.connect(&authorizer, &token);
        prop_assert_eq!(code, if token == good { 200 } else { 401 });
    });
}

#[test]
fn what_the_issuer_signs_is_taken_only_where_it_says_all_that_it_must() {
    let scene = Scene::new();
    let authorizer = scene.authorizer();
    let headers = [
        json!({ "alg": "EdDSA", "kid": "ed", "typ": "JWT" }),
        json!({ "alg": "EdDSA", "crit": ["exp"], "b64": false, "jwk": { "kty": "OKP" } }),
    ];
    let payloads = [claims(), claiming("nbf", NOW), claiming("aud", json!(["chat", "other"])), claiming("iat", 1.5)];
    let headers = support::strategies::changed(headers.map(|header| header.to_string()).into());
    let payloads = support::strategies::changed(payloads.map(|payload| payload.to_string()).into());
    proptest!(support::strategies::cases(1_000), |(header in headers, payload in payloads)| {
        let (code, context) = scene.connect(&authorizer, &scene.key.token_of_text(&header, &payload));
        prop_assert!([200, 401, 403].contains(&code), "{code}: {context}");
        if code == 200 {
            let header: Value = serde_json::from_str(&header).unwrap();
            prop_assert_eq!((&header["alg"], header.get("crit")), (&json!("EdDSA"), None));
            let said: Value = serde_json::from_str(&payload).unwrap();
            prop_assert_eq!(&said["sub"], &context["userId"]);
            prop_assert_eq!(&said["iss"], "https://issuer.example/");
            prop_assert!(said["aud"] == "chat" || said["aud"].as_array().unwrap().contains(&json!("chat")));
            prop_assert!(said["exp"].as_f64().unwrap() > (NOW - 60) as f64);
        }
    });
}

#[test]
fn offers_of_any_shape_let_in_nobody_but_the_token_s_user() {
    let scene = Scene::new();
    let authorizer = scene.authorizer();
    let good = scene.key.token(&claims());
    let offers = [format!("chat.v1, {good}"), format!("{good},chat.v2,chat.v1"), good.clone(), ",,chat.v1,".to_owned()];
    let users = support::strategies::changed(["alice", "", "bob", "alice&userId=bob"].map(str::to_owned).into());
    proptest!(support::strategies::cases(1_000), |(offer in support::strategies::changed(offers.into()), users in prop::collection::vec(users, 0..3))| {
        let query: Vec<_> = users.iter().map(|user| ("userId", user.as_str())).collect();
        let (code, context) = scene.runtime.block_on(status(&authorizer, offering(asking(&query), &offer)));
        prop_assert!([200, 401, 403].contains(&code), "{code}: {context}");
        if code == 200 {
            prop_assert!(offer.split(',').any(|part| part.trim() == good));
            prop_assert_eq!(&context["userId"], "alice");
            prop_assert!(users.is_empty() || users == ["alice"]);
        }
    });
}

#[test]
fn a_broken_set_of_keys_is_no_set_or_lacks_the_key() {
    let scene = Scene::new();
    let stranger = Key::ed25519("ed");
    let (token, forged) = (scene.key.token(&claims()), stranger.token(&claims()));
    let jwks = [
        json!({ "keys": [scene.key.jwk()] }),
        json!({ "keys": [Key::rsa("rsa").jwk(), scene.key.jwk(), Key::p256("p256").jwk()] }),
    ];
    let jwks = support::strategies::changed(jwks.map(|set| set.to_string()).into());
    proptest!(support::strategies::cases(250), |(set in jwks)| {
        scene.issuer.be(Mood::Text(200, set));
        let authorizer = scene.authorizer();
        let (code, said) = scene.connect(&authorizer, &token);
        prop_assert!([200, 401, 500].contains(&code), "{code}: {said}");
        prop_assert!([401, 500].contains(&scene.connect(&authorizer, &forged).0));
    });
}
