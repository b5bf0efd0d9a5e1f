//! Forged senders and invalid frames.

use serde_json::json;
use support::{Fixture, broken_frames, invoke};

use crate::{send, stored, two_users};

#[tokio::test]
async fn the_sender_is_the_user_that_the_authorizer_proved() {
    let (aws, context) = two_users().await;
    let forged = json!({ "recipientId": "bob", "content": "Hi", "senderId": "alice", "userId": "alice", "conversationId": "dm:5:alice:bob" });
    let sent = send(&context, "mallory", forged.clone()).await;
    assert_eq!(sent["value"]["conversationId"], "dm:3:bob:mallory");
    assert!(aws.connections.take_pushes().iter().all(|push| push.frame["value"]["senderId"] == "mallory"));
    let event = Fixture::named("send").without("/requestContext/authorizer").frame(&forged);
    assert_eq!(invoke(&context, send::handle, event).await["code"], "unauthenticated");
    assert_eq!(stored(&aws).len(), 1);
}

#[tokio::test]
async fn it_refuses_an_invalid_frame_and_stores_nothing() {
    let (aws, context) = two_users().await;
    let mut frames = broken_frames();
    let bad = [
        json!({}),
        json!({ "recipientId": "bob" }),
        json!({ "content": "Hi" }),
        json!({ "recipientId": null, "content": "Hi" }),
        json!({ "recipientId": ["bob"], "content": "Hi" }),
        json!({ "recipientId": "", "content": "Hi" }),
        json!({ "recipientId": "bob ", "content": "Hi" }),
        json!({ "recipientId": "b\0b", "content": "Hi" }),
        json!({ "recipientId": "x".repeat(129), "content": "Hi" }),
        json!({ "recipientId": "bob", "content": "" }),
        json!({ "recipientId": "bob", "content": " \n\t\u{3000}" }),
        json!({ "recipientId": "bob", "content": 5 }),
        json!({ "recipientId": "bob", "content": { "text": "Hi" } }),
        json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": "" }),
        json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": 5 }),
        json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": "x".repeat(65) }),
        json!({ "recipientId": "bob", "content": "Hi", "lastSeq": -1 }),
        json!({ "recipientId": "bob", "content": "Hi", "lastSeq": 0.5 }),
        json!({ "recipientId": "bob", "content": "Hi", "lastSeq": 1e300 }),
        json!({ "recipientId": "bob", "content": "Hi", "lastSeq": "0" }),
        json!({ "recipientId": "bob", "content": "Hi", "lastSeq": 1 }),
        json!({ "recipientId": "bob", "content": "Hi", "lastSeq": 1, "clientMessageId": "c" }),
        json!({ "recipientId": "bob", "content": "Hi", "lastSeq": 9_007_199_254_740_991_u64, "clientMessageId": "c" }),
        json!({ "recipientId": "bob", "content": "Hi", "lastSeq": 9_007_199_254_740_992_u64 }),
    ];
    frames.extend(bad.map(|frame| (frame.to_string(), "bad_request")));
    let large = ["x".repeat(16_385), "🦀".repeat(4_097), "\u{1}".repeat(4_096), "\\".repeat(12_000)];
    frames.extend(large.map(|content| (json!({ "recipientId": "bob", "content": content }).to_string(), "too_large")));
    for (frame, code) in frames {
        let answer = invoke(&context, send::handle, Fixture::named("send").text(&frame)).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame:.200} {answer}");
        assert!(answer["message"].as_str().unwrap().len() < 400, "{answer}");
    }
    assert_eq!((stored(&aws).len(), aws.connections.take_pushes().len()), (0, 0));
}
