//! Inbox entries, which a message adds and removes.

use std::time::Duration;

use send::Context;
use serde_json::{Value, json};
use support::{FakeAws, Fixture, Outcome, invoke};

use crate::{NOW, counts, is_message_put, send, stored, two_users};

const HOUR: i64 = 3_600_000;

/// Sends a message from Alice to Bob at this time, through a new function.
async fn send_at(aws: &FakeAws, content: &str, received_at: i64) -> Value {
    let frame = json!({ "recipientId": "bob", "content": content, "clientMessageId": content });
    let context = aws.context::<Context>().with_fast_put(Duration::MAX);
    invoke(&context, send::handle, Fixture::named("send").user("alice").frame(&frame).received_at(received_at)).await
}

/// The entries of all inboxes as `USER +HOUR PEER`, with the hour counted from [`NOW`].
fn inboxes(aws: &FakeAws) -> Vec<String> {
    let hour = |entry: &str| entry[3..13].parse::<i64>().unwrap() - NOW / HOUR;
    let row = |row: &Value| {
        let [user, entry, peer] = ["userId", "entry", "peerId"].map(|name| row[name]["S"].as_str().unwrap());
        assert_eq!(&entry[13..], format!(":{peer}"));
        format!("{user} +{} {peer}", hour(entry))
    };
    let mut rows: Vec<_> = aws.rows("ConversationsTable").iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn the_first_message_of_an_hour_adds_the_conversation_to_both_inboxes() {
    let (aws, context) = two_users().await;
    for (content, received_at, calls, inbox) in [
        (
            "first",
            NOW,
            &[("BatchGetItem", 1), ("BatchWriteItem", 1), ("PutItem", 1), ("Query", 1)][..],
            ["alice +0 bob", "bob +0 alice"],
        ),
        (
            "in the same hour",
            NOW + 1,
            &[("BatchGetItem", 1), ("PutItem", 1), ("Query", 1)],
            ["alice +0 bob", "bob +0 alice"],
        ),
        (
            "in another",
            NOW + 2 * HOUR,
            &[("BatchGetItem", 1), ("BatchWriteItem", 2), ("PutItem", 1), ("Query", 1)],
            ["alice +2 bob", "bob +2 alice"],
        ),
        ("late", NOW + HOUR, &[("BatchGetItem", 1), ("PutItem", 1), ("Query", 1)], ["alice +2 bob", "bob +2 alice"]),
        (
            "after that",
            NOW + 2 * HOUR + 1,
            &[("BatchGetItem", 1), ("PutItem", 1), ("Query", 1)],
            ["alice +2 bob", "bob +2 alice"],
        ),
        (
            "late",
            NOW + 3 * HOUR,
            &[("BatchGetItem", 1), ("GetItem", 1), ("Query", 1)],
            ["alice +2 bob", "bob +2 alice"],
        ),
    ] {
        aws.dynamodb.take_calls();
        assert_eq!(send_at(&aws, content, received_at).await["type"], "sent");
        assert_eq!(aws.dynamodb.take_counts(), counts(calls), "{content}");
        assert_eq!(inboxes(&aws), inbox, "{content}");
    }
    // A message to oneself is in one inbox.
    send(&context, "carol", json!({ "recipientId": "carol", "content": "A note" })).await;
    assert_eq!(inboxes(&aws), ["alice +2 bob", "bob +2 alice", "carol +0 carol"]);
}

#[tokio::test]
async fn the_inbox_entries_are_written_before_the_message_is_stored() {
    let (aws, _) = two_users().await;
    aws.dynamodb.inject(|call| match call.is_on("ConversationsTable") {
        true => Outcome::Fail(400, "AccessDeniedException"),
        false => Outcome::Forward,
    });
    assert_eq!(send_at(&aws, "the entries", NOW).await["code"], "internal");
    assert_eq!(stored(&aws).len(), 0, "no message without inbox entries");
    aws.dynamodb.inject(|call| {
        if is_message_put(call) { Outcome::Fail(400, "AccessDeniedException") } else { Outcome::Forward }
    });
    assert_eq!(send_at(&aws, "the message", NOW).await["code"], "internal");
    aws.dynamodb.inject(|_| Outcome::Forward);
    assert_eq!(send_at(&aws, "the message", NOW).await["value"]["seq"], 1);
    assert_eq!(inboxes(&aws), ["alice +0 bob", "bob +0 alice"]);
}

#[tokio::test]
async fn a_message_is_acknowledged_even_if_the_old_inbox_entries_cannot_be_removed() {
    let (aws, _) = two_users().await;
    send_at(&aws, "1", NOW).await;
    let mut batches = 0;
    aws.dynamodb.inject(move |call| {
        batches += usize::from(call.operation == "BatchWriteItem");
        // The second batch removes the old entries.
        let removes = call.operation == "BatchWriteItem" && batches == 2;
        if removes { Outcome::Fail(400, "AccessDeniedException") } else { Outcome::Forward }
    });
    assert_eq!(send_at(&aws, "2", NOW + HOUR).await["value"]["seq"], 2);
    assert_eq!(aws.connections.take_receivers().len(), 6);
    assert_eq!(inboxes(&aws), ["alice +0 bob", "alice +1 bob", "bob +0 alice", "bob +1 alice"]);
}
