//! Changes and messages at the same moment, lost responses, and transactions that DynamoDB cancels.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Call, Outcome};
use tokio::sync::Notify;

use crate::{Chat, delete, edit, react, with};

fn is_transaction(call: &Call) -> bool {
    call.operation == "TransactWriteItems"
}

fn is_message_put(call: &Call) -> bool {
    call.operation == "PutItem" && call.body["TableName"] == "MessagesTable"
}

/// DynamoDB's answer to a transaction of which these reasons cancelled the two parts.
fn cancelled(reasons: [&str; 2]) -> Outcome {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let reasons = reasons.map(|code| json!({ "Code": code }));
    Outcome::Respond(400, json!({ "__type": kind, "Message": "cancelled", "CancellationReasons": reasons }))
}

/// The stored entries in order: for each its number, and its target if it is a change. They have no gap.
#[track_caller]
fn log(chat: &Chat) -> Vec<(u64, Option<u64>)> {
    let number = |value: &Value| value["N"].as_str().map(|number| number.parse().unwrap());
    let rows = chat.aws.rows("MessagesTable");
    let mut log: Vec<_> = rows.iter().map(|row| (number(&row["seq"]).unwrap(), number(&row["target"]))).collect();
    log.sort_unstable();
    let seqs: Vec<_> = log.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, (1..=log.len() as u64).collect::<Vec<_>>());
    log
}

/// Sends these frames so that all of them have read what they need before the first one writes.
async fn at_once(chat: &Chat, frames: &[(&str, Value)]) -> Vec<Value> {
    let released = Arc::new(Notify::new());
    let (hold, mut left) = (released.clone(), frames.len());
    chat.aws.dynamodb.inject(move |call| {
        if left > 0 && (is_transaction(call) || is_message_put(call)) {
            left -= 1;
            return Outcome::Hold(hold.clone());
        }
        Outcome::Forward
    });
    chat.aws.dynamodb.take_calls();
    let replies = join_all(frames.iter().map(|(user, frame)| chat.request(user, frame)));
    let release = async {
        let transactions = frames.iter().filter(|(_, frame)| frame["action"] != "sendMessage").count();
        chat.aws.dynamodb.wait_for_calls("TransactWriteItems", transactions).await;
        chat.aws.dynamodb.wait_for_calls("PutItem", frames.len() - transactions).await;
        released.notify_waiters();
    };
    tokio::join!(replies, release).0
}

#[tokio::test]
async fn ten_reactions_at_the_same_moment_are_all_stored() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    let users = ["alice", "bob"].into_iter().cycle();
    let frames: Vec<_> =
        users.zip(0..10).map(|(user, number)| (user, react(user, 1, &number.to_string(), true))).collect();
    let replies = at_once(&chat, &frames).await;
    let seqs: BTreeSet<_> = replies.iter().map(|reply| reply["value"]["seq"].as_u64()).collect();
    assert_eq!(seqs, (2..=11).map(Some).collect(), "{replies:?}");
    assert_eq!(log(&chat).len(), 11);
    let message = chat.message(1).await;
    assert_eq!(message["reactions"].as_object().unwrap().len(), 10);
    assert_eq!(message["version"], 11);
}

#[tokio::test]
async fn of_two_edits_at_the_same_moment_the_one_with_the_larger_number_counts() {
    for _ in 0..5 {
        let chat = Chat::start().await;
        chat.send("alice", "1").await;
        let frames = ["a", "b", "c"].map(|content| ("alice", edit("alice", 1, content)));
        let replies = at_once(&chat, &frames).await;
        let newest = replies.iter().max_by_key(|reply| reply["value"]["seq"].as_u64()).unwrap();
        assert_eq!((&newest["value"]["seq"], &newest["value"]["changed"]), (&json!(4), &chat.message(1).await));
        assert_eq!(log(&chat), [(1, None), (2, Some(1)), (3, Some(1)), (4, Some(1))]);
    }
}

#[tokio::test]
async fn an_edit_that_meets_a_deletion_comes_before_it_or_is_refused() {
    for _ in 0..5 {
        let chat = Chat::start().await;
        chat.send("alice", "Sekrit 1").await;
        let frames = [
            ("alice", edit("alice", 1, "Sekrit 2")),
            ("alice", delete("alice", 1)),
            ("bob", react("bob", 1, "👍", true)),
        ];
        let replies = at_once(&chat, &frames).await;
        let deletion = &replies[1]["value"];
        assert_eq!(deletion["changed"]["content"], "", "{replies:?}");
        for other in [&replies[0], &replies[2]] {
            match other["code"].as_str() {
                None => assert!(other["value"]["seq"].as_u64() < deletion["seq"].as_u64(), "{replies:?}"),
                Some(code) => assert_eq!(code, "forbidden"),
            }
        }
        assert!(!json!(chat.aws.rows("MessagesTable")).to_string().contains("Sekrit"));
        assert_eq!(chat.message(1).await["version"], deletion["seq"]);
        log(&chat);
    }
}

#[tokio::test]
async fn messages_and_changes_at_the_same_moment_share_one_dense_order() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    let message = |user: &'static str, content: &str| {
        let peer = crate::peer_of(user);
        (user, json!({ "action": "sendMessage", "recipientId": peer, "content": content, "clientMessageId": content }))
    };
    let frames = [
        message("alice", "2"),
        message("bob", "3"),
        ("alice", edit("alice", 1, "One")),
        ("bob", react("bob", 1, "👍", true)),
    ];
    let replies = at_once(&chat, &frames).await;
    assert!(replies.iter().all(|reply| reply["type"] == "sent"), "{replies:?}");
    assert_eq!(log(&chat).len(), 5);
    let message = chat.message(1).await;
    assert_eq!((&message["content"], &message["reactions"]), (&json!("One"), &json!({ "👍": ["bob"] })));
}

#[tokio::test]
async fn a_lost_response_leaves_one_change() {
    // The second response is the SDK's repeat of the transaction; the token makes it the same transaction.
    for losses in 1..=2 {
        for conflicts_then in [false, true] {
            let chat = Chat::start().await;
            chat.send("alice", "1").await;
            let (mut lost, mut conflicted) = (0, !conflicts_then);
            chat.aws.dynamodb.inject(move |call| match is_transaction(call) {
                true if lost < losses => {
                    lost += 1;
                    Outcome::LoseResponse
                }
                true if !std::mem::replace(&mut conflicted, true) => cancelled(["None", "TransactionConflict"]),
                _ => Outcome::Forward,
            });
            let frame = react("bob", 1, "👍", true);
            let sent = chat.accepted("bob", frame).await;
            assert_eq!((&sent["seq"], &sent["duplicate"]), (&json!(2), &json!(false)), "{losses} {conflicts_then}");
            assert_eq!(sent["changed"], chat.message(1).await);
            assert_eq!(log(&chat), [(1, None), (2, Some(1))]);
        }
    }
}

#[tokio::test]
async fn cancelled_transactions_are_tried_again_and_throttled_ones_are_unavailable() {
    let conflicts =
        [["TransactionConflict", "None"], ["None", "TransactionConflict"], ["None", "ConditionalCheckFailed"]];
    for reasons in conflicts {
        for times in [1, 3] {
            let chat = Chat::start().await;
            chat.send("alice", "1").await;
            let mut left = times;
            chat.aws.dynamodb.inject(move |call| {
                if is_transaction(call) && left > 0 {
                    left -= 1;
                    return cancelled(reasons);
                }
                Outcome::Forward
            });
            let sent = chat.accepted("alice", edit("alice", 1, "2")).await;
            assert_eq!((&sent["seq"], &sent["duplicate"]), (&json!(2), &json!(false)), "{reasons:?} {times}");
            assert_eq!(log(&chat), [(1, None), (2, Some(1))]);
        }
    }
    for (reasons, code) in [
        (["ThrottlingError", "None"], "unavailable"),
        (["None", "ProvisionedThroughputExceeded"], "unavailable"),
        (["ValidationError", "None"], "internal"),
    ] {
        let chat = Chat::start().await;
        chat.send("alice", "1").await;
        chat.aws.dynamodb.inject(move |call| if is_transaction(call) { cancelled(reasons) } else { Outcome::Forward });
        let reply = chat.request("alice", &edit("alice", 1, "2")).await;
        assert_eq!(reply["code"], code, "{reasons:?} {reply}");
        assert_eq!(log(&chat), [(1, None)]);
    }
}

#[tokio::test]
async fn a_send_beside_a_change_of_the_same_end_neither_fails_nor_repeats() {
    // DynamoDB answers a put of an item that a transaction is using with an exception, whether or not the put took effect
    // before: the response to a first attempt can have been lost.
    for stored_before in [false, true] {
        let chat = Chat::start().await;
        chat.send("alice", "1").await;
        let mut attempts = 0;
        chat.aws.dynamodb.inject(move |call| {
            if !is_message_put(call) {
                return Outcome::Forward;
            }
            attempts += 1;
            match (attempts, stored_before) {
                (1, true) => Outcome::LoseResponse,
                (1, false) | (2, true) => Outcome::Fail(400, "TransactionConflictException"),
                _ => Outcome::Forward,
            }
        });
        let frame = json!({ "action": "sendMessage", "recipientId": "bob", "content": "2" });
        let frame = with(frame, json!({ "clientMessageId": "c", "lastSeq": 1 }));
        let sent = chat.accepted("alice", frame.clone()).await;
        assert_eq!((&sent["seq"], &sent["duplicate"]), (&json!(2), &json!(false)));
        assert_eq!(chat.accepted("alice", frame).await["duplicate"], true);
        assert_eq!(log(&chat).len(), 2);
    }
}

#[tokio::test]
async fn a_change_whose_message_moved_since_it_was_read_is_decided_again() {
    for earlier_changes in [0, 1] {
        let chat = Chat::start().await;
        chat.send("alice", "1").await;
        for _ in 0..earlier_changes {
            chat.accepted("alice", edit("alice", 1, "2")).await;
        }
        // The message is read, then another change takes effect, and only then the end of the conversation is read.
        let released = Arc::new(Notify::new());
        let (hold, mut held) = (released.clone(), false);
        chat.aws.dynamodb.inject(move |call| {
            if call.operation == "Query" && !std::mem::replace(&mut held, true) {
                return Outcome::Hold(hold.clone());
            }
            Outcome::Forward
        });
        chat.aws.dynamodb.take_calls();
        let frame = react("bob", 1, "👍", true);
        let late = chat.request("bob", &frame);
        let first = async {
            chat.aws.dynamodb.wait_for_calls("GetItem", 1).await;
            let deleted = chat.request("alice", &delete("alice", 1)).await;
            released.notify_one();
            deleted
        };
        let (late, deleted) = tokio::join!(late, first);
        assert_eq!((&deleted["type"], &late["code"]), (&json!("sent"), &json!("forbidden")), "{late}");
        assert_eq!(log(&chat).len(), 2 + earlier_changes);
    }
}

/// DynamoDB isolates a transaction from each item that a query reads, and not from the query as a whole.
#[tokio::test]
async fn a_page_that_is_read_while_a_message_changes_shows_the_message_as_it_is_since() {
    let chat = Chat::start().await;
    for content in ["1", "2"] {
        chat.send("alice", content).await;
    }
    let before: Vec<_> = [1, 2].map(|seq| chat.row(seq)).into();
    chat.accepted("alice", edit("alice", 1, "changed")).await;
    let old = before[0].clone();
    for range in [json!({ "after": 0 }), json!({})] {
        let mut items = [before.clone(), vec![chat.row(3)]].concat();
        if range.get("after").is_none() {
            items.reverse();
        }
        let (old, mut is_old) = (old.clone(), true);
        chat.aws.dynamodb.inject(move |call| match call.operation.as_str() {
            "Query" => Outcome::Respond(200, json!({ "Items": items, "Count": 3, "ScannedCount": 3 })),
            // While the transaction is applied, the message is old for a moment longer than the change.
            "BatchGetItem" if std::mem::take(&mut is_old) => {
                Outcome::Respond(200, json!({ "Responses": { "MessagesTable": [old] }, "UnprocessedKeys": {} }))
            }
            _ => Outcome::Forward,
        });
        let page = chat.page("bob", range).await;
        let mut entries = page["messages"].as_array().unwrap().clone();
        entries.sort_by_key(|entry| entry["seq"].as_u64());
        let seqs: Vec<_> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        assert_eq!((seqs, page.get("changed")), (vec![1, 2, 3], None), "{page}");
        assert_eq!((&entries[0]["content"], &entries[0]["version"]), (&json!("changed"), &json!(3)));
    }
}
