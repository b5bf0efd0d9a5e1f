//! Tokens that must be refused, and the few that must not.

use serde_json::json;
use support::Fixture;

use crate::{
    Claims, NOW, asking, authorizer, claiming, claims,
    forged::{Keys, forged},
    log::{Log, assert_untold},
    offering, status,
};
use support::jwt::{JwksServer, Key};

#[tokio::test]
async fn good_tokens_of_every_algorithm_name_their_user() {
    let keys = [Key::rsa("rsa"), Key::p256("p256"), Key::p384("p384"), Key::ed25519("ed")];
    let issuer = JwksServer::start(&keys.each_ref()).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let context = json!({ "userId": "alice", "expiresAt": NOW + 3600 });
    let rsa = |algorithm: &str| keys[0].token_with_header(&json!({ "alg": algorithm, "kid": "rsa" }), &claims());
    let mut tokens: Vec<_> = keys.iter().map(|key| key.token(&claims())).collect();
    tokens.extend(["RS256", "RS384", "RS512"].map(rsa));
    for token in &tokens {
        assert_eq!(status(&authorizer, asking(&[("token", token)])).await, (200, context.clone()));
        let offer = offering(asking(&[]), &format!("chat.v1, {token}"));
        assert_eq!(status(&authorizer, offer).await, (200, context.clone()));
        let both = offering(asking(&[("token", token), ("userId", "alice")]), &format!("chat.v2,{token},chat.v1"));
        assert_eq!(status(&authorizer, both).await, (200, context.clone()));
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn what_is_unusual_but_right_is_taken() {
    let key = Key::ed25519("ed");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    for claims in [
        claiming("aud", json!(["other", "chat"])),
        claiming("exp", NOW - 59),
        claiming("exp", NOW as f64 + 0.5),
        claiming("exp", 4_102_444_800_i64),
        claiming("nbf", NOW + 60),
        claiming("nbf", 0),
        claiming("iat", NOW + 3600),
        claiming("sub", "auth0|李雷"),
        claiming("sub", "x".repeat(128)),
        claiming("nested", json!({ "roles": ["a"], "alg": "none" })),
    ] {
        assert_eq!(status(&authorizer, asking(&[("token", &key.token(&claims))])).await.0, 200, "{claims}");
    }
    for header in [
        json!({ "alg": "EdDSA" }),
        json!({ "alg": "EdDSA", "kid": "ed", "typ": "at+jwt" }),
        json!({ "alg": "EdDSA", "kid": "ed", "typ": "application/JWT", "cty": "x", "x5t": "y" }),
    ] {
        let token = key.token_with_header(&header, &claims());
        assert_eq!(status(&authorizer, asking(&[("token", &token)])).await.0, 200, "{header}");
    }
    // White space within the JSON is JSON's own business.
    let spaced = key.token_from_text("{ \"alg\" : \"EdDSA\" }\n", &format!(" {}\r\n", claims()));
    assert_eq!(status(&authorizer, asking(&[("token", &spaced)])).await.0, 200);
}

#[tokio::test]
async fn another_claim_may_name_the_user() {
    let key = Key::ed25519("ed");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[("JWT_USER_CLAIM", "cognito:username")]).await;
    let token = key.token(&claiming("cognito:username", "bob"));
    let (code, context) = status(&authorizer, asking(&[("token", &token)])).await;
    assert_eq!((code, &context["userId"]), (200, &json!("bob")));
    assert_eq!(status(&authorizer, asking(&[("token", &key.token(&claims()))])).await.0, 403);
}

#[tokio::test]
async fn who_brings_no_token_is_told_to_authenticate() {
    let issuer = JwksServer::start(&[&Key::ed25519("ed")]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    for event in [
        asking(&[]),
        asking(&[("userId", "alice")]),
        asking(&[("Token", "a.b.c")]),
        asking(&[("token", "")]),
        offering(asking(&[("userId", "alice")]), "chat.v1"),
        offering(asking(&[]), "chat.v1, chat.v2,"),
        Fixture::named("authorizer").without("/queryStringParameters").without("/multiValueQueryStringParameters"),
    ] {
        assert_eq!(status(&authorizer, event).await.0, 401);
    }
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn every_forged_token_is_refused_and_none_is_logged() {
    let keys = Keys::new();
    let issuer = JwksServer::start(&keys.all()).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let attacks = forged(&keys, Claims { now: NOW, lasting: 0 });
    assert!(attacks.len() > 220, "{}", attacks.len());
    for (attack, token, expected) in &attacks {
        let mut events = vec![asking(&[("token", token)])];
        // What has letters that no subprotocol may have never gets here that way.
        if token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
            events.push(offering(asking(&[]), &format!("chat.v1, {token}")));
        }
        for event in events {
            let log = Log::default();
            let guard = log.listen();
            let (code, said) = status(&authorizer, event).await;
            drop(guard);
            assert_eq!(code, *expected, "{attack}: {}", log.text());
            assert!(log.text().contains("a connection was refused"), "{attack}");
            assert_untold(&log.text(), token, attack);
            assert_untold(&said.to_string(), token, attack);
        }
    }
    assert_eq!(issuer.fetches(), 1, "unknown keys, and no minute has passed");
}

#[tokio::test]
async fn a_good_token_beside_something_else_is_refused() {
    let key = Key::ed25519("ed");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[("ALLOWED_ORIGINS", "https://chat.example")]).await;
    let (alice, bob) = (&key.token(&claims()), &key.token(&claiming("sub", "bob")));
    let offer = |token: &str| format!("chat.v1, {token}");
    for (attack, event) in [
        ("two tokens", asking(&[("token", alice), ("token", bob)])),
        ("a token twice", asking(&[("token", alice), ("token", alice)])),
        ("a token and an empty one", asking(&[("token", alice), ("token", "")])),
        ("another token as subprotocol", offering(asking(&[("token", alice)]), &offer(bob))),
        ("an empty one, and one as subprotocol", offering(asking(&[("token", "")]), &offer(alice))),
        ("two as subprotocols", offering(asking(&[]), &format!("chat.v1, {alice}, {bob}"))),
        ("one twice as subprotocol", offering(asking(&[]), &format!("chat.v1, {alice}, {alice}"))),
        ("another protocol", offering(asking(&[]), &format!("chat.v1, graphql-ws, {alice}"))),
        ("another user", asking(&[("token", alice), ("userId", "bob")])),
        ("another spelling", asking(&[("token", alice), ("userId", "Alice")])),
        ("no user", asking(&[("token", alice), ("userId", "")])),
        ("two users", asking(&[("token", alice), ("userId", "alice"), ("userId", "bob")])),
        ("a user twice", asking(&[("token", alice), ("userId", "alice"), ("userId", "alice")])),
        (
            "a foreign page",
            asking(&[("token", alice)]).set("/multiValueHeaders/Origin", json!(["https://evil.example"])),
        ),
        (
            "two headers",
            offering(asking(&[]), "x")
                .set("/multiValueHeaders/Sec-WebSocket-Protocol", json!([offer(alice), offer(bob)])),
        ),
    ] {
        let log = Log::default();
        let guard = log.listen();
        assert_eq!(status(&authorizer, event).await.0, 403, "{attack}");
        drop(guard);
        assert_untold(&log.text(), alice, attack);
    }
    assert_eq!(status(&authorizer, offering(asking(&[("token", alice)]), &offer(alice))).await.0, 200);
}
