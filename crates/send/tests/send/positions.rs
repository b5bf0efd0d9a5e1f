//! Messages that follow a position instead of a look at the conversation.

use std::time::Duration;

use serde_json::{Value, json};
use support::{FakeAws, Fixture, Sent, invoke};

use crate::{NOW, acknowledged, counts, is_message_put, send, send_with_fast_put, stored, two_users};

/// Sends as Alice to Bob, after `known`, with a put that counts as fast.
async fn send_after(aws: &FakeAws, content: &str, known: Value) -> Value {
    let mut frame = json!({ "recipientId": "bob", "content": content, "clientMessageId": content });
    frame.as_object_mut().unwrap().extend(known.as_object().unwrap().clone());
    send_with_fast_put(aws, frame, Duration::MAX).await
}

fn position(answer: &Value) -> Value {
    assert!(answer["value"]["position"].is_string(), "{answer}");
    answer["value"]["position"].clone()
}

/// Reads a page of Alice's conversation with Bob.
async fn page(aws: &FakeAws, range: Value) -> Value {
    let mut frame = json!({ "targetId": "bob" });
    frame.as_object_mut().unwrap().extend(range.as_object().unwrap().clone());
    invoke(&aws.context(), history::handle, Fixture::named("history").user("alice").frame(&frame)).await
}

#[tokio::test]
async fn a_send_after_the_end_takes_two_calls_of_which_none_waits_for_the_other() {
    let (aws, context) = two_users().await;
    let first = send(&context, "bob", json!({ "recipientId": "alice", "content": "1" })).await;
    let pushed = aws.connections.take_pushes().remove(0).frame["position"].clone();
    let read = page(&aws, json!({})).await;
    assert_eq!([position(&first), position(&read)], [pushed.clone(), pushed.clone()], "one position for all");

    let mut position = pushed;
    for content in ["2", "3"] {
        aws.dynamodb.take_calls();
        let answer = send_after(&aws, content, json!({ "position": position })).await;
        assert_eq!(aws.dynamodb.take_counts(), counts(&[("BatchGetItem", 1), ("PutItem", 1)]));
        position = crate::positions::position(&answer);
    }
    assert_eq!(stored(&aws), [1, 2, 3].map(|seq| (seq, seq.to_string())));
    // The state is as if the sender had looked.
    let rows = aws.rows("MessagesTable");
    let last = rows.iter().find(|row| row["seq"]["N"] == "3").unwrap();
    assert_eq!(last["tally"]["M"]["recipientSeq"]["N"], "1");
    assert_eq!(last["createdAt"]["N"], NOW.to_string());
}

#[tokio::test]
async fn only_a_page_that_reaches_the_end_has_a_position() {
    let (aws, context) = two_users().await;
    for content in ["1", "2", "3", "4"] {
        send(&context, "alice", json!({ "recipientId": "bob", "content": content })).await;
    }
    let newest = position(&page(&aws, json!({ "limit": 1 })).await);
    for (range, has_position) in [
        (json!({}), true),
        (json!({ "after": 0 }), true),
        (json!({ "after": 2, "limit": 2 }), true),
        (json!({ "after": 1, "limit": 2 }), false),
        (json!({ "after": 4 }), false),
        (json!({ "startKey": { "conversationId": "dm:5:alice:bob", "seq": 5 } }), false),
    ] {
        let page = page(&aws, range.clone()).await;
        let expected = if has_position { newest.clone() } else { Value::Null };
        assert_eq!(page["value"]["position"], expected, "{range}");
    }
}

#[tokio::test]
async fn a_repeat_after_the_same_position_is_found_with_one_put() {
    let (aws, context) = two_users().await;
    let known = json!({ "position": position(&send(&context, "bob", json!({ "recipientId": "alice", "content": "1" })).await) });
    let first = acknowledged(&send_after(&aws, "Once", known.clone()).await);
    aws.dynamodb.take_calls();
    let repeat = acknowledged(&send_after(&aws, "Once", known.clone()).await);
    assert_eq!(repeat, Sent { duplicate: true, ..first.clone() });
    assert_eq!(aws.dynamodb.take_counts(), counts(&[("BatchGetItem", 1), ("PutItem", 1)]));

    for content in ["2", "3", "4"] {
        send(&context, "bob", json!({ "recipientId": "alice", "content": content })).await;
    }
    assert_eq!(acknowledged(&send_after(&aws, "Once", known).await), Sent { duplicate: true, ..first });
    assert_eq!(stored(&aws).len(), 5);
}

#[tokio::test]
async fn a_position_that_is_not_the_end_costs_a_put_more_and_a_look_if_more_than_one_message_follows() {
    // The connections are read beside each put.
    for (missed, calls) in [
        (1, counts(&[("BatchGetItem", 2), ("PutItem", 2)])),
        (3, counts(&[("BatchGetItem", 3), ("PutItem", 3), ("Query", 1)])),
    ] {
        let (aws, context) = two_users().await;
        let old = position(&send(&context, "bob", json!({ "recipientId": "alice", "content": "1" })).await);
        for _ in 0..missed {
            send(&context, "bob", json!({ "recipientId": "alice", "content": "x" })).await;
        }
        aws.dynamodb.take_calls();
        let sent = acknowledged(&send_after(&aws, "last", json!({ "position": old })).await);
        assert_eq!((sent.seq, sent.duplicate), (missed + 2, false));
        assert_eq!(aws.dynamodb.take_counts(), calls);
        // The state is that of the message before.
        let last = aws.rows("MessagesTable").into_iter().find(|row| row["content"]["S"] == "last").unwrap();
        assert_eq!(last["tally"]["M"]["recipientSeq"]["N"], (missed + 1).to_string());
    }
}

#[tokio::test]
async fn a_position_that_proves_nothing_is_no_error_and_makes_neither_a_hole_nor_a_duplicate() {
    let (aws, _) = two_users().await;
    let [context, other_key, keyless] = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210", ""]
        .map(|key| aws.try_context::<send::Context>(&[("POSITION_KEY", key), ("MESSAGE_BURST", "1000")]).unwrap());
    let to_carol = json!({ "recipientId": "carol", "content": "Hi" });
    let mut foreign = Value::Null;
    for _ in 0..40 {
        foreign = position(&send(&context, "alice", to_carol.clone()).await);
    }
    let genuine = position(&send(&context, "alice", json!({ "recipientId": "bob", "content": "first" })).await);
    let text = genuine.as_str().unwrap();
    let swapped = format!("{}{}", if text.starts_with('A') { "B" } else { "A" }, &text[1..]);
    let wrong =
        [foreign, json!(""), json!("x"), json!(text[..20]), json!(format!("{text}AAAA")), json!(swapped), json!("🦀")];
    let mut seq = 1;
    for position in wrong.iter().chain([&genuine]) {
        for context in [&context, &other_key, &keyless] {
            seq += 1;
            let frame = json!({ "recipientId": "bob", "content": "x", "clientMessageId": seq.to_string(), "position": position });
            for duplicate in [false, true] {
                let sent = acknowledged(&send(context, "alice", frame.clone()).await);
                assert_eq!((sent.seq, sent.duplicate), (seq, duplicate), "{position}");
            }
        }
    }
    let unknown = send(&keyless, "alice", json!({ "recipientId": "bob", "content": "x" })).await;
    assert_eq!(unknown["value"].get("position"), None);
}

#[tokio::test]
async fn a_repeat_is_found_beyond_the_newest_25_after_a_change_of_the_key() {
    let (aws, context) = two_users().await;
    let known = json!({ "position": position(&send(&context, "alice", json!({ "recipientId": "bob", "content": "1" })).await) });
    let first = acknowledged(&send_after(&aws, "Once", known.clone()).await);
    for seq in 3..=60 {
        aws.put_message(seq, "bob", "alice", "Hi");
    }
    let other_key: send::Context = aws.try_context(&[("POSITION_KEY", "ffffffffffffffffffffffffffffffff")]).unwrap();
    let mut frame = json!({ "recipientId": "bob", "content": "Once", "clientMessageId": "Once" });
    frame.as_object_mut().unwrap().extend(known.as_object().unwrap().clone());
    let repeat = acknowledged(&send(&other_key, "alice", frame).await);
    assert_eq!((repeat.identity(), repeat.duplicate), (first.identity(), true));
}

#[tokio::test]
async fn a_repeat_is_found_among_the_newest_25_if_a_foreign_position_is_beyond_the_end() {
    let (aws, _) = two_users().await;
    let context: send::Context = aws.try_context(&[("MESSAGE_BURST", "1000")]).unwrap();
    let mut foreign = Value::Null;
    for _ in 0..40 {
        foreign = position(&send(&context, "alice", json!({ "recipientId": "carol", "content": "Hi" })).await);
    }
    let frame = json!({ "recipientId": "bob", "content": "x", "clientMessageId": "x", "position": foreign });
    let first = acknowledged(&send(&context, "alice", frame.clone()).await);
    for seq in 2..=25 {
        aws.put_message(seq, "bob", "alice", "Hi");
    }
    assert_eq!(acknowledged(&send(&context, "alice", frame).await), Sent { duplicate: true, ..first });
}

#[tokio::test]
async fn a_stored_message_is_found_although_the_position_says_that_the_limit_is_used_up() {
    let (aws, _) = two_users().await;
    let context: send::Context = aws.try_context(&[("MESSAGE_RATE", "1"), ("MESSAGE_BURST", "1")]).unwrap();
    let known = position(&send(&context, "alice", json!({ "recipientId": "bob", "content": "1" })).await);
    // Another process, whose own count of the user's messages is empty.
    let other = || aws.try_context::<send::Context>(&[("MESSAGE_RATE", "1"), ("MESSAGE_BURST", "1")]).unwrap();
    let frame = |id: &str| json!({ "recipientId": "bob", "content": "x", "clientMessageId": id, "position": known });
    assert_eq!(send(&other(), "alice", frame("a")).await["code"], "rate_limited");
    let later = Fixture::named("send").user("alice").frame(&frame("a"));
    let later = later.set("/requestContext/requestTimeEpoch", json!(NOW + 1_000));
    assert!(!acknowledged(&invoke(&other(), send::handle, later).await).duplicate);
    assert!(acknowledged(&send(&other(), "alice", frame("a")).await).duplicate);
    assert_eq!(stored(&aws).len(), 2);
}

#[tokio::test]
async fn the_first_message_of_an_hour_writes_the_inbox_entries_before_the_put() {
    let (aws, context) = two_users().await;
    let known = position(&send(&context, "bob", json!({ "recipientId": "alice", "content": "1" })).await);
    aws.dynamodb.take_calls();
    let frame = json!({ "recipientId": "bob", "content": "2", "position": known });
    let event = Fixture::named("send").user("alice").frame(&frame);
    let event = event.set("/requestContext/requestTimeEpoch", json!(NOW + 3_600_000));
    invoke(&context.with_fast_put(Duration::MAX), send::handle, event).await;
    let calls = aws.dynamodb.take_calls();
    let put = calls.iter().position(is_message_put).unwrap();
    let entries = calls[..put].iter().filter(|call| call.is_on("ConversationsTable"));
    assert_eq!(entries.count(), 1, "both in one call");
    assert!(calls.iter().all(|call| call.operation != "Query"));
    let deletes = calls[put..].iter().filter(|call| call.is_on("ConversationsTable"));
    assert_eq!(deletes.count(), 1);
}

#[tokio::test]
async fn a_frame_with_a_position_and_a_last_seq_is_refused() {
    let (aws, context) = two_users().await;
    let frame = json!({ "recipientId": "bob", "content": "x", "lastSeq": 0, "position": "x" });
    let answer = send(&context, "alice", frame).await;
    assert_eq!(
        (&answer["code"], &answer["message"]),
        (&json!("bad_request"), &json!("give lastSeq or position, not both"))
    );
    let frame = json!({ "recipientId": "bob", "content": "x", "position": 7 });
    let answer = send(&context, "alice", frame).await;
    assert!(answer["message"].as_str().unwrap().starts_with("position: "), "{answer}");
    assert_eq!(stored(&aws).len(), 0);
}
