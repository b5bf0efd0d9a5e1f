//! `markRead` with the template's tables, a fake `@connections` endpoint, and a proxy that loses responses.

use std::{collections::BTreeMap, sync::Arc};

use read::Context;
use serde_json::{Value, json};
use support::{Call, FakeAws, Fixture, Outcome, broken_frames, invoke};
use tokio::sync::Notify;

/// The time of `events/read.json`, in milliseconds since the Unix epoch.
const NOW: i64 = 1_793_535_562_000;

/// Two users with two devices each, connected an hour ago, and five messages of bob to alice.
async fn two_users() -> (FakeAws, Context) {
    let aws = FakeAws::start().await;
    for (user, connection) in [("alice", "alice"), ("alice", "alice-2"), ("bob", "bob"), ("bob", "bob-2")] {
        aws.put_connection(user, connection, NOW - 3_600_000);
    }
    for seq in 1..=5 {
        aws.put_message(seq, "bob", "alice", "Hi");
    }
    let context = aws.context();
    (aws, context)
}

async fn mark(context: &Context, user: &str, frame: Value) -> Value {
    invoke(context, read::handle, Fixture::named("read").user(user).frame(&frame)).await
}

/// All read positions, as `READER PEER SEQ`.
fn positions(aws: &FakeAws) -> Vec<String> {
    let row = |row: &Value| {
        let [user, entry, peer] = ["userId", "entry", "peerId"].map(|name| row[name]["S"].as_str().unwrap());
        assert_eq!(entry, format!("read:{peer}"));
        format!("{user} {peer} {}", row["readSeq"]["N"].as_str().unwrap())
    };
    let mut rows: Vec<_> = aws.rows("ConversationsTable").iter().map(row).collect();
    rows.sort();
    rows
}

fn is_update(call: &Call) -> bool {
    call.operation == "UpdateItem" && call.is_on("ConversationsTable")
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

/// The position of the newest message of alice and bob, as `getMessages` returns it.
async fn position(aws: &FakeAws) -> Value {
    let page = json!({ "targetId": "bob", "limit": 1 });
    let page = invoke(&aws.context(), history::handle, Fixture::named("history").user("alice").frame(&page)).await;
    aws.dynamodb.take_calls();
    page["value"]["position"].clone()
}

#[tokio::test]
async fn a_read_position_is_stored_acknowledged_and_pushed() {
    let (aws, context) = two_users().await;

    let answer = invoke(&context, read::handle, Fixture::named("read").connection("alice")).await;

    let receipt = json!({ "conversationId": "dm:5:alice:bob", "userId": "alice", "peerId": "bob", "seq": 1 });
    assert_eq!(answer, json!({ "type": "read", "ref": "5", "value": receipt }));
    let pushes = aws.connections.take_pushes();
    assert!(pushes.iter().all(|push| push.frame == json!({ "type": "read", "value": receipt })), "{pushes:?}");
    let mut receivers: Vec<_> = pushes.into_iter().map(|push| push.connection_id).collect();
    receivers.sort();
    assert_eq!(receivers, ["alice-2", "bob", "bob-2"]);
    assert_eq!(positions(&aws), ["alice bob 1"]);
}

#[tokio::test]
async fn the_connections_are_read_beside_the_other_calls() {
    for has_position in [false, true] {
        let (aws, context) = two_users().await;
        let mut frame = json!({ "targetId": "bob", "seq": 5 });
        if has_position {
            frame["position"] = position(&aws).await;
        }
        let released = Arc::new(Notify::new());
        let hold = released.clone();
        let is_first = move |call: &Call| if has_position { is_update(call) } else { call.operation == "GetItem" };
        aws.dynamodb.inject(move |call| if is_first(call) { Outcome::Hold(hold.clone()) } else { Outcome::Forward });
        // If the connections were read after this call, nothing would release it, and the test would never end.
        let first = if has_position { "UpdateItem" } else { "GetItem" };
        let release = async {
            tokio::join!(aws.dynamodb.wait_for_calls("BatchGetItem", 1), aws.dynamodb.wait_for_calls(first, 1));
            released.notify_one();
        };
        let (answer, ()) = tokio::join!(mark(&context, "alice", frame), release);
        assert_eq!(answer["value"]["seq"], 5);
        let gets = if has_position { &[][..] } else { &[("GetItem", 1)] };
        let expected = [&[("BatchGetItem", 1), ("UpdateItem", 1)], gets].concat();
        assert_eq!(aws.dynamodb.take_counts(), counts(&expected));
        assert_eq!(aws.connections.take_receivers(), ["alice-2", "bob", "bob-2"]);
    }
}

#[tokio::test]
async fn only_a_position_of_this_conversation_proves_a_message_and_no_position_is_an_error() {
    let (aws, context) = two_users().await;
    let position = position(&aws).await;
    let (early, text) = (position.clone(), position.as_str().unwrap());
    for seq in 6..=7 {
        aws.put_message(seq, "bob", "alice", "Hi");
    }
    let other = if text.ends_with('A') { 'B' } else { 'A' };
    let forged = format!("{other}{}", &text[1..]);
    for (seq, position, has_get) in [
        (1, early.clone(), false),
        (5, early.clone(), false),
        (6, early, true),
        (6, json!(forged), true),
        (7, json!(text[..text.len() - 1]), true),
        (7, json!("no position"), true),
        (7, json!(""), true),
    ] {
        let answer = mark(&context, "alice", json!({ "targetId": "bob", "seq": seq, "position": position })).await;
        assert_eq!(answer["value"]["seq"], seq, "{answer}");
        assert_eq!(aws.dynamodb.take_counts().contains_key("GetItem"), has_get, "{seq} {position}");
    }
    // A position of other users proves nothing, so the message is looked for.
    for (user, target, seq) in [("alice", "carol", 1), ("mallory", "alice", 5), ("alice", "bob", 8)] {
        let answer = mark(&context, user, json!({ "targetId": target, "seq": seq, "position": position })).await;
        assert_eq!(answer["code"], "bad_request", "{answer}");
    }
    assert_eq!(positions(&aws), ["alice bob 7"]);
}

#[tokio::test]
async fn a_read_position_moves_forward_only_and_is_pushed_only_if_it_moves() {
    let (aws, context) = two_users().await;
    for (seq, position, pushes) in [(3, 3, 3), (3, 3, 0), (1, 3, 0), (5, 5, 3), (4, 5, 0), (5, 5, 0)] {
        let answer = mark(&context, "alice", json!({ "targetId": "bob", "seq": seq })).await;
        assert_eq!((&answer["type"], &answer["value"]["seq"]), (&json!("read"), &json!(position)), "{seq}");
        assert_eq!(aws.connections.take_pushes().len(), pushes, "{seq}");
        assert_eq!(positions(&aws), [format!("alice bob {position}")]);
    }
    // The peer has a read position of their own.
    assert_eq!(mark(&context, "bob", json!({ "targetId": "alice", "seq": 2 })).await["value"]["seq"], 2);
    assert_eq!(positions(&aws), ["alice bob 5", "bob alice 2"]);
}

#[tokio::test]
async fn a_read_position_never_moves_to_a_message_that_does_not_exist() {
    let (aws, context) = two_users().await;
    mark(&context, "alice", json!({ "targetId": "bob", "seq": 2 })).await;
    aws.connections.take_pushes();
    for (user, frame) in [
        ("alice", json!({ "targetId": "bob", "seq": 6 })),
        ("alice", json!({ "targetId": "bob", "seq": 9_007_199_254_740_991_u64 })),
        ("alice", json!({ "targetId": "carol", "seq": 1 })),
        ("alice", json!({ "targetId": "alice", "seq": 1 })),
        ("mallory", json!({ "targetId": "alice", "seq": 1 })),
    ] {
        let answer = mark(&context, user, frame.clone()).await;
        assert_eq!(answer["code"], "bad_request", "{frame}");
        assert!(answer["message"].as_str().unwrap().starts_with("seq: "), "{answer}");
    }
    assert_eq!(positions(&aws), ["alice bob 2"]);
    assert_eq!(aws.connections.take_pushes().len(), 0);
}

#[tokio::test]
async fn a_message_to_oneself_can_be_marked_and_the_users_other_devices_get_the_receipt() {
    let (aws, context) = two_users().await;
    let row = json!({
        "conversationId": { "S": "dm:5:alice:alice" }, "seq": { "N": "1" }, "content": { "S": "A note" },
        "senderId": { "S": "alice" }, "recipientId": { "S": "alice" }, "createdAt": { "N": "1" },
        "messageId": { "S": "00000000-0000-4000-8000-000000000000" },
        "tally": { "M": {
            "recipientSeq": { "N": "0" }, "senderAllowance": { "N": "0" }, "recipientAllowance": { "N": "0" },
            "listed": { "N": "1" },
        } },
    });
    aws.put("MessagesTable", &row);
    let answer = mark(&context, "alice", json!({ "targetId": "alice", "seq": 1 })).await;
    assert_eq!(
        answer["value"],
        json!({ "conversationId": "dm:5:alice:alice", "userId": "alice", "peerId": "alice", "seq": 1 })
    );
    assert_eq!(aws.connections.take_receivers(), ["alice-2"]);
}

#[tokio::test]
async fn a_lost_response_after_the_write_is_not_a_failure() {
    let (aws, context) = two_users().await;
    let mut writes = 0;
    aws.dynamodb.inject(move |call| {
        writes += usize::from(is_update(call));
        if is_update(call) && writes == 1 { Outcome::LoseResponse } else { Outcome::Forward }
    });
    let answer = mark(&context, "alice", json!({ "targetId": "bob", "seq": 4 })).await;
    assert_eq!(answer["value"]["seq"], 4, "{answer}");
    // The SDK's repeat finds the position of its own first attempt, so the receipt is pushed.
    assert_eq!(aws.connections.take_receivers(), ["alice-2", "bob", "bob-2"]);
    assert_eq!(positions(&aws), ["alice bob 4"]);
}

#[tokio::test]
async fn two_devices_that_overtake_each_other_end_at_the_newer_message() {
    let (aws, context) = two_users().await;
    let released = Arc::new(Notify::new());
    let (hold, mut writes) = (released.clone(), 0);
    aws.dynamodb.inject(move |call| {
        writes += usize::from(is_update(call));
        if is_update(call) && writes == 1 { Outcome::Hold(hold.clone()) } else { Outcome::Forward }
    });
    let overtake = async {
        aws.dynamodb.wait_for_calls("UpdateItem", 1).await;
        let answer = mark(&context, "alice", json!({ "targetId": "bob", "seq": 5 })).await;
        released.notify_one();
        answer
    };
    let (slow, fast) = tokio::join!(mark(&context, "alice", json!({ "targetId": "bob", "seq": 4 })), overtake);
    assert_eq!((&slow["value"]["seq"], &fast["value"]["seq"]), (&json!(5), &json!(5)));
    assert_eq!(aws.connections.take_pushes().len(), 3, "only the newer one is pushed");
    assert_eq!(positions(&aws), ["alice bob 5"]);
}

#[tokio::test]
async fn a_stored_read_position_is_acknowledged_even_if_it_cannot_be_pushed() {
    let (aws, context) = two_users().await;
    let never = Arc::new(Notify::new());
    for (seq, outcome) in [(1, Outcome::Fail(400, "AccessDeniedException")), (2, Outcome::Hold(never))] {
        aws.dynamodb.inject(move |call| if call.is_on("ClientsTable") { outcome.clone() } else { Outcome::Forward });
        let event = Fixture::named("read").frame(&json!({ "targetId": "bob", "seq": seq })).timeout_ms(1_500);
        assert_eq!(invoke(&context, read::handle, event).await["value"]["seq"], seq);
    }
    assert_eq!(positions(&aws), ["alice bob 2"]);
}

#[tokio::test]
async fn a_gone_connection_is_removed_and_delays_no_other() {
    let (aws, context) = two_users().await;
    aws.connections.answer("bob", &[410]);
    mark(&context, "alice", json!({ "targetId": "bob", "seq": 5 })).await;
    assert_eq!(aws.connections.take_receivers(), ["alice-2", "bob-2"]);
    let left = ["alice", "alice-2", "bob-2"];
    assert!(aws.stored_connections().into_iter().map(|(_, id)| id).eq(left));
}

#[tokio::test]
async fn the_reader_is_the_user_that_the_authorizer_proved() {
    let (aws, context) = two_users().await;
    let forged = json!({ "targetId": "bob", "seq": 1, "userId": "alice", "conversationId": "dm:5:alice:bob" });
    assert_eq!(mark(&context, "mallory", forged.clone()).await["code"], "bad_request");
    // User ids that look like a part of a conversation id or of a sort key.
    for target in ["5:alice:bob", "alice:bob", "dm:5:alice:bob", "read:bob", "at:0000000000:bob"] {
        let answer = mark(&context, "mallory", json!({ "targetId": target, "seq": 1 })).await;
        assert_eq!(answer["code"], "bad_request", "{target}");
    }
    for event in [
        Fixture::named("read").without("/requestContext/authorizer").frame(&forged),
        Fixture::named("read").set("/requestContext/authorizer/userId", json!("")).frame(&forged),
    ] {
        assert_eq!(invoke(&context, read::handle, event).await["code"], "unauthenticated");
    }
    assert_eq!((positions(&aws).len(), aws.connections.take_pushes().len()), (0, 0));
}

#[tokio::test]
async fn it_refuses_an_invalid_frame_without_a_call() {
    let (aws, context) = two_users().await;
    let mut frames = broken_frames();
    let bad = [
        json!({}),
        json!({ "targetId": "bob" }),
        json!({ "seq": 1 }),
        json!({ "targetId": "bob", "seq": null }),
        json!({ "targetId": "bob", "seq": 0 }),
        json!({ "targetId": "bob", "seq": -1 }),
        json!({ "targetId": "bob", "seq": 1.5 }),
        json!({ "targetId": "bob", "seq": 1e300 }),
        json!({ "targetId": "bob", "seq": "1" }),
        json!({ "targetId": "bob", "seq": [1] }),
        json!({ "targetId": "bob", "seq": 9_007_199_254_740_992_u64 }),
        json!({ "targetId": "bob", "seq": 1, "position": 1 }),
        json!({ "targetId": null, "seq": 1 }),
        json!({ "targetId": ["bob"], "seq": 1 }),
        json!({ "targetId": "", "seq": 1 }),
        json!({ "targetId": " bob", "seq": 1 }),
        json!({ "targetId": "b\0b", "seq": 1 }),
        json!({ "targetId": "x".repeat(129), "seq": 1 }),
    ];
    frames.extend(bad.map(|frame| (frame.to_string(), "bad_request")));
    for (frame, code) in frames {
        let answer = invoke(&context, read::handle, Fixture::named("read").text(&frame)).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame:.200} {answer}");
        assert!(answer["message"].as_str().unwrap().len() < 400, "{answer}");
    }
    assert_eq!(aws.dynamodb.take_calls().len(), 0);
}

#[tokio::test]
async fn the_client_gets_no_internals_if_dynamodb_fails() {
    let (aws, context) = two_users().await;
    for (status, error, code) in [
        (400, "ProvisionedThroughputExceededException", "unavailable"),
        (500, "InternalServerError", "unavailable"),
        (400, "AccessDeniedException", "internal"),
        (400, "TransactionConflictException", "unavailable"),
    ] {
        aws.dynamodb.inject(move |_| Outcome::Fail(status, error));
        let answer = invoke(&context, read::handle, Fixture::named("read")).await;
        assert_eq!((&answer["code"], &answer["ref"]), (&json!(code), &json!("5")));
        assert!(!answer.to_string().contains("Exception"), "{answer}");
    }
    assert_eq!((positions(&aws).len(), aws.connections.take_pushes().len()), (0, 0));
}

#[tokio::test]
async fn a_missing_variable_is_named() {
    let aws = FakeAws::start().await;
    for name in ["CLIENTS_TABLE", "MESSAGES_TABLE", "CONVERSATIONS_TABLE", "CONNECTIONS_ENDPOINT"] {
        let error = aws.try_context::<Context>(&[(name, "")]).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
