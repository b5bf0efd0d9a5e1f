//! Tokens that must be refused, and the few that must not.

use std::{
    io,
    sync::{Arc, Mutex},
};

use ring::hmac;
use serde_json::{Value, json};
use testkit::Event;

use crate::{
    NOW, asking, authorizer, claiming, claims,
    issuer::{Issuer, Key, MODULUS, encode},
    offering, status, without,
};

/// Everything that is logged on this thread, at the most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || log.clone());
        tracing::subscriber::set_default(lines.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing of a token that is long enough to be told from chance.
#[track_caller]
fn assert_untold(log: &str, token: &str, attack: &str) {
    for part in token.split('.').filter(|part| part.len() >= 16) {
        assert!(!log.contains(&part[..16]), "{attack}: a piece of the token is logged: {log}");
    }
}

#[tokio::test]
async fn good_tokens_of_every_algorithm_name_their_user() {
    let keys = [Key::rsa("rsa"), Key::p256("p256"), Key::p384("p384"), Key::ed25519("ed")];
    let issuer = Issuer::start(&keys.each_ref()).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let context = json!({ "userId": "alice", "expiresAt": NOW + 3600 });
    let rsa = |algorithm: &str| keys[0].token_of(&json!({ "alg": algorithm, "kid": "rsa" }), &claims());
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
    let issuer = Issuer::start(&[&key]).await;
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
        let token = key.token_of(&header, &claims());
        assert_eq!(status(&authorizer, asking(&[("token", &token)])).await.0, 200, "{header}");
    }
    // White space within the JSON is JSON's own business.
    let spaced = key.token_of_text("{ \"alg\" : \"EdDSA\" }\n", &format!(" {}\r\n", claims()));
    assert_eq!(status(&authorizer, asking(&[("token", &spaced)])).await.0, 200);
}

#[tokio::test]
async fn another_claim_may_name_the_user() {
    let key = Key::ed25519("ed");
    let issuer = Issuer::start(&[&key]).await;
    let authorizer = authorizer(&issuer, &[("JWT_USER_CLAIM", "cognito:username")]).await;
    let token = key.token(&claiming("cognito:username", "bob"));
    let (code, context) = status(&authorizer, asking(&[("token", &token)])).await;
    assert_eq!((code, &context["userId"]), (200, &json!("bob")));
    assert_eq!(status(&authorizer, asking(&[("token", &key.token(&claims()))])).await.0, 403);
}

#[tokio::test]
async fn who_brings_no_token_is_told_to_authenticate() {
    let issuer = Issuer::start(&[&Key::ed25519("ed")]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    for event in [
        asking(&[]),
        asking(&[("userId", "alice")]),
        asking(&[("Token", "a.b.c")]),
        asking(&[("token", "")]),
        offering(asking(&[("userId", "alice")]), "chat.v1"),
        offering(asking(&[]), "chat.v1, chat.v2,"),
        Event::of("authorizer").without("/queryStringParameters").without("/multiValueQueryStringParameters"),
    ] {
        assert_eq!(status(&authorizer, event).await.0, 401);
    }
    assert_eq!(issuer.fetches(), 0);
}

/// Each attack by its name, the token, and the status that it gets.
fn forged(rsa: &Key, ed: &Key, p256: &Key, p384: &Key) -> Vec<(String, String, u16)> {
    let mut attacks: Vec<(String, String, u16)> = Vec::new();
    let mut attack = |name: &str, token: String, status: u16| attacks.push((name.to_owned(), token, status));
    let good = ed.token(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let ed_header = |more: Value| {
        let mut header = json!({ "alg": "EdDSA", "kid": "ed" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header
    };

    // RFC 7515 A.1 to A.3 and RFC 7519 3.1: signed, but expired long ago, and for nobody here. RFC 7519 6.1: not signed.
    const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    attack(
        "RFC 7515 A.1",
        format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        401,
    );
    attack(
        "RFC 7515 A.2",
        format!(
            "eyJhbGciOiJSUzI1NiJ9.{JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        ),
        401,
    );
    attack(
        "RFC 7515 A.3",
        format!(
            "eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        ),
        401,
    );
    attack("RFC 7519 6.1", format!("eyJhbGciOiJub25lIn0.{JOE}."), 401);
    attack("RFC 8037 A.4", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg".to_owned(), 401);

    for algorithm in
        ["none", "None", "NONE", "nOnE", "", "HS256", "PS256", "ES512", "ES256K", "Ed448", "eddsa", "EdDSA "]
    {
        let header = encode(json!({ "alg": algorithm, "kid": "ed" }).to_string());
        attack(&format!("alg {algorithm:?} unsigned"), format!("{header}.{payload}."), 401);
        attack(
            &format!("alg {algorithm:?} signed"),
            ed.token_of(&ed_header(json!({ "alg": algorithm })), &claims()),
            401,
        );
    }
    for algorithm in [json!(null), json!(1), json!(["EdDSA"]), json!({ "EdDSA": 1 })] {
        attack("alg no text", ed.token_of(&ed_header(json!({ "alg": algorithm })), &claims()), 401);
    }
    attack("no alg", ed.token_of(&json!({ "kid": "ed" }), &claims()), 401);

    // The public key, in every form that a careless library might use as a shared secret.
    for (name, secret) in [("n", MODULUS.as_bytes().to_vec()), ("jwk", rsa.jwk().to_string().into_bytes())] {
        let text = format!("{}.{payload}", encode(json!({ "alg": "HS256", "kid": "rsa" }).to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        attack(&format!("RSA key as HMAC secret: {name}"), format!("{text}.{}", encode(tag)), 401);
    }
    // The algorithm of one key with the name of another.
    for key in [rsa, ed, p256, p384] {
        for other in [rsa, ed, p256, p384].into_iter().filter(|other| other.id != key.id) {
            let header = json!({ "alg": key.algorithm(), "kid": other.id });
            attack(&format!("{} named as {}", key.id, other.id), key.token_of(&header, &claims()), 401);
            let header = json!({ "alg": other.algorithm(), "kid": other.id });
            attack(&format!("{} passing for {}", key.id, other.id), key.token_of(&header, &claims()), 401);
        }
    }
    attack(
        "PKCS#1 with another hash",
        rsa.token_of(&json!({ "alg": "RS256", "kid": "rsa", "x": "RS512" }), &claims()),
        401,
    );
    let stranger = Key::ed25519("ed");
    attack("a stranger's key of the same name", stranger.token(&claims()), 401);
    for name in ["jwk", "jku", "x5u", "x5c"] {
        let own: Value = match name {
            "jwk" => stranger.jwk(),
            "x5c" => json!(["MIIB"]),
            _ => json!("http://127.0.0.1:9/jwks.json"),
        };
        attack(&format!("a key in {name}"), stranger.token_of(&ed_header(json!({ name: own })), &claims()), 401);
    }
    attack("no kid with several keys", ed.token_of(&json!({ "alg": "EdDSA" }), &claims()), 401);
    for id in [json!("x"), json!(""), json!(1), json!(null), json!(["ed"]), json!("../ed"), json!("ed\0"), json!("ED")]
    {
        attack(&format!("kid {id}"), ed.token_of(&ed_header(json!({ "kid": id })), &claims()), 401);
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["x"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
    ] {
        attack(&format!("{name} {value}"), ed.token_of(&ed_header(json!({ name: value })), &claims()), 401);
    }
    for typ in [json!("logout+jwt"), json!("dpop+jwt"), json!("JWE"), json!(""), json!(1), json!(null)] {
        attack(&format!("typ {typ}"), ed.token_of(&ed_header(json!({ "typ": typ })), &claims()), 401);
    }

    // The shape.
    for (name, token) in [
        ("no dot", "x".to_owned()),
        ("dots", "..".to_owned()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts", format!("{good}.{payload}.{signature}")),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("half a signature", format!("{header}.{payload}.{}", &signature[..43])),
        ("two signatures", format!("{header}.{payload}.{signature}{signature}")),
        ("padded", format!("{good}==")),
        ("padded header", format!("{header}=.{payload}.{signature}")),
        ("plain base64", good.replace('.', "+.")),
        ("space before", format!(" {good}")),
        ("space after", format!("{good} ")),
        ("line break", format!("{good}\n")),
        ("line break within", format!("{header}.\r\n{payload}.{signature}")),
        ("NUL", format!("{good}\0")),
        ("bearer", format!("Bearer {good}")),
        ("quoted", format!("\"{good}\"")),
        ("a fuller dot", good.replace('.', "．")),
        ("not ASCII", format!("é{good}")),
        ("flattened JSON", json!({ "protected": header, "payload": payload, "signature": signature }).to_string()),
        (
            "general JSON",
            json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] }).to_string(),
        ),
        ("JWE", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA".to_owned()),
        ("header no object", ed.token_of_text("[]", &claims().to_string())),
        ("header no JSON", ed.token_of_text("alg", &claims().to_string())),
        ("header and more", ed.token_of_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}{}", &claims().to_string())),
        ("payload and more", ed.token_of_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", &format!("{}{{}}", claims()))),
        ("payload no object", ed.token_of_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", "[]")),
        ("payload deep", ed.token_of_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", &"[".repeat(2_000))),
        ("nested", ed.token_of_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"cty\":\"JWT\"}", &good)),
        ("signed by itself", format!("{header}.{}.{signature}", encode(claiming("sub", "bob").to_string()))),
        ("longer than 8 KB", ed.token(&claiming("x", "x".repeat(7_000)))),
        ("a megabyte", "e".repeat(1 << 20)),
    ] {
        attack(name, token, 401);
    }
    // The last letter of the signature, with bits that mean nothing: 64 bytes leave four.
    let (head, last) = good.split_at(good.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    attack("signature with trailing bits", format!("{head}{next}"), 401);
    // Zeros were a signature for everything in Java once (CVE-2022-21449).
    for (key, zeros) in [(p256, 64), (p384, 96)] {
        let text = format!("{}.{payload}", encode(json!({ "alg": key.algorithm(), "kid": key.id }).to_string()));
        attack("a signature of zeros", format!("{text}.{}", encode(vec![0; zeros])), 401);
    }
    // ECDSA in DER, and with one half too short.
    let text = format!("{}.{payload}", encode(json!({ "alg": "ES256", "kid": "p256" }).to_string()));
    let fixed = p256.sign("ES256", &text);
    attack("half of ECDSA", format!("{text}.{}", encode(&fixed[..32])), 401);
    attack("ECDSA too long", format!("{text}.{}", encode([&fixed[..], &[0]].concat())), 401);

    // Names that stand twice, also spelled differently.
    let twice = |more: &str| {
        let claims = claims().to_string();
        format!("{},{more}}}", &claims[..claims.len() - 1])
    };
    for more in [
        r#""sub":"bob""#,
        r#""sub":"alice""#,
        r#""s\u0075b":"bob""#,
        r#""exp":9999999999"#,
        r#""x":1,"x":1"#,
        r#""aud":"chat""#,
    ] {
        attack(&format!("claim twice: {more}"), ed.token_of_text(r#"{"alg":"EdDSA","kid":"ed"}"#, &twice(more)), 401);
    }
    for header in [
        r#"{"alg":"none","alg":"EdDSA","kid":"ed"}"#,
        r#"{"alg":"EdDSA","kid":"x","kid":"ed"}"#,
        r#"{"alg":"EdDSA","kid":"ed","a\u006cg":"none"}"#,
    ] {
        attack("header twice", ed.token_of_text(header, &claims().to_string()), 401);
    }

    // What it says.
    for name in ["exp", "iss", "aud"] {
        attack(&format!("no {name}"), ed.token(&without(name)), 401);
        for value in [json!(null), json!(true), json!({}), json!([]), json!([1]), json!("")] {
            attack(&format!("{name} {value}"), ed.token(&claiming(name, value)), 401);
        }
    }
    for (name, value) in [
        ("exp", json!(NOW - 60)),
        ("exp", json!(NOW - 3600)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!((NOW + 3600).to_string())),
        ("exp", json!("never")),
        ("exp", json!(1e300)),
        ("exp", json!([NOW + 3600])),
        ("nbf", json!(NOW + 61)),
        ("nbf", json!(NOW + 3600)),
        ("nbf", json!("0")),
        ("nbf", json!(null)),
        ("nbf", json!([])),
        ("iss", json!("https://issuer.example")),
        ("iss", json!("https://issuer.example/ ")),
        ("iss", json!("HTTPS://ISSUER.EXAMPLE/")),
        ("iss", json!("https://issuer.example/evil")),
        ("iss", json!(["https://issuer.example/"])),
        ("iss", json!(["https://evil.example/", "https://issuer.example/"])),
        ("aud", json!("chat2")),
        ("aud", json!("Chat")),
        ("aud", json!("chat other")),
        ("aud", json!(["other"])),
        ("aud", json!(["chat", 1])),
        ("aud", json!({ "chat": true })),
    ] {
        attack(&format!("{name} {value}"), ed.token(&claiming(name, value)), 401);
    }
    attack("no user", ed.token(&without("sub")), 403);
    for user in [json!(""), json!(" alice"), json!("a\nb"), json!("a\0"), json!("x".repeat(129)), json!(1), json!(null)]
    {
        attack(&format!("user {user}"), ed.token(&claiming("sub", user)), 403);
    }
    // RFC 7519 has `sub` a text; any other is no JWT.
    for user in [json!(["alice"]), json!({ "alice": 1 })] {
        attack(&format!("sub {user}"), ed.token(&claiming("sub", user)), 401);
    }
    attacks
}

#[tokio::test]
async fn every_forged_token_is_refused_and_none_is_logged() {
    let (rsa, ed, p256, p384) = (Key::rsa("rsa"), Key::ed25519("ed"), Key::p256("p256"), Key::p384("p384"));
    let issuer = Issuer::start(&[&rsa, &ed, &p256, &p384]).await;
    let authorizer = authorizer(&issuer, &[]).await;
    let attacks = forged(&rsa, &ed, &p256, &p384);
    assert!(attacks.len() > 150, "{}", attacks.len());
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
    let issuer = Issuer::start(&[&key]).await;
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
