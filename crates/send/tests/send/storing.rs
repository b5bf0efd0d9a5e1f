//! Storing, pushing and acknowledging one message.

use std::time::Duration;

use serde_json::json;
use support::{Fixture, invoke};

use crate::{NOW, counts, hold_message_puts, send, send_with_fast_put, stored, two_users};

#[tokio::test]
async fn a_message_is_stored_pushed_and_acknowledged() {
    let (aws, context) = two_users().await;

    let sent = invoke(&context, send::handle, Fixture::named("send").connection("alice")).await;

    let [message_id, position] = ["messageId", "position"].map(|name| &sent["value"][name]);
    let expected = json!({
        "type": "sent",
        "ref": "1",
        "value": {
            "messageId": message_id,
            "conversationId": "dm:5:alice:bob",
            "seq": 1,
            "createdAt": NOW,
            "clientMessageId": "3f0c7a52-first",
            "duplicate": false,
            "position": position,
        },
    });
    assert_eq!(sent, expected);
    let message = json!({
        "type": "message",
        "value": {
            "messageId": message_id,
            "conversationId": "dm:5:alice:bob",
            "seq": 1,
            "senderId": "alice",
            "recipientId": "bob",
            "content": "Hello, Bob!",
            "createdAt": NOW,
            "clientMessageId": "3f0c7a52-first",
        },
        "position": position,
    });
    let mut pushes = aws.connections.take_pushes();
    pushes.sort_by(|one, other| one.connection_id.cmp(&other.connection_id));
    for (push, connection) in pushes.iter().zip(["alice-2", "bob", "bob-2"]) {
        assert_eq!((push.connection_id.as_str(), &push.frame), (connection, &message));
    }
    assert_eq!(pushes.len(), 3);
    assert_eq!(stored(&aws), [(1, "Hello, Bob!".to_owned())]);
}

#[tokio::test]
async fn a_send_makes_three_calls_and_one_push_per_other_connection() {
    let (aws, context) = two_users().await;
    send(&context, "alice", json!({ "recipientId": "bob", "content": "1" })).await;
    for frame in [
        json!({ "recipientId": "bob", "content": "2" }),
        json!({ "recipientId": "bob", "content": "3", "clientMessageId": "3" }),
        json!({ "recipientId": "bob", "content": "4", "clientMessageId": "4", "lastSeq": 3 }),
    ] {
        aws.dynamodb.take_calls();
        aws.connections.take_pushes();
        assert_eq!(send_with_fast_put(&aws, frame, Duration::MAX).await["type"], "sent");
        assert_eq!(aws.dynamodb.take_counts(), counts(&[("BatchGetItem", 1), ("PutItem", 1), ("Query", 1)]));
        assert_eq!(aws.connections.take_receivers(), ["alice-2", "bob", "bob-2"]);
    }
}

#[tokio::test]
async fn the_connections_are_read_while_the_put_runs() {
    let (aws, context) = two_users().await;
    let released = hold_message_puts(&aws);
    // If the connections were read after the put, nothing would release the put, and the test would never end.
    let release = async {
        tokio::join!(aws.dynamodb.wait_for_calls("BatchGetItem", 1), aws.dynamodb.wait_for_calls("PutItem", 1));
        released.notify_one();
    };
    let (sent, ()) = tokio::join!(send(&context, "alice", json!({ "recipientId": "bob", "content": "Hi" })), release);
    assert_eq!(sent["type"], "sent");
}

#[tokio::test]
async fn a_message_to_oneself_reaches_the_users_other_devices() {
    let (aws, context) = two_users().await;
    let sent = send(&context, "alice", json!({ "recipientId": "alice", "content": "A note" })).await;
    assert_eq!(sent["value"]["conversationId"], "dm:5:alice:alice");
    assert_eq!(aws.connections.take_receivers(), ["alice-2"]);
}

#[tokio::test]
async fn a_client_that_connects_while_a_message_is_being_stored_gets_it() {
    let (aws, _) = two_users().await;
    let released = hold_message_puts(&aws);
    let connecting = async {
        tokio::join!(aws.dynamodb.wait_for_calls("BatchGetItem", 1), aws.dynamodb.wait_for_calls("PutItem", 1));
        // Bob's third device connects and finds no new message, so it needs the push.
        aws.put_connection("bob", "bob-3", NOW);
        released.notify_one();
    };
    let frame = json!({ "recipientId": "bob", "content": "Hi" });
    tokio::join!(send_with_fast_put(&aws, frame, Duration::ZERO), connecting);
    assert_eq!(aws.connections.take_receivers(), ["alice-2", "bob", "bob-2", "bob-3"]);
}

#[tokio::test]
async fn the_largest_text_and_names_of_every_kind_arrive_unchanged() {
    let (aws, context) = two_users().await;
    for content in ["x".repeat(16_384), "🦀".repeat(4_096), "مرحبا \u{202e}\n\t\"q\" <b>".to_owned(), "a\0b".to_owned()]
    {
        let sent =
            send(&context, "李#:雷\"", json!({ "recipientId": "bob", "content": content, "colour": "blue" })).await;
        assert_eq!(sent["type"], "sent", "{sent}");
        let push = aws.connections.take_pushes().pop().unwrap();
        assert_eq!(
            (&push.frame["value"]["content"], &push.frame["value"]["senderId"]),
            (&json!(content), &json!("李#:雷\""))
        );
    }
}
