//! Failing connections and tables.

use std::sync::Arc;

use send::Context;
use serde_json::json;
use support::{FakeAws, Fixture, Outcome, invoke};
use tokio::sync::Notify;

use crate::{NOW, send, stored, two_users};

#[tokio::test]
async fn one_failing_connection_affects_no_other() {
    let (aws, context) = two_users().await;
    aws.put_connection("bob", "bob-new", NOW - 1_000);
    aws.put_connection("bob", "bob-expired", NOW - 7_801_000);
    aws.connections.answer("alice-2", &[410]);
    aws.connections.answer("bob-new", &[410]);
    aws.connections.answer("bob", &[429, 200]);
    aws.connections.answer("bob-2", &[500, 500]);
    aws.put_connection("alice", "alice-silent", NOW - 3_600_000);
    aws.connections.silence("alice-silent");

    let sent = send(&context, "alice", json!({ "recipientId": "bob", "content": "Hi" })).await;

    assert_eq!(sent["type"], "sent");
    assert_eq!(
        aws.connections.take_receivers(),
        ["bob"],
        "what is slowed down is retried, what has expired is skipped"
    );
    let left: Vec<_> = aws.stored_connections().into_iter().map(|(_, id)| id).collect();
    // A young connection that is gone is kept, because API Gateway also answers 410 while a connection is being opened.
    assert_eq!(left, ["alice", "alice-silent", "bob", "bob-2", "bob-expired", "bob-new"]);
}

#[tokio::test]
async fn a_stored_message_is_acknowledged_even_if_the_recipients_cannot_be_read() {
    let (aws, context) = two_users().await;
    aws.dynamodb.inject(|call| match call.is_on("ClientsTable") {
        true => Outcome::Fail(400, "AccessDeniedException"),
        false => Outcome::Forward,
    });
    assert_eq!(send(&context, "alice", json!({ "recipientId": "bob", "content": "Hi" })).await["type"], "sent");
    assert_eq!(stored(&aws).len(), 1);
}

#[tokio::test]
async fn users_whose_connections_dynamodb_leaves_unprocessed_are_requested_again() {
    let (aws, context) = two_users().await;
    let item = aws.rows("ClientsTable").into_iter().find(|item| item["userId"]["S"] == "alice");
    // The first response has one of the two users.
    aws.dynamodb.inject(move |call| {
        let mut unprocessed = call.body["RequestItems"].clone();
        let Some(keys) = unprocessed["ClientsTable"]["Keys"].as_array_mut().filter(|keys| keys.len() == 2) else {
            return Outcome::Forward;
        };
        keys.retain(|key| key["userId"]["S"] == "bob");
        let response = json!({ "Responses": { "ClientsTable": [item] }, "UnprocessedKeys": unprocessed });
        Outcome::Respond(200, response)
    });
    assert_eq!(send(&context, "alice", json!({ "recipientId": "bob", "content": "Hi" })).await["type"], "sent");
    assert_eq!(aws.connections.take_receivers(), ["alice-2", "bob", "bob-2"]);
}

#[tokio::test]
async fn a_stored_message_is_acknowledged_in_time_even_if_dynamodb_hangs() {
    let (aws, context) = two_users().await;
    let never = Arc::new(Notify::new());
    let hold = never.clone();
    aws.dynamodb.inject(move |call| match call.is_on("ClientsTable") {
        true => Outcome::Hold(hold.clone()),
        false => Outcome::Forward,
    });
    let frame = json!({ "recipientId": "bob", "content": "Hi" });
    let event = Fixture::named("send").user("alice").frame(&frame).timeout_ms(1_500);
    assert_eq!(invoke(&context, send::handle, event).await["type"], "sent");
    assert_eq!(stored(&aws).len(), 1);

    let hold = never.clone();
    aws.dynamodb.inject(move |_| Outcome::Hold(hold.clone()));
    let event = Fixture::named("send").user("alice").frame(&frame).timeout_ms(1_500);
    assert_eq!(invoke(&context, send::handle, event).await["code"], "unavailable");
}

#[tokio::test]
async fn the_client_gets_no_internals_if_dynamodb_fails() {
    let (aws, context) = two_users().await;
    for (operation, status, error, code) in [
        ("Query", 400, "ThrottlingException", "unavailable"),
        ("PutItem", 500, "InternalServerError", "unavailable"),
        ("PutItem", 400, "ResourceNotFoundException", "internal"),
    ] {
        aws.dynamodb.inject(
            move |call| {
                if call.operation == operation { Outcome::Fail(status, error) } else { Outcome::Forward }
            },
        );
        let answer = send(&context, "alice", json!({ "recipientId": "bob", "content": "Hi", "ref": "7" })).await;
        assert_eq!((&answer["code"], &answer["ref"]), (&json!(code), &json!("7")));
        assert!(!answer.to_string().contains("Exception"), "{answer}");
    }
    assert_eq!((stored(&aws).len(), aws.connections.take_pushes().len()), (0, 0));
}

#[tokio::test]
async fn a_missing_or_invalid_variable_is_named() {
    let aws = FakeAws::start().await;
    for (name, value) in [
        ("CLIENTS_TABLE", ""),
        ("MESSAGES_TABLE", " "),
        ("CONVERSATIONS_TABLE", ""),
        ("CONNECTIONS_ENDPOINT", ""),
        ("CONNECTIONS_ENDPOINT", "wss://x"),
        ("MESSAGE_RATE", ""),
        ("MESSAGE_RATE", "0"),
        ("MESSAGE_RATE", "1001"),
        ("MESSAGE_BURST", "-1"),
        ("MESSAGE_BURST", "100001"),
    ] {
        let error = aws.try_context::<Context>(&[(name, value)]).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
