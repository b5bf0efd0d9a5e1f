//! Tokens that must be refused, each with its status: forged ones, and signed ones with invalid claims.

use ring::hmac;
use serde_json::{Value, json};

use crate::Claims;
use support::jwt::{Key, MODULUS, encode};

/// An attack: its name, the token, and the expected status.
pub(crate) type Attack = (String, String, u16);

/// The keys of an issuer.
pub(crate) struct Keys {
    pub(crate) rsa: Key,
    pub(crate) ed: Key,
    pub(crate) p256: Key,
    pub(crate) p384: Key,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { rsa: Key::rsa("rsa"), ed: Key::ed25519("ed"), p256: Key::p256("p256"), p384: Key::p384("p384") }
    }

    pub(crate) fn all(&self) -> [&Key; 4] {
        [&self.rsa, &self.ed, &self.p256, &self.p384]
    }
}

/// All attacks on these keys, with times relative to those of these claims.
pub(crate) fn forged(keys: &Keys, of: Claims) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut attack = |name: &str, token: String, status: u16| attacks.push((name.to_owned(), token, status));
    standards(&mut attack);
    signatures(keys, of, &mut attack);
    shapes(keys, of, &mut attack);
    contents(&keys.ed, of, &mut attack);
    attacks
}

/// The examples of RFC 7515, 7519 and 8037: expired and for another audience, not signed, or encrypted.
fn standards(attack: &mut impl FnMut(&str, String, u16)) {
    const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const RS256: &str = "eyJhbGciOiJSUzI1NiJ9";
    const BY_RSA: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const ES256: &str = "eyJhbGciOiJFUzI1NiJ9";
    const BY_EC: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let by_rsa = json!({ "protected": RS256, "header": { "kid": "2010-12-29" }, "signature": BY_RSA });
    let by_ec =
        json!({ "protected": ES256, "header": { "kid": "e9bc097a-ce51-4036-9562-d2ade882db0d" }, "signature": BY_EC });
    let mut flattened = by_ec.clone();
    flattened["payload"] = json!(JOE);
    let crit = "{\"alg\":\"none\",\r\n \"crit\":[\"http://example.com/UNDEFINED\"],\r\n \"http://example.com/UNDEFINED\":true\r\n}";
    for (name, token) in [
        (
            "RFC 7515 A.1, RFC 7519 3.1",
            format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ),
        ("RFC 7515 A.2", format!("{RS256}.{JOE}.{BY_RSA}")),
        ("RFC 7515 A.3", format!("{ES256}.{JOE}.{BY_EC}")),
        ("RFC 7515 A.4", "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn".to_owned()),
        ("RFC 7515 A.5, RFC 7519 6.1", format!("eyJhbGciOiJub25lIn0.{JOE}.")),
        ("RFC 7515 A.6", json!({ "payload": JOE, "signatures": [by_rsa, by_ec] }).to_string()),
        ("RFC 7515 A.7", flattened.to_string()),
        ("RFC 7515 E", format!("{}.RkFJTA.", encode(crit))),
        ("RFC 7519 A.1", "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.QR1Owv2ug2WyPBnbQrRARTeEk9kDO2w8qDcjiHnSJflSdv1iNqhWXaKH4MqAkQtMoNfABIPJaZm0HaA415sv3aeuBWnD8J-Ui7Ah6cWafs3ZwwFKDFUUsWHSK-IPKxLGTkND09XyjORj_CHAgOPJ-Sd8ONQRnJvWn_hXV1BNMHzUjPyYwEsRhDhzjAD26imasOTsgruobpYGoQcXUwFDn7moXPRfDE8-NoQX7N7ZYMmpUDkR-Cx9obNGwJQ3nM52YCitxoQVPzjbl7WBuB7AohdBoZOdZ24WlN1lVIeh8v1K4krB8xgKvRU8kgFrEn_a1rZgN5TiysnmzTROF869lQ.AxY8DCtDaGlsbGljb3RoZQ.MKOle7UQrG6nSxTLX6Mqwt0orbHvAKeWnDYvpIAeZ72deHxz3roJDXQyhxx0wKaMHDjUEOKIwrtkHthpqEanSBNYHZgmNOV7sln1Eu9g3J8.fiK51VwhsxJ-siBMR-YFiA".to_owned()),
        ("RFC 8037 A.4", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg".to_owned()),
    ] {
        attack(name, token, 401);
    }
}

/// Tokens without a signature, or with one that is not by the issuer's key.
fn signatures(Keys { rsa, ed, p256, p384 }: &Keys, of: Claims, attack: &mut impl FnMut(&str, String, u16)) {
    let valid = ed.token(&of.claims());
    let payload = valid.split('.').nth(1).unwrap();
    let ed_header = |more: Value| {
        let mut header = json!({ "alg": "EdDSA", "kid": "ed" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header
    };
    for algorithm in
        ["none", "None", "NONE", "nOnE", "", "HS256", "PS256", "ES512", "ES256K", "Ed448", "eddsa", "EdDSA "]
    {
        let header = encode(json!({ "alg": algorithm, "kid": "ed" }).to_string());
        attack(&format!("alg {algorithm:?} unsigned"), format!("{header}.{payload}."), 401);
        attack(
            &format!("alg {algorithm:?} signed"),
            ed.token_with_header(&ed_header(json!({ "alg": algorithm })), &of.claims()),
            401,
        );
    }
    for algorithm in [json!(null), json!(1), json!(["EdDSA"]), json!({ "EdDSA": 1 })] {
        attack("alg no text", ed.token_with_header(&ed_header(json!({ "alg": algorithm })), &of.claims()), 401);
    }
    attack("no alg", ed.token_with_header(&json!({ "kid": "ed" }), &of.claims()), 401);

    // The public key, in each form that a careless library could use as a shared secret.
    for (name, secret) in [("n", MODULUS.as_bytes().to_vec()), ("jwk", rsa.jwk().to_string().into_bytes())] {
        let text = format!("{}.{payload}", encode(json!({ "alg": "HS256", "kid": "rsa" }).to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        attack(&format!("RSA key as HMAC secret: {name}"), format!("{text}.{}", encode(tag)), 401);
    }
    // The algorithm of one key with the id of another.
    for key in [rsa, ed, p256, p384] {
        for other in [rsa, ed, p256, p384].into_iter().filter(|other| other.id != key.id) {
            let header = json!({ "alg": key.algorithm(), "kid": other.id });
            attack(&format!("{} named as {}", key.id, other.id), key.token_with_header(&header, &of.claims()), 401);
            let header = json!({ "alg": other.algorithm(), "kid": other.id });
            attack(&format!("{} passing for {}", key.id, other.id), key.token_with_header(&header, &of.claims()), 401);
        }
    }
    attack(
        "PKCS#1 with another hash",
        rsa.token_with_header(&json!({ "alg": "RS256", "kid": "rsa", "x": "RS512" }), &of.claims()),
        401,
    );
    let stranger = Key::ed25519("ed");
    attack("another key with the same id", stranger.token(&of.claims()), 401);
    for name in ["jwk", "jku", "x5u", "x5c"] {
        let own: Value = match name {
            "jwk" => stranger.jwk(),
            "x5c" => json!(["MIIB"]),
            _ => json!("http://127.0.0.1:9/jwks.json"),
        };
        attack(
            &format!("a key in {name}"),
            stranger.token_with_header(&ed_header(json!({ name: own })), &of.claims()),
            401,
        );
    }
    attack("no kid with several keys", ed.token_with_header(&json!({ "alg": "EdDSA" }), &of.claims()), 401);
    for id in [
        json!("x"),
        json!(""),
        json!(1),
        json!(null),
        json!(["ed"]),
        json!("../ed"),
        json!("ed\0"),
        json!("ED"),
        json!(true),
        json!(1e300),
        json!({ "ed": 1 }),
        json!([["ed"]]),
        json!("x".repeat(4_000)),
        json!("' OR 1=1"),
        json!(" ed"),
        json!("rsa,ed"),
    ] {
        attack(&format!("kid {id}"), ed.token_with_header(&ed_header(json!({ "kid": id })), &of.claims()), 401);
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["x"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
    ] {
        attack(&format!("{name} {value}"), ed.token_with_header(&ed_header(json!({ name: value })), &of.claims()), 401);
    }
    for typ in [json!("logout+jwt"), json!("dpop+jwt"), json!("JWE"), json!(""), json!(1), json!(null)] {
        attack(&format!("typ {typ}"), ed.token_with_header(&ed_header(json!({ "typ": typ })), &of.claims()), 401);
    }
}

/// Texts that are not a signed JWT in compact form.
fn shapes(Keys { ed, p256, p384, .. }: &Keys, of: Claims, attack: &mut impl FnMut(&str, String, u16)) {
    let valid = ed.token(&of.claims());
    let parts: Vec<&str> = valid.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for (name, token) in [
        ("no dot", "x".to_owned()),
        ("dots", "..".to_owned()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{valid}.{signature}")),
        ("five parts", format!("{valid}.{payload}.{signature}")),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("half a signature", format!("{header}.{payload}.{}", &signature[..43])),
        ("two signatures", format!("{header}.{payload}.{signature}{signature}")),
        ("padded", format!("{valid}==")),
        ("padded header", format!("{header}=.{payload}.{signature}")),
        ("plain base64", valid.replace('.', "+.")),
        ("space before", format!(" {valid}")),
        ("space after", format!("{valid} ")),
        ("line break", format!("{valid}\n")),
        ("line break within", format!("{header}.\r\n{payload}.{signature}")),
        ("NUL", format!("{valid}\0")),
        ("bearer", format!("Bearer {valid}")),
        ("quoted", format!("\"{valid}\"")),
        ("a fuller dot", valid.replace('.', "．")),
        ("not ASCII", format!("é{valid}")),
        ("flattened JSON", json!({ "protected": header, "payload": payload, "signature": signature }).to_string()),
        (
            "general JSON",
            json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] }).to_string(),
        ),
        ("JWE", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA".to_owned()),
        ("header no object", ed.token_from_text("[]", &of.claims().to_string())),
        ("header no JSON", ed.token_from_text("alg", &of.claims().to_string())),
        ("header and more", ed.token_from_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}{}", &of.claims().to_string())),
        ("payload and more", ed.token_from_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", &format!("{}{{}}", of.claims()))),
        ("payload no object", ed.token_from_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", "[]")),
        ("payload deep", ed.token_from_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", &"[".repeat(2_000))),
        (
            "header deep",
            ed.token_from_text(
                &format!("{{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"x\":{}1{}}}", "[".repeat(300), "]".repeat(300)),
                &of.claims().to_string(),
            ),
        ),
        (
            "payload deep within",
            ed.token_from_text(
                "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}",
                &of.claims().to_string().replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(300), "]".repeat(300)), 1),
            ),
        ),
        (
            "payload with half a surrogate",
            ed.token_from_text(
                "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}",
                &of.claims().to_string().replace("alice", "\\ud800"),
            ),
        ),
        (
            "payload after a BOM",
            ed.token_from_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", &format!("\u{feff}{}", of.claims())),
        ),
        (
            "header after a BOM",
            ed.token_from_text("\u{feff}{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", &of.claims().to_string()),
        ),
        (
            "payload with a NUL behind",
            ed.token_from_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", &format!("{}\0", of.claims())),
        ),
        (
            "header padded to whole groups",
            format!("{}.{payload}.{signature}", encode_padded(&json!({ "alg": "EdDSA", "kid": "ed" }).to_string())),
        ),
        ("payload twice", format!("{header}.{payload}{payload}.{signature}")),
        ("parts in another order", format!("{payload}.{header}.{signature}")),
        ("percent-encoded", valid.replace('.', "%2E")),
        ("nested", ed.token_from_text("{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"cty\":\"JWT\"}", &valid)),
        ("signed by itself", format!("{header}.{}.{signature}", encode(of.claiming("sub", "bob").to_string()))),
        ("longer than 8 KB", ed.token(&of.claiming("x", "x".repeat(7_000)))),
        ("a megabyte", "e".repeat(1 << 20)),
    ] {
        attack(name, token, 401);
    }
    // The last character of the signature with another value in its unused bits: 64 bytes leave four.
    let (head, last) = valid.split_at(valid.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    attack("signature with trailing bits", format!("{head}{next}"), 401);
    // Java once accepted zeros as a signature of any text (CVE-2022-21449).
    for (key, zeros) in [(p256, 64), (p384, 96)] {
        let text = format!("{}.{payload}", encode(json!({ "alg": key.algorithm(), "kid": key.id }).to_string()));
        attack("a signature of zeros", format!("{text}.{}", encode(vec![0; zeros])), 401);
    }
    // ECDSA in another encoding, and with invalid numbers.
    let text = format!("{}.{payload}", encode(json!({ "alg": "ES256", "kid": "p256" }).to_string()));
    let fixed = p256.sign("ES256", &text);
    attack("half of ECDSA", format!("{text}.{}", encode(&fixed[..32])), 401);
    attack("ECDSA in DER", format!("{text}.{}", encode(der(&fixed))), 401);
    attack("ECDSA with s of zero", format!("{text}.{}", encode([&fixed[..32], &[0; 32]].concat())), 401);
    attack("ECDSA with r of the order", format!("{text}.{}", encode([&ORDER[..], &fixed[32..]].concat())), 401);
    attack("ECDSA too long", format!("{text}.{}", encode([&fixed[..], &[0]].concat())), 401);
}

/// Tokens that the issuer signed, but for another service, for another time, or ambiguous ones.
fn contents(ed: &Key, of: Claims, attack: &mut impl FnMut(&str, String, u16)) {
    // Names that occur twice, also with escapes.
    let twice = |more: &str| {
        let claims = of.claims().to_string();
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
        attack(&format!("claim twice: {more}"), ed.token_from_text(r#"{"alg":"EdDSA","kid":"ed"}"#, &twice(more)), 401);
    }
    for header in [
        r#"{"alg":"none","alg":"EdDSA","kid":"ed"}"#,
        r#"{"alg":"EdDSA","kid":"x","kid":"ed"}"#,
        r#"{"alg":"EdDSA","kid":"ed","a\u006cg":"none"}"#,
    ] {
        attack("header twice", ed.token_from_text(header, &of.claims().to_string()), 401);
    }

    // Invalid values of claims.
    for name in ["exp", "iss", "aud"] {
        attack(&format!("no {name}"), ed.token(&of.without(name)), 401);
        for value in [json!(null), json!(true), json!({}), json!([]), json!([1]), json!("")] {
            attack(&format!("{name} {value}"), ed.token(&of.claiming(name, value)), 401);
        }
    }
    for (name, value) in [
        ("exp", json!(of.now - 60)),
        ("exp", json!(of.now - 3600)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!((of.now + 3600).to_string())),
        ("exp", json!("never")),
        ("exp", json!(1e300)),
        ("exp", json!([of.now + 3600])),
        ("exp", json!({ "$numberLong": of.now + 3600 })),
        ("exp", json!(u64::MAX)),
        ("exp", json!(i64::MIN)),
        ("exp", json!(9e15)),
        ("exp", json!(-9e15)),
        ("exp", json!(-0.0)),
        ("exp", json!(of.now as f64 - 60.5)),
        ("exp", json!("0x7fffffff")),
        ("nbf", json!(of.now + 61 + of.lasting)),
        ("nbf", json!(of.now + 3600)),
        ("nbf", json!("0")),
        ("nbf", json!(null)),
        ("nbf", json!([])),
        ("nbf", json!(u64::MAX)),
        ("nbf", json!(1e300)),
        ("nbf", json!(of.now + 3600 * 24 * 365 * 100)),
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
        ("aud", json!(["chat", null])),
        ("aud", json!([["chat"]])),
        ("aud", json!([{ "aud": "chat" }])),
        ("aud", json!(true)),
        ("aud", json!("chat\0")),
        ("aud", json!(" chat")),
        ("aud", json!("*")),
        ("iss", json!([["https://issuer.example/"]])),
        ("iss", json!({ "0": "https://issuer.example/" })),
        ("iss", json!("https://issuer.example/\0")),
    ] {
        attack(&format!("{name} {value}"), ed.token(&of.claiming(name, value)), 401);
    }
    attack("no user", ed.token(&of.without("sub")), 403);
    for user in [json!(""), json!(" alice"), json!("a\nb"), json!("a\0"), json!("x".repeat(129)), json!(1), json!(null)]
    {
        attack(&format!("user {user}"), ed.token(&of.claiming("sub", user)), 403);
    }
    // By RFC 7519, `sub` is a string.
    for user in [json!(["alice"]), json!({ "alice": 1 })] {
        attack(&format!("sub {user}"), ed.token(&of.claiming("sub", user)), 401);
    }
}

/// The order of P-256 (SEC 2, 2.4.2). The numbers of a signature must be smaller.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A signature of P-256 in DER.
fn der(fixed: &[u8]) -> Vec<u8> {
    let number = |half: &[u8]| [&[2, 33, 0], half].concat();
    let both = [number(&fixed[..32]), number(&fixed[32..])].concat();
    [vec![0x30, both.len() as u8], both].concat()
}

fn encode_padded(text: &str) -> String {
    // Spaces give the text a length that needs padding.
    let text = format!("{text}{}", " ".repeat(4 - text.len() % 3));
    let encoded = encode(text);
    format!("{encoded}{}", "=".repeat((4 - encoded.len() % 4) % 4))
}
