//! Tokens that the authorizer must refuse, and unusual ones that it must accept.

use serde_json::json;
use support::Fixture;

use crate::{
    Claims, NOW, authorizer, claiming, claims,
    forged::{Keys, forged},
    log::{Log, assert_absent},
    offering, request, status,
};
use support::jwt::{JwksServer, Key};

#[tokio::test]
async fn valid_tokens_of_every_algorithm_identify_their_user() {
    let keys = [Key::rsa("rsa"), Key::p256("p256"), Key::p384("p384"), Key::ed25519("ed")];
    let issuer = JwksServer::start(&keys.each_ref()).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let context = json!({ "userId": "alice", "expiresAt": (NOW + 3600).to_string() });
    let rsa = |algorithm: &str| keys[0].token_with_header(&json!({ "alg": algorithm, "kid": "rsa" }), &claims());
    let mut tokens: Vec<_> = keys.iter().map(|key| key.token(&claims())).collect();
    tokens.extend(["RS256", "RS384", "RS512"].map(rsa));
    for token in &tokens {
        assert_eq!(status(&authorizer, request(&[("token", token)])).await, (200, context.clone()));
        let offer = offering(request(&[]), &format!("chat.v1, {token}"));
        assert_eq!(status(&authorizer, offer).await, (200, context.clone()));
        let both = offering(request(&[("token", token), ("userId", "alice")]), &format!("chat.v2,{token},chat.v1"));
        assert_eq!(status(&authorizer, both).await, (200, context.clone()));
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn an_unusual_but_valid_token_is_accepted() {
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
        assert_eq!(status(&authorizer, request(&[("token", &key.token(&claims))])).await.0, 200, "{claims}");
    }
    for header in [
        json!({ "alg": "EdDSA" }),
        json!({ "alg": "EdDSA", "kid": "ed", "typ": "at+jwt" }),
        json!({ "alg": "EdDSA", "kid": "ed", "typ": "application/JWT", "cty": "x", "x5t": "y" }),
    ] {
        let token = key.token_with_header(&header, &claims());
        assert_eq!(status(&authorizer, request(&[("token", &token)])).await.0, 200, "{header}");
    }
    // White space is allowed in JSON.
    let spaced = key.token_from_text("{ \"alg\" : \"EdDSA\" }\n", &format!(" {}\r\n", claims()));
    assert_eq!(status(&authorizer, request(&[("token", &spaced)])).await.0, 200);
}

#[tokio::test]
async fn another_claim_can_contain_the_user_id() {
    let key = Key::ed25519("ed");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[("JWT_USER_CLAIM", "cognito:username")]).await;
    let token = key.token(&claiming("cognito:username", "bob"));
    let (code, context) = status(&authorizer, request(&[("token", &token)])).await;
    assert_eq!((code, &context["userId"]), (200, &json!("bob")));
    assert_eq!(status(&authorizer, request(&[("token", &key.token(&claims()))])).await.0, 403);
}

#[tokio::test]
async fn a_client_without_a_token_gets_401() {
    let issuer = JwksServer::start(&[&Key::ed25519("ed")]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    for event in [
        request(&[]),
        request(&[("userId", "alice")]),
        request(&[("Token", "a.b.c")]),
        request(&[("token", "")]),
        offering(request(&[("userId", "alice")]), "chat.v1"),
        offering(request(&[]), "chat.v1, chat.v2,"),
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
        let mut events = vec![request(&[("token", token)])];
        // A client can't send other characters in a subprotocol.
        if token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
            events.push(offering(request(&[]), &format!("chat.v1, {token}")));
        }
        for event in events {
            let log = Log::default();
            let guard = log.listen();
            let (code, context) = status(&authorizer, event).await;
            drop(guard);
            assert_eq!(code, *expected, "{attack}: {}", log.text());
            assert!(log.text().contains("a connection was refused"), "{attack}");
            assert_absent(&log.text(), token, attack);
            assert_absent(&context.to_string(), token, attack);
        }
    }
    assert_eq!(issuer.fetches(), 1, "no second fetch for unknown keys within a minute");
}

#[tokio::test]
async fn a_valid_token_with_a_contradiction_is_refused() {
    let key = Key::ed25519("ed");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[("ALLOWED_ORIGINS", "https://chat.example")]).await;
    let (alice, bob) = (&key.token(&claims()), &key.token(&claiming("sub", "bob")));
    let offer = |token: &str| format!("chat.v1, {token}");
    for (attack, event) in [
        ("two tokens", request(&[("token", alice), ("token", bob)])),
        ("a token twice", request(&[("token", alice), ("token", alice)])),
        ("a token and an empty one", request(&[("token", alice), ("token", "")])),
        ("another token as subprotocol", offering(request(&[("token", alice)]), &offer(bob))),
        ("an empty one, and one as subprotocol", offering(request(&[("token", "")]), &offer(alice))),
        ("two as subprotocols", offering(request(&[]), &format!("chat.v1, {alice}, {bob}"))),
        ("one twice as subprotocol", offering(request(&[]), &format!("chat.v1, {alice}, {alice}"))),
        ("another protocol", offering(request(&[]), &format!("chat.v1, graphql-ws, {alice}"))),
        ("another user", request(&[("token", alice), ("userId", "bob")])),
        ("another spelling", request(&[("token", alice), ("userId", "Alice")])),
        ("no user", request(&[("token", alice), ("userId", "")])),
        ("two users", request(&[("token", alice), ("userId", "alice"), ("userId", "bob")])),
        ("a user twice", request(&[("token", alice), ("userId", "alice"), ("userId", "alice")])),
        (
            "another origin",
            request(&[("token", alice)]).set("/multiValueHeaders/Origin", json!(["https://evil.example"])),
        ),
        (
            "two headers",
            offering(request(&[]), "x")
                .set("/multiValueHeaders/Sec-WebSocket-Protocol", json!([offer(alice), offer(bob)])),
        ),
    ] {
        let log = Log::default();
        let guard = log.listen();
        assert_eq!(status(&authorizer, event).await.0, 403, "{attack}");
        drop(guard);
        assert_absent(&log.text(), alice, attack);
    }
    assert_eq!(status(&authorizer, offering(request(&[("token", alice)]), &offer(alice))).await.0, 200);
}
