//! The authorizer on `$connect`.

use serde_json::{Value, json};
use ws_local::invoke::InvokeResult;

use crate::harness::*;

const CONNECT: &str = "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/prod/$connect";

fn policy(effect: &str, resource: &str, context: Value) -> InvokeResult {
    let statement = json!({"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource});
    let document = json!({"Version": "2012-10-17", "Statement": [statement]});
    respond(json!({"principalId": "alice", "policyDocument": document, "context": context}))
}

fn allow(context: Value) -> InvokeResult {
    policy("Allow", CONNECT, context)
}

/// Connects through this authorizer. Returns the status and the number of `$connect` invocations.
async fn status<F>(body: impl Fn(Value) -> F + Send + Sync + 'static) -> (u16, usize)
where
    F: Future<Output = InvokeResult> + Send + 'static,
{
    let gateway = Setup::new().authorizer(&[], body).quiet("$connect").start().await;
    let status = gateway.upgrade("?userId=alice", &[]).await.status;
    (status, gateway.waiting("$connect"))
}

#[tokio::test]
async fn an_allow_policy_lets_the_client_connect() {
    assert_eq!(status(async |_| allow(json!({}))).await, (101, 1));
    assert_eq!(status(async |_| policy("Allow", "*", Value::Null)).await, (101, 1));
}

#[tokio::test]
async fn a_deny_policy_is_403() {
    assert_eq!(status(async |_| policy("Deny", CONNECT, json!({}))).await, (403, 0));
}

#[tokio::test]
async fn a_rest_style_resource_is_403() {
    let of_rest = "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/prod/*/*";
    assert_eq!(status(move |_| async move { policy("Allow", of_rest, json!({})) }).await, (403, 0));
}

#[tokio::test]
async fn the_error_unauthorized_is_401_and_any_other_500() {
    assert_eq!(status(async |_| fail("Unauthorized")).await, (401, 0));
    assert_eq!(status(async |_| fail("Unauthorized: no token")).await, (500, 0));
    assert_eq!(status(async |_| fail("boom")).await, (500, 0));
}

#[tokio::test]
async fn a_malformed_response_is_500() {
    assert_eq!(status(async |_| respond(json!(null))).await, (500, 0));
    assert_eq!(status(async |_| respond(json!({"principalId": "alice"}))).await, (500, 0));
    assert_eq!(status(async |_| respond(json!({"isAuthorized": true}))).await, (500, 0));
}

#[tokio::test]
async fn a_response_over_8_kb_is_500() {
    let with = |length: usize| move |_| async move { allow(json!({"long": "x".repeat(length)})) };
    let rest = allow(json!({"long": ""})).unwrap().len();
    assert_eq!(status(with(8_192 - rest)).await, (101, 1));
    assert_eq!(status(with(8_193 - rest)).await, (500, 0));
}

#[tokio::test]
async fn a_nested_context_is_500() {
    assert_eq!(status(async |_| allow(json!({"roles": ["admin"]}))).await, (500, 0));
    assert_eq!(status(async |_| allow(json!({"user": {"id": 1}}))).await, (500, 0));
}

#[tokio::test]
async fn principal_and_context_are_strings_in_every_later_event() {
    let context = json!({"userId": "alice", "level": 7, "admin": true, "share": 0.5});
    let gateway = Setup::new()
        .authorizer(&[], move |_| {
            let context = context.clone();
            async move { allow(context) }
        })
        .quiet("$connect")
        .quiet("send")
        .quiet("$disconnect")
        .start()
        .await;
    let mut client = gateway.connect("").await;
    client.call("send").await;
    gateway.event("authorizer").await;
    let expected = json!({"principalId": "alice", "userId": "alice", "level": "7", "admin": "true", "share": "0.5"});
    let of = |event: Value| event["requestContext"]["authorizer"].clone();
    assert_eq!(of(gateway.event("$connect").await), expected);
    assert_eq!(of(gateway.event("send").await), expected);
    client.socket.close(None).await.unwrap();
    assert_eq!(of(gateway.event("$disconnect").await), expected);
    assert_eq!(gateway.waiting("authorizer"), 0, "it is asked once");
}

#[tokio::test]
async fn the_response_is_not_cached_across_connections() {
    let gateway = Setup::new().authorizer(&[], async |_| allow(json!({}))).start().await;
    for _ in 0..2 {
        gateway.connect("?token=same").await;
        gateway.event("authorizer").await;
    }
}

#[tokio::test]
async fn a_missing_identity_source_is_401_without_a_call() {
    let sources = ["route.request.querystring.token", "route.request.header.X-Device", "context.identity.sourceIp"];
    let gateway = Setup::new().authorizer(&sources, async |_| allow(json!({}))).start().await;
    let device = [("x-device", "1")];
    for (query, headers) in [("", &device[..]), ("?token=", &device), ("?token=a", &[])] {
        assert_eq!(gateway.upgrade(query, headers).await.status, 401, "{query} {headers:?}");
    }
    assert_eq!(gateway.waiting("authorizer"), 0);
    assert_eq!(gateway.upgrade("?token=a", &device).await.status, 101);
    assert_eq!(gateway.waiting("authorizer"), 1);
}

#[tokio::test]
async fn an_authorizer_without_identity_sources_is_always_invoked() {
    assert_eq!(status(async |_| allow(json!({}))).await, (101, 1));
}

#[tokio::test]
async fn the_authorizers_event_has_the_format_of_a_request_authorizer() {
    let gateway = Setup::new().authorizer(&[], async |_| allow(json!({}))).start().await;
    gateway.connect_with("?token=a%2Bb&token=c", &[("origin", "https://chat.example")]).await;
    let event = gateway.event("authorizer").await;
    assert_eq!(event["type"], "REQUEST");
    assert_eq!(event["methodArn"], CONNECT);
    assert_eq!(event["headers"]["Origin"], "https://chat.example");
    assert_eq!(event["queryStringParameters"], json!({"token": "c"}));
    assert_eq!(event["multiValueQueryStringParameters"], json!({"token": ["a+b", "c"]}));
    let context = &event["requestContext"];
    assert_eq!(context["routeKey"], "$connect");
    assert_eq!(context["eventType"], "CONNECT");
    assert_eq!(context["identity"], json!({"sourceIp": "127.0.0.1"}));
    assert_eq!(context["connectionId"].as_str().unwrap().len(), 16);
    assert!(context.get("authorizer").is_none());
}
