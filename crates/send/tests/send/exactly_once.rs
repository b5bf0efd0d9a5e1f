//! Repeats, lost responses and concurrent senders: each message is stored once, in one order.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use support::{Fixture, Outcome, Sent, invoke};
use tokio::sync::Notify;

use crate::{acknowledged, is_message_put, send, stored, two_users};

#[tokio::test]
async fn a_repeat_is_stored_once_pushed_again_and_acknowledged_like_the_first() {
    for last_seq in [json!({}), json!({ "lastSeq": 0 })] {
        let (aws, context) = two_users().await;
        let mut frame = json!({ "recipientId": "bob", "content": "Once", "clientMessageId": "c1" });
        frame.as_object_mut().unwrap().extend(last_seq.as_object().unwrap().clone());
        let first = acknowledged(&send(&context, "alice", frame.clone()).await);
        let by_bob = json!({ "recipientId": "alice", "content": "Twice", "clientMessageId": "c1" });
        let other = acknowledged(&send(&context, "bob", by_bob).await);
        aws.connections.take_pushes();

        // If a repeat has another text, the stored text is pushed.
        frame["content"] = json!("Changed");
        let repeat = acknowledged(&send(&context, "alice", frame).await);

        assert_eq!(other.seq, 2, "the same clientMessageId of another sender is another message");
        assert!(!first.duplicate);
        assert_eq!(repeat, Sent { duplicate: true, ..first });
        let pushes = aws.connections.take_pushes();
        assert_eq!(pushes.len(), 3);
        assert!(pushes.iter().all(|push| push.frame["value"]["content"] == "Once" && push.frame["value"]["seq"] == 1));
        assert_eq!(stored(&aws), [(1, "Once".to_owned()), (2, "Twice".to_owned())]);
    }
}

#[tokio::test]
async fn a_lost_response_after_the_put_leaves_one_message() {
    let (aws, context) = two_users().await;
    let mut puts = 0;
    aws.dynamodb.inject(move |call| {
        puts += usize::from(is_message_put(call));
        if is_message_put(call) && puts == 1 { Outcome::LoseResponse } else { Outcome::Forward }
    });
    for client_message_id in [json!(null), json!("c1")] {
        let frame = json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": client_message_id });
        assert!(!acknowledged(&send(&context, "alice", frame).await).duplicate);
    }
    assert_eq!(stored(&aws).len(), 2);
}

#[tokio::test]
async fn a_repeat_that_overtakes_the_first_attempt_is_stored_once() {
    let (aws, context) = two_users().await;
    let released = Arc::new(Notify::new());
    let (hold, mut puts) = (released.clone(), 0);
    aws.dynamodb.inject(move |call| {
        puts += usize::from(is_message_put(call));
        if is_message_put(call) && puts == 1 { Outcome::Hold(hold.clone()) } else { Outcome::Forward }
    });
    let frame = json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": "c1", "lastSeq": 0 });
    let overtake = async {
        aws.dynamodb.wait_for_calls("PutItem", 1).await;
        // Two other messages first, so that the repeat is not in the slot that the first attempt tries.
        send(&context, "bob", json!({ "recipientId": "alice", "content": "1" })).await;
        send(&context, "bob", json!({ "recipientId": "alice", "content": "2" })).await;
        let second = send(&context, "alice", frame.clone()).await;
        released.notify_one();
        second
    };
    let (first, second) = tokio::join!(send(&context, "alice", frame.clone()), overtake);
    let (first, second) = (acknowledged(&first), acknowledged(&second));
    assert_eq!((first.seq, first.duplicate), (3, true));
    assert_eq!((second.seq, second.duplicate), (3, false));
    assert_eq!(stored(&aws).len(), 3);
}

#[tokio::test]
async fn concurrent_senders_share_one_dense_order() {
    let (aws, context) = two_users().await;
    let sends = (0..30).map(|number| {
        let (sender, recipient) = if number % 2 == 0 { ("alice", "bob") } else { ("bob", "alice") };
        let context = &context;
        async move {
            let frame = json!({ "recipientId": recipient, "content": number.to_string(), "clientMessageId": number.to_string() });
            // On a busy machine, thirty concurrent sends can exceed the time-out of a function.
            invoke(context, send::handle, Fixture::named("send").user(sender).frame(&frame).timeout_ms(120_000)).await
        }
    });
    let mut seqs: Vec<_> = join_all(sends).await.iter().map(|reply| acknowledged(reply).seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=30).collect::<Vec<_>>());
    assert_eq!(stored(&aws).len(), 30);
}

#[tokio::test]
async fn a_client_that_is_too_far_behind_must_catch_up_first() {
    let (aws, context) = two_users().await;
    for seq in 1..=1_002 {
        aws.put_message(seq, "alice", "bob", "Hi");
    }
    let frame =
        |last_seq| json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": "3", "lastSeq": last_seq });
    assert_eq!(send(&context, "alice", frame(1)).await["code"], "out_of_date");
    assert_eq!(stored(&aws).len(), 1_002);
    let repeat = acknowledged(&send(&context, "alice", frame(2)).await);
    assert_eq!((repeat.seq, repeat.duplicate), (3, true));
}

#[tokio::test]
async fn a_message_without_an_id_is_stored_once_if_its_slot_is_contended_after_a_lost_response() {
    let (aws, context) = two_users().await;
    let aws = Arc::new(aws);
    let (other, mut puts) = (aws.clone(), 0);
    aws.dynamodb.inject(move |call| {
        puts += usize::from(is_message_put(call));
        match puts {
            1 if is_message_put(call) => Outcome::LoseResponse,
            2 if is_message_put(call) => {
                // Meanwhile another message follows the stored one.
                other.put_message(2, "bob", "alice", "next");
                Outcome::Fail(400, "TransactionConflictException")
            }
            _ => Outcome::Forward,
        }
    });
    let sent = acknowledged(&send(&context, "alice", json!({ "recipientId": "bob", "content": "Once" })).await);
    assert_eq!((sent.seq, sent.duplicate), (1, false));
    assert_eq!(stored(&aws), [(1, "Once".to_owned()), (2, "next".to_owned())]);
}
