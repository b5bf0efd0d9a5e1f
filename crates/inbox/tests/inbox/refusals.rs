//! Invalid frames, and the errors of failures.

use serde_json::json;
use support::{Fixture, Outcome, broken_frames, invoke};

use crate::chat::{Chat, NOW};

#[tokio::test]
async fn it_refuses_an_invalid_frame_without_a_call() {
    let chat = Chat::start().await;
    let mut frames = broken_frames();
    // Only the action of this frame is invalid, and the gateway would not have selected this route.
    frames.retain(|(frame, _)| frame != "{\"action\":\"\\ud800\"}");
    let bad = [
        json!({ "limit": 0 }),
        json!({ "limit": -1 }),
        json!({ "limit": 1.5 }),
        json!({ "limit": 1e300 }),
        json!({ "limit": "10" }),
        json!({ "limit": [] }),
        json!({ "startKey": "1" }),
        json!({ "startKey": 1 }),
        json!({ "startKey": {} }),
        json!({ "startKey": { "listed": 1 } }),
        json!({ "startKey": { "peerId": "bob" } }),
        json!({ "startKey": { "listed": -1, "peerId": "bob" } }),
        json!({ "startKey": { "listed": 1.5, "peerId": "bob" } }),
        json!({ "startKey": { "listed": 1_u64 << 32, "peerId": "bob" } }),
        json!({ "startKey": { "listed": "1", "peerId": "bob" } }),
        json!({ "startKey": { "listed": 1, "peerId": "" } }),
        json!({ "startKey": { "listed": 1, "peerId": "b\0b" } }),
        json!({ "startKey": { "listed": 1, "peerId": "x".repeat(129) } }),
        json!({ "startKey": { "conversationId": "dm:5:alice:bob", "seq": 1 } }),
    ];
    frames.extend(bad.map(|frame| (frame.to_string(), "bad_request")));
    for (frame, code) in frames {
        let answer = invoke(&chat.inbox, inbox::handle, Fixture::named("inbox").text(&frame)).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame:.200} {answer}");
        assert!(answer["message"].as_str().unwrap().len() < 400, "{answer}");
    }
    for event in [
        Fixture::named("inbox").without("/requestContext/authorizer"),
        Fixture::named("inbox").set("/requestContext/authorizer/userId", json!("")),
    ] {
        assert_eq!(invoke(&chat.inbox, inbox::handle, event).await["code"], "unauthenticated");
    }
    assert_eq!(chat.aws.dynamodb.take_calls().len(), 0);
}

#[tokio::test]
async fn the_client_gets_no_internals_if_dynamodb_fails() {
    let chat = Chat::start().await;
    chat.send("bob", "alice", "1", NOW).await;
    for table in ["ConversationsTable", "MessagesTable"] {
        for (status, error, code) in [
            (400, "ProvisionedThroughputExceededException", "unavailable"),
            (500, "InternalServerError", "unavailable"),
            (400, "AccessDeniedException", "internal"),
        ] {
            chat.aws.dynamodb.inject(move |call| {
                if call.body.to_string().contains(table) { Outcome::Fail(status, error) } else { Outcome::Forward }
            });
            let answer = invoke(&chat.inbox, inbox::handle, Fixture::named("inbox")).await;
            assert_eq!((&answer["code"], &answer["ref"]), (&json!(code), &json!("4")));
            assert!(!answer.to_string().contains("Exception"), "{answer}");
        }
    }
    for name in ["MESSAGES_TABLE", "CONVERSATIONS_TABLE"] {
        let error = chat.aws.try_context::<inbox::Context>(&[(name, "")]).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
