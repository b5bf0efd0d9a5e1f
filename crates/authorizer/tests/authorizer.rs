//! The authorizer in open mode, and origins.

use authorizer::Context;
use chat_core::lambda;
use serde_json::{Value, json};
use support::{FakeAws, Fixture};

/// The policy, or the error string.
async fn authorize(event: Fixture) -> Result<Value, String> {
    authorize_by(&FakeAws::start().await.context(), event).await
}

async fn authorize_by(authorizer: &Context, event: Fixture) -> Result<Value, String> {
    match lambda::authorize(authorizer, event.lambda(), authorizer::handle).await.response {
        Ok(policy) => Ok(serde_json::to_value(policy).unwrap()),
        Err(diagnostic) => Err(diagnostic.error_message),
    }
}

fn request_for(user_ids: &[&str]) -> Fixture {
    Fixture::named("authorizer")
        .set("/queryStringParameters", json!({ "userId": user_ids.last() }))
        .set("/multiValueQueryStringParameters", json!({ "userId": user_ids }))
}

#[tokio::test]
async fn in_open_mode_the_user_is_the_one_that_the_client_names() {
    for (user, encoded) in [
        ("alice", "alice"),
        ("alice@example.com", "alice@example.com"),
        ("李雷", "%E6%9D%8E%E9%9B%B7"),
        ("auth0|123", "auth0%7C123"),
        ("\"quoted\"", "%22quoted%22"),
    ] {
        let policy = authorize(request_for(&[user])).await.unwrap();
        assert_eq!((&policy["principalId"], &policy["context"]), (&json!(encoded), &json!({ "userId": encoded })));
        let statement = json!({
            "Action": ["execute-api:Invoke"],
            "Effect": "Allow",
            "Resource": ["arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/$connect"],
        });
        assert_eq!(policy["policyDocument"], json!({ "Version": "2012-10-17", "Statement": [statement] }));
    }
}

#[tokio::test]
async fn a_client_that_names_no_user_gets_401() {
    let event =
        Fixture::named("authorizer").without("/queryStringParameters").without("/multiValueQueryStringParameters");
    assert_eq!(authorize(event).await, Err("Unauthorized".to_owned()));
}

#[tokio::test]
async fn two_users_or_an_invalid_user_id_are_denied() {
    let too_long = "x".repeat(129);
    for user_ids in [["alice", "bob"].as_slice(), &["alice", "alice"], &[""], &[" alice"], &["a\nb"], &[&too_long]] {
        let policy = authorize(request_for(user_ids)).await.unwrap();
        assert_eq!(policy["policyDocument"]["Statement"][0]["Effect"], "Deny", "{user_ids:?}");
        assert_eq!((&policy["principalId"], &policy["context"]), (&json!("nobody"), &json!({})));
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_denied() {
    let aws = FakeAws::start().await;
    let allowed = [("ALLOWED_ORIGINS", "https://chat.example, https://*.example.com")];
    let authorizer: Context = aws.try_context(&allowed).unwrap();
    for (origins, effect) in [
        (["https://chat.example"].as_slice(), "Allow"),
        (&["https://a.example.com"], "Allow"),
        (&[], "Allow"),
        (&["https://evil.example"], "Deny"),
        (&["https://example.com"], "Deny"),
        (&["http://chat.example"], "Deny"),
        (&["null"], "Deny"),
        (&[""], "Deny"),
        (&["https://chat.example", "https://chat.example"], "Deny"),
        (&["https://chat.example", "https://evil.example"], "Deny"),
    ] {
        for spelling in ["Origin", "origin"] {
            let event = request_for(&["alice"]).without("/multiValueHeaders/Origin");
            let event = if origins.is_empty() {
                event
            } else {
                event.set(&format!("/multiValueHeaders/{spelling}"), json!(origins))
            };
            let policy = authorize_by(&authorizer, event).await.unwrap();
            assert_eq!(policy["policyDocument"]["Statement"][0]["Effect"], effect, "{origins:?}");
        }
    }
}

#[tokio::test]
async fn an_event_without_a_time_is_refused() {
    let event = Fixture::named("authorizer").without("/requestContext/requestTimeEpoch");
    assert!(serde_json::from_value::<lambda::AuthorizerEvent>(event.value().clone()).is_err());
}

#[tokio::test]
async fn a_missing_or_invalid_variable_is_named() {
    const JWT: [(&str, &str); 4] = [
        ("AUTH_MODE", "jwt"),
        ("JWT_JWKS_URL", "https://issuer.example/jwks.json"),
        ("JWT_ISSUER", "https://issuer.example/"),
        ("JWT_AUDIENCE", "chat"),
    ];
    let aws = FakeAws::start().await;
    assert!(aws.try_context::<Context>(&JWT).is_ok());
    for (name, value) in [
        ("AUTH_MODE", ""),
        ("AUTH_MODE", "Open"),
        ("AUTH_MODE", "none"),
        ("AUTH_MODE", "JWT"),
        ("JWT_JWKS_URL", ""),
        ("JWT_JWKS_URL", "issuer.example/jwks.json"),
        ("JWT_JWKS_URL", "http://issuer.example/jwks.json"),
        ("JWT_JWKS_URL", "http://127.0.0.1.evil.example/"),
        ("JWT_JWKS_URL", "http://127.0.0.1:80@evil.example/"),
        ("JWT_JWKS_URL", "https://"),
        ("JWT_JWKS_URL", "https:///jwks.json"),
        ("JWT_JWKS_URL", "https://issuer.example/jwks json"),
        ("JWT_JWKS_URL", "file:///etc/passwd"),
        ("JWT_ISSUER", " "),
        ("JWT_AUDIENCE", ""),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://chat.example,"),
        ("ALLOWED_ORIGINS", "https://*.com"),
    ] {
        let variables = [&JWT[..], &[(name, value)]].concat();
        let error = aws.try_context::<Context>(&variables).err().expect("the start fails").to_string();
        assert!(error.contains(&format!("variable {name} ")), "{name}={value}: {error}");
    }
}
