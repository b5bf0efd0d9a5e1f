//! The issuer's keys: when they are fetched, which are used, and failures of the issuer.

use serde_json::json;
use tokio::net::TcpListener;

use crate::{NOW, at, authorizer, claiming, claims, connect, request, status};
use support::jwt::{JwksResponse, JwksServer, Key, encode};

/// Connects `seconds` after [`NOW`].
async fn connect_at(authorizer: &authorizer::Context, seconds: i64, token: &str) -> u16 {
    status(authorizer, at(request(&[("token", token)]), NOW + seconds)).await.0
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_tokens() {
    let key = Key::ed25519("a");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    assert_eq!(issuer.fetches(), 0);
    let token = key.token(&claims());
    let at_once = (0..20).map(|_| connect(&authorizer, &token));
    assert_eq!(futures_util::future::join_all(at_once).await, [200; 20]);
    assert_eq!(connect_at(&authorizer, 599, &token).await, 200);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_without_a_restart_and_an_old_one_is_dropped() {
    let (old, new) = (Key::ed25519("old"), Key::p256("new"));
    let issuer = JwksServer::start(&[&old]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let (by_old, by_new) = (old.token(&claims()), new.token(&claims()));
    assert_eq!(connect_at(&authorizer, 0, &by_old).await, 200);

    issuer.publish(&[&old, &new]);
    assert_eq!(connect_at(&authorizer, 59, &by_new).await, 401, "within a minute of the last fetch");
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(connect_at(&authorizer, 60, &by_new).await, 200);
    assert_eq!(connect_at(&authorizer, 61, &by_old).await, 200);
    assert_eq!(issuer.fetches(), 2);

    issuer.publish(&[&new]);
    assert_eq!(connect_at(&authorizer, 659, &by_old).await, 200, "until the keys are ten minutes old");
    assert_eq!(connect_at(&authorizer, 660, &by_old).await, 401);
    assert_eq!(connect_at(&authorizer, 661, &by_new).await, 200);
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn unknown_key_ids_cause_one_fetch_a_minute() {
    let key = Key::ed25519("a");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    for seconds in 0..180 {
        let token = key.token_with_header(&json!({ "alg": "EdDSA", "kid": format!("made up {seconds}") }), &claims());
        assert_eq!(connect_at(&authorizer, seconds, &token).await, 401);
    }
    assert_eq!(issuer.fetches(), 3);
    // A text that is not a token, or has no key id, causes no fetch.
    for token in ["x", &key.token_with_header(&json!({ "alg": "none", "kid": "b" }), &claims())] {
        assert_eq!(connect_at(&authorizer, 400, token).await, 401);
    }
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn the_last_valid_keys_stay_in_use_if_a_fetch_fails() {
    let key = Key::ed25519("a");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let token = key.token(&claiming("exp", NOW + 86_400));
    assert_eq!(connect_at(&authorizer, 0, &token).await, 200);
    let mut fetches = 1;
    for response in [
        JwksResponse::Text(500, "down".to_owned()),
        JwksResponse::Text(404, String::new()),
        JwksResponse::Text(302, String::new()),
        JwksResponse::Text(204, String::new()),
        JwksResponse::Text(200, String::new()),
        JwksResponse::Text(200, "<html>".to_owned()),
        JwksResponse::Text(200, "[]".to_owned()),
        JwksResponse::Text(200, "{}".to_owned()),
        JwksResponse::Text(200, "{\"keys\":{}}".to_owned()),
        JwksResponse::Text(200, format!("{{\"keys\":{}", "[".repeat(10_000))),
        JwksResponse::Keys(vec![]),
        JwksResponse::Keys(vec![json!(null), json!(1), json!("x"), json!({})]),
        JwksResponse::EndlessBody,
        JwksResponse::BrokenBody,
    ] {
        issuer.respond_with(response);
        let minute = fetches as i64 * 660;
        for seconds in [0, 1, 59] {
            assert_eq!(connect_at(&authorizer, minute + seconds, &token).await, 200);
        }
        fetches += 1;
        assert_eq!(issuer.fetches(), fetches);
    }
}

#[tokio::test]
async fn without_keys_a_connection_fails_and_the_next_fetch_is_soon() {
    let key = Key::ed25519("a");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let token = key.token(&claims());
    issuer.respond_with(JwksResponse::Text(503, "down".to_owned()));
    for seconds in 0..5 {
        assert_eq!(connect_at(&authorizer, seconds, &token).await, 500);
    }
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(&[&key]);
    assert_eq!(connect_at(&authorizer, 5, &token).await, 200);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn an_unreachable_issuer_is_a_fault_of_the_service() {
    let mut issuer = JwksServer::start(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    issuer.url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let authorizer = authorizer(&issuer, &[]).await;
    assert_eq!(connect(&authorizer, &Key::ed25519("a").token(&claims())).await, 500);
}

#[tokio::test]
async fn a_silent_issuer_times_out() {
    let key = Key::ed25519("a");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let token = key.token(&claims());
    issuer.respond_with(JwksResponse::Silence);
    let began = std::time::Instant::now();
    let both = futures_util::future::join(connect(&authorizer, &token), connect(&authorizer, &token));
    assert_eq!(both.await, (500, 500), "the second connection shares the fetch");
    assert!(began.elapsed().as_secs() < 6, "{:?}", began.elapsed());
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn with_keys_a_slow_issuer_delays_one_connection_a_minute_and_refuses_none() {
    let key = Key::ed25519("a");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let token = key.token(&claims());
    let unknown = key.token_with_header(&json!({ "alg": "EdDSA", "kid": "b" }), &claims());
    assert_eq!(connect_at(&authorizer, 0, &token).await, 200);
    // Silent before the response, and in the middle of it.
    for (response, seconds, fetches) in [(JwksResponse::Silence, 600, 2), (JwksResponse::StalledBody, 660, 3)] {
        issuer.respond_with(response);
        assert_eq!(connect_at(&authorizer, seconds, &token).await, 200);
        for second in 1..60 {
            assert_eq!(connect_at(&authorizer, seconds + second, &token).await, 200);
            assert_eq!(connect_at(&authorizer, seconds + second, &unknown).await, 401);
        }
        assert_eq!(issuer.fetches(), fetches);
    }
}

#[tokio::test]
async fn unknown_key_ids_do_not_overload_an_issuer_that_is_down() {
    let key = Key::ed25519("a");
    let issuer = JwksServer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    assert_eq!(connect_at(&authorizer, 0, &key.token(&claims())).await, 200);
    issuer.respond_with(JwksResponse::Text(503, String::new()));
    for seconds in 1..=120 {
        let token = key.token_with_header(&json!({ "alg": "EdDSA", "kid": format!("b{seconds}") }), &claims());
        assert_eq!(connect_at(&authorizer, seconds, &token).await, 401);
    }
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn a_key_without_an_id_is_replaced_within_ten_minutes() {
    let nameless = |key: &Key| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        JwksResponse::Keys(vec![jwk])
    };
    let (old, new) = (Key::ed25519("old"), Key::ed25519("new"));
    let token = |key: &Key| key.token_with_header(&json!({ "alg": "EdDSA" }), &claims());
    let issuer = JwksServer::start(&[]).await;
    issuer.respond_with(nameless(&old));
    let authorizer = authorizer(&issuer, &[]).await;
    assert_eq!(connect_at(&authorizer, 0, &token(&old)).await, 200);
    issuer.respond_with(nameless(&new));
    assert_eq!(connect_at(&authorizer, 599, &token(&new)).await, 401, "an invalid signature causes no fetch");
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(connect_at(&authorizer, 600, &token(&new)).await, 200);
    assert_eq!(connect_at(&authorizer, 601, &token(&old)).await, 401);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn the_right_one_of_ten_thousand_keys_is_found() {
    let (key, stranger) = (Key::rsa("the one"), Key::ed25519("stranger"));
    let issuer = JwksServer::start(&[]).await;
    let mut keys: Vec<_> = (0..10_000)
        .map(|number| {
            let mut jwk = key.jwk();
            jwk["kid"] = json!(format!("key {number}"));
            jwk
        })
        .collect();
    keys.insert(5_000, key.jwk());
    issuer.respond_with(JwksResponse::Keys(keys));
    let authorizer = authorizer(&issuer, &[]).await;
    assert_eq!(connect(&authorizer, &key.token(&claims())).await, 200);
    assert_eq!(connect(&authorizer, &stranger.token(&claims())).await, 401);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn invalid_keys_are_not_used() {
    let (rsa, ed, p256) = (Key::rsa("k"), Key::ed25519("k"), Key::p256("k"));
    for (name, key, change) in [
        ("for encryption", &ed, json!({ "use": "enc" })),
        ("for signing only", &ed, json!({ "key_ops": ["sign"] })),
        ("another algorithm", &ed, json!({ "alg": "ES256" })),
        ("an unknown algorithm", &ed, json!({ "alg": "XY1" })),
        ("RS512 only", &rsa, json!({ "alg": "RS512" })),
        ("a private key", &ed, json!({ "d": "AAAA" })),
        ("a private RSA key", &rsa, json!({ "d": "AAAA", "p": "AAAA", "q": "AAAA" })),
        ("a private key, empty", &ed, json!({ "d": "" })),
        ("for wrapping", &ed, json!({ "use": "sig", "key_ops": ["wrapKey"] })),
        ("for no operation", &ed, json!({ "key_ops": [] })),
        ("operations no list", &ed, json!({ "key_ops": "verify" })),
        ("a purpose that is none", &ed, json!({ "use": 1 })),
        ("a name that is a number", &ed, json!({ "kid": 7 })),
        ("a name that is a list", &ed, json!({ "kid": ["k"] })),
        ("no name", &ed, json!({ "kid": null })),
        ("the algorithm as a list", &ed, json!({ "alg": ["EdDSA"] })),
        ("an even modulus", &rsa, json!({ "n": encode([0xfe; 256]) })),
        ("an even exponent", &rsa, json!({ "e": "Ag" })),
        ("a huge exponent", &rsa, json!({ "e": encode([0xff; 256]) })),
        ("a leading zero", &rsa, json!({ "n": encode([&[0][..], &[0xff; 128]].concat()) })),
        ("a shared secret", &ed, json!({ "kty": "oct", "k": "AAAA" })),
        ("no kind", &ed, json!({ "kty": "X" })),
        ("another curve", &ed, json!({ "crv": "X25519" })),
        ("another curve", &p256, json!({ "crv": "P-384" })),
        ("another curve", &p256, json!({ "crv": "P-521" })),
        ("another curve", &p256, json!({ "crv": "secp256k1" })),
        ("half a point", &p256, json!({ "y": "" })),
        ("not on the curve", &p256, json!({ "y": encode([1; 32]) })),
        ("too short", &ed, json!({ "x": encode([1; 31]) })),
        ("too long", &ed, json!({ "x": encode([1; 33]) })),
        ("of small order", &ed, json!({ "x": encode([0; 32]) })),
        ("not base64", &ed, json!({ "x": "!" })),
        ("1,024 bits", &rsa, json!({ "n": encode([0xff; 128]) })),
        ("16,384 bits", &rsa, json!({ "n": encode(vec![0xff; 2048]) })),
        ("exponent 1", &rsa, json!({ "e": "AQ" })),
        ("no exponent", &rsa, json!({ "e": "" })),
    ] {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let issuer = JwksServer::start(&[]).await;
        // With a valid key beside it, so that the set is valid.
        issuer.respond_with(JwksResponse::Keys(vec![jwk, Key::ed25519("other").jwk()]));
        let authorizer = authorizer(&issuer, &[]).await;
        assert_eq!(connect(&authorizer, &key.token(&claims())).await, 401, "{name}");
    }
}

#[tokio::test]
async fn of_two_keys_with_one_id_and_kind_the_first_is_used() {
    let (first, second) = (Key::ed25519("k"), Key::ed25519("k"));
    let issuer = JwksServer::start(&[&first, &second]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    assert_eq!(connect(&authorizer, &first.token(&claims())).await, 200);
    assert_eq!(connect(&authorizer, &second.token(&claims())).await, 401);
    // A token without a key id matches neither.
    assert_eq!(connect(&authorizer, &first.token_with_header(&json!({ "alg": "EdDSA" }), &claims())).await, 401);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_key_set_can_contain_two_kinds_with_one_id() {
    let (rsa, ed) = (Key::rsa("k"), Key::ed25519("k"));
    let issuer = JwksServer::start(&[&rsa, &ed]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    for key in [&rsa, &ed] {
        assert_eq!(connect(&authorizer, &key.token(&claims())).await, 200);
    }
}
