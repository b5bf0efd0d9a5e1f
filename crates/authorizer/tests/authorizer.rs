//! Who is let in, in open mode.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

use chat_core::{configuration::AuthMode, lambda};
use serde_json::{Value, json};
use testkit::{Aws, Event};

/// The policy, or the error string.
async fn authorize(event: Event) -> Result<Value, String> {
    match lambda::policy(&AuthMode::Open, event.lambda(), authorizer::handle).await {
        Ok(policy) => Ok(serde_json::to_value(policy).unwrap()),
        Err(diagnostic) => Err(diagnostic.error_message),
    }
}

fn asking_for(user_ids: &[&str]) -> Event {
    Event::of("authorizer")
        .set("/queryStringParameters", json!({ "userId": user_ids.last() }))
        .set("/multiValueQueryStringParameters", json!({ "userId": user_ids }))
}

#[tokio::test]
async fn anyone_is_who_they_say_they_are() {
    for user in ["alice", "alice@example.com", "李雷", "auth0|123"] {
        let policy = authorize(asking_for(&[user])).await.unwrap();
        assert_eq!((&policy["principalId"], &policy["context"]), (&json!(user), &json!({ "userId": user })));
        let statement = json!({
            "Action": ["execute-api:Invoke"],
            "Effect": "Allow",
            "Resource": ["arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/$connect"],
        });
        assert_eq!(policy["policyDocument"], json!({ "Version": "2012-10-17", "Statement": [statement] }));
    }
}

#[tokio::test]
async fn who_names_nobody_is_told_to_authenticate() {
    let event = Event::of("authorizer").without("/queryStringParameters").without("/multiValueQueryStringParameters");
    assert_eq!(authorize(event).await, Err("Unauthorized".to_owned()));
}

#[tokio::test]
async fn who_names_two_users_or_none_that_can_be_is_denied() {
    let too_long = "x".repeat(129);
    for user_ids in [["alice", "bob"].as_slice(), &["alice", "alice"], &[""], &[" alice"], &["a\nb"], &[&too_long]] {
        let policy = authorize(asking_for(user_ids)).await.unwrap();
        assert_eq!(policy["policyDocument"]["Statement"][0]["Effect"], "Deny", "{user_ids:?}");
        assert_eq!((&policy["principalId"], &policy["context"]), (&json!("nobody"), &json!({})));
    }
}

#[tokio::test]
async fn a_mode_that_is_missing_or_unknown_is_named() {
    let aws = Aws::start().await;
    for mode in ["", "Open", "none", "jwt"] {
        let error = aws.try_provide::<AuthMode>(&[("AUTH_MODE", mode)]).await.unwrap_err();
        assert!(error.to_string().contains("AUTH_MODE"), "{error}");
    }
}
