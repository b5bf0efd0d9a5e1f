//! Sending, with real tables, a real `@connections` endpoint, and a wire that loses answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use send::Context;
use serde_json::{Value, json};
use support::{Call, FakeAws, Fixture, Outcome, broken_frames, invoke};
use tokio::sync::Notify;

/// The moment of `events/send.json`, in milliseconds since 1970.
const NOW: i64 = 1_793_535_561_000;

/// Two users with two devices each: `alice`, `alice-2`, `bob`, `bob-2`, connected an hour ago.
async fn two_users() -> (FakeAws, Context) {
    let aws = FakeAws::start().await;
    for (user, connection) in [("alice", "alice"), ("alice", "alice-2"), ("bob", "bob"), ("bob", "bob-2")] {
        aws.put_connection(user, connection, NOW - 3_600_000);
    }
    let context = aws.context();
    (aws, context)
}

async fn say(context: &Context, user: &str, frame: Value) -> Value {
    invoke(context, send::handle, Fixture::named("send").user(user).frame(&frame)).await
}

/// Alice says something; a put that takes up to so long counts as fast.
async fn say_with(aws: &FakeAws, frame: Value, fast_put: Duration) -> Value {
    let context = aws.context::<Context>().with_fast_put(fast_put);
    invoke(&context, send::handle, Fixture::named("send").user("alice").frame(&frame)).await
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

/// Whether a call stores a message, or tries to.
fn appends(call: &Call) -> bool {
    call.operation == "PutItem" && call.body["TableName"] == "MessagesTable"
}

/// Holds every message from now on until the answer is notified.
fn hold_puts(aws: &FakeAws) -> Arc<Notify> {
    let released = Arc::new(Notify::new());
    let hold = released.clone();
    aws.dynamodb.inject(move |call| if appends(call) { Outcome::Hold(hold.clone()) } else { Outcome::Forward });
    released
}

/// What is stored, in order: the numbers and the texts.
fn stored(aws: &FakeAws) -> Vec<(u64, String)> {
    let row = |row: &Value| {
        (row["seq"]["N"].as_str().unwrap().parse().unwrap(), row["content"]["S"].as_str().unwrap().to_owned())
    };
    let mut rows: Vec<_> = aws.rows("MessagesTable").iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn a_message_is_stored_pushed_and_acknowledged() {
    let (aws, context) = two_users().await;

    let sent = invoke(&context, send::handle, Fixture::named("send").connection("alice")).await;

    let message_id = &sent["value"]["messageId"];
    let acknowledged = json!({
        "type": "sent",
        "ref": "1",
        "value": {
            "messageId": message_id,
            "conversationId": "dm:5:alice:bob",
            "seq": 1,
            "createdAt": NOW,
            "clientMessageId": "3f0c7a52-first",
            "duplicate": false,
        },
    });
    assert_eq!(sent, acknowledged);
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
async fn it_takes_four_calls_and_one_push_for_each_other_connection() {
    let (aws, context) = two_users().await;
    say(&context, "alice", json!({ "recipientId": "bob", "content": "1" })).await;
    for frame in [
        json!({ "recipientId": "bob", "content": "2" }),
        json!({ "recipientId": "bob", "content": "3", "clientMessageId": "3" }),
        json!({ "recipientId": "bob", "content": "4", "clientMessageId": "4", "lastSeq": 3 }),
    ] {
        aws.dynamodb.take_calls();
        aws.connections.take_pushes();
        assert_eq!(say_with(&aws, frame, Duration::MAX).await["type"], "sent");
        assert_eq!(aws.dynamodb.take_counts(), counts(&[("PutItem", 1), ("Query", 3)]));
        assert_eq!(aws.connections.take_receivers(), ["alice-2", "bob", "bob-2"]);
    }
}

#[tokio::test]
async fn the_connections_are_read_beside_the_put() {
    let (aws, context) = two_users().await;
    let released = hold_puts(&aws);
    // If they were read after the put, this would wait for ever: nothing else releases it.
    let release = async {
        tokio::join!(aws.dynamodb.saw("Query", 3), aws.dynamodb.saw("PutItem", 3));
        released.notify_one();
    };
    let (sent, ()) = tokio::join!(say(&context, "alice", json!({ "recipientId": "bob", "content": "Hi" })), release);
    assert_eq!(sent["type"], "sent");
}

#[tokio::test]
async fn a_message_to_oneself_reaches_ones_other_devices() {
    let (aws, context) = two_users().await;
    let sent = say(&context, "alice", json!({ "recipientId": "alice", "content": "A note" })).await;
    assert_eq!(sent["value"]["conversationId"], "dm:5:alice:alice");
    assert_eq!(aws.connections.take_receivers(), ["alice-2"]);
}

#[tokio::test]
async fn a_repeat_is_stored_once_pushed_again_and_answered_like_the_first() {
    for last_seq in [json!({}), json!({ "lastSeq": 0 })] {
        let (aws, context) = two_users().await;
        let mut frame = json!({ "recipientId": "bob", "content": "Once", "clientMessageId": "c1" });
        frame.as_object_mut().unwrap().extend(last_seq.as_object().unwrap().clone());
        let first = say(&context, "alice", frame.clone()).await;
        let other =
            say(&context, "bob", json!({ "recipientId": "alice", "content": "Twice", "clientMessageId": "c1" })).await;
        aws.connections.take_pushes();

        // A client that lies about the text gets the stored one pushed, not its new one.
        frame["content"] = json!("Changed");
        let again = say(&context, "alice", frame).await;

        assert_eq!(other["value"]["seq"], 2, "another sender's clientMessageId is another message");
        for field in ["messageId", "seq", "createdAt", "clientMessageId", "conversationId"] {
            assert_eq!(again["value"][field], first["value"][field]);
        }
        assert_eq!((&first["value"]["duplicate"], &again["value"]["duplicate"]), (&json!(false), &json!(true)));
        let pushes = aws.connections.take_pushes();
        assert_eq!(pushes.len(), 3);
        assert!(pushes.iter().all(|push| push.frame["value"]["content"] == "Once" && push.frame["value"]["seq"] == 1));
        assert_eq!(stored(&aws), [(1, "Once".to_owned()), (2, "Twice".to_owned())]);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_write_leaves_one_message() {
    let (aws, context) = two_users().await;
    let mut puts = 0;
    aws.dynamodb.inject(move |call| {
        puts += usize::from(appends(call));
        if appends(call) && puts == 1 { Outcome::LoseResponse } else { Outcome::Forward }
    });
    for client_message_id in [json!(null), json!("c1")] {
        let sent = say(
            &context,
            "alice",
            json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": client_message_id }),
        )
        .await;
        assert_eq!(sent["value"]["duplicate"], false, "{sent}");
    }
    assert_eq!(stored(&aws).len(), 2);
}

#[tokio::test]
async fn a_repeat_that_overtakes_the_first_attempt_is_the_one_that_counts() {
    let (aws, context) = two_users().await;
    let released = Arc::new(Notify::new());
    let (hold, mut puts) = (released.clone(), 0);
    aws.dynamodb.inject(move |call| {
        puts += usize::from(appends(call));
        if appends(call) && puts == 1 { Outcome::Hold(hold.clone()) } else { Outcome::Forward }
    });
    let frame = json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": "c1", "lastSeq": 0 });
    let overtake = async {
        aws.dynamodb.saw("PutItem", 3).await;
        // Two others get in the way too, so that the repeat does not stand where the first attempt wants to write.
        say(&context, "bob", json!({ "recipientId": "alice", "content": "1" })).await;
        say(&context, "bob", json!({ "recipientId": "alice", "content": "2" })).await;
        let second = say(&context, "alice", frame.clone()).await;
        released.notify_one();
        second
    };
    let (first, second) = tokio::join!(say(&context, "alice", frame.clone()), overtake);
    assert_eq!((&first["value"]["seq"], &first["value"]["duplicate"]), (&json!(3), &json!(true)));
    assert_eq!((&second["value"]["seq"], &second["value"]["duplicate"]), (&json!(3), &json!(false)));
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
            // Thirty at once, on a busy machine, may take longer than one function has.
            invoke(context, send::handle, Fixture::named("send").user(sender).frame(&frame).timeout_ms(120_000)).await
        }
    });
    let mut seqs: Vec<_> = join_all(sends).await.iter().map(|sent| sent["value"]["seq"].as_u64().unwrap()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=30).collect::<Vec<_>>());
    assert_eq!(stored(&aws).len(), 30);
}

#[tokio::test]
async fn who_connects_while_a_message_is_being_stored_gets_it() {
    let (aws, _) = two_users().await;
    let released = hold_puts(&aws);
    let connecting = async {
        tokio::join!(aws.dynamodb.saw("Query", 3), aws.dynamodb.saw("PutItem", 3));
        // Bob's third device connects, finds nothing new, and must be told.
        aws.put_connection("bob", "bob-3", NOW);
        released.notify_one();
    };
    let frame = json!({ "recipientId": "bob", "content": "Hi" });
    tokio::join!(say_with(&aws, frame, Duration::ZERO), connecting);
    assert_eq!(aws.connections.take_receivers(), ["alice-2", "bob", "bob-2", "bob-3"]);
}

#[tokio::test]
async fn a_client_that_is_too_far_behind_must_sync_first() {
    let (aws, context) = two_users().await;
    for seq in 1..=1_002 {
        aws.put_message(seq, "alice", "bob", "Hi");
    }
    let frame =
        |last_seq| json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": "3", "lastSeq": last_seq });
    assert_eq!(say(&context, "alice", frame(1)).await["code"], "out_of_date");
    assert_eq!(stored(&aws).len(), 1_002);
    let found = say(&context, "alice", frame(2)).await;
    assert_eq!((&found["value"]["seq"], &found["value"]["duplicate"]), (&json!(3), &json!(true)));
}

#[tokio::test]
async fn one_bad_socket_harms_nobody() {
    let (aws, context) = two_users().await;
    aws.put_connection("bob", "bob-new", NOW - 1_000);
    aws.put_connection("bob", "bob-expired", NOW - 7_801_000);
    aws.connections.answer("alice-2", &[410]);
    aws.connections.answer("bob-new", &[410]);
    aws.connections.answer("bob", &[429, 200]);
    aws.connections.answer("bob-2", &[500, 500]);
    aws.put_connection("alice", "alice-silent", NOW - 3_600_000);
    aws.connections.silence("alice-silent");

    let sent = say(&context, "alice", json!({ "recipientId": "bob", "content": "Hi" })).await;

    assert_eq!(sent["type"], "sent");
    assert_eq!(
        aws.connections.take_receivers(),
        ["bob"],
        "what is slowed down is retried, what has expired is skipped"
    );
    let mut left: Vec<_> =
        aws.rows("ClientsTable").iter().map(|row| row["connectionId"]["S"].as_str().unwrap().to_owned()).collect();
    left.sort();
    // Only what is gone for good is forgotten: a 410 for a young connection means that it is still connecting.
    assert_eq!(left, ["alice", "alice-silent", "bob", "bob-2", "bob-expired", "bob-new"]);
}

#[tokio::test]
async fn what_is_stored_is_acknowledged_even_where_nobody_can_be_told() {
    let (aws, context) = two_users().await;
    aws.dynamodb.inject(|call| match call.body["TableName"].as_str() {
        Some("ClientsTable") => Outcome::Fail(400, "AccessDeniedException"),
        _ => Outcome::Forward,
    });
    assert_eq!(say(&context, "alice", json!({ "recipientId": "bob", "content": "Hi" })).await["type"], "sent");
    assert_eq!(stored(&aws).len(), 1);
}

#[tokio::test]
async fn what_is_stored_is_acknowledged_in_time_even_where_dynamodb_hangs() {
    let (aws, context) = two_users().await;
    let never = Arc::new(Notify::new());
    let hold = never.clone();
    aws.dynamodb.inject(move |call| match call.body["TableName"].as_str() {
        Some("ClientsTable") => Outcome::Hold(hold.clone()),
        _ => Outcome::Forward,
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
async fn a_table_that_fails_is_told_without_internals() {
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
        let answer = say(&context, "alice", json!({ "recipientId": "bob", "content": "Hi", "ref": "7" })).await;
        assert_eq!((&answer["code"], &answer["ref"]), (&json!(code), &json!("7")));
        assert!(!answer.to_string().contains("Exception"), "{answer}");
    }
    assert_eq!((stored(&aws).len(), aws.connections.take_pushes().len()), (0, 0));
}

#[tokio::test]
async fn the_sender_is_who_the_authorizer_proved_and_nobody_else() {
    let (aws, context) = two_users().await;
    let forged = json!({ "recipientId": "bob", "content": "Hi", "senderId": "alice", "userId": "alice", "conversationId": "dm:5:alice:bob" });
    let sent = say(&context, "mallory", forged.clone()).await;
    assert_eq!(sent["value"]["conversationId"], "dm:3:bob:mallory");
    assert!(aws.connections.take_pushes().iter().all(|push| push.frame["value"]["senderId"] == "mallory"));
    let event = Fixture::named("send").without("/requestContext/authorizer").frame(&forged);
    assert_eq!(invoke(&context, send::handle, event).await["code"], "unauthenticated");
    assert_eq!(stored(&aws).len(), 1);
}

#[tokio::test]
async fn the_largest_text_and_names_of_every_kind_arrive_as_they_came() {
    let (aws, context) = two_users().await;
    for content in ["x".repeat(16_384), "🦀".repeat(4_096), "مرحبا \u{202e}\n\t\"q\" <b>".to_owned(), "a\0b".to_owned()]
    {
        let sent =
            say(&context, "李#:雷\"", json!({ "recipientId": "bob", "content": content, "colour": "blue" })).await;
        assert_eq!(sent["type"], "sent", "{sent}");
        let push = aws.connections.take_pushes().pop().unwrap();
        assert_eq!(
            (&push.frame["value"]["content"], &push.frame["value"]["senderId"]),
            (&json!(content), &json!("李#:雷\""))
        );
    }
}

#[tokio::test]
async fn it_refuses_what_is_not_a_message_and_stores_nothing() {
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

/// Alice says something to Bob at this moment.
async fn say_at(context: &Context, content: &str, moment: i64) -> Value {
    let frame = json!({ "recipientId": "bob", "content": content, "clientMessageId": content });
    invoke(context, send::handle, Fixture::named("send").user("alice").frame(&frame).received_at(moment)).await
}

/// In which hours, counted from the first, the inboxes have something: whose, since when, and with whom.
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

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn a_conversation_is_put_into_both_inboxes_with_its_first_message_of_an_hour() {
    let (aws, context) = two_users().await;
    for (content, moment, calls, inbox) in [
        ("first", NOW, &[("PutItem", 3), ("Query", 3)][..], ["alice +0 bob", "bob +0 alice"]),
        ("in the same hour", NOW + 1, &[("PutItem", 1), ("Query", 3)], ["alice +0 bob", "bob +0 alice"]),
        (
            "in another",
            NOW + 2 * HOUR,
            &[("DeleteItem", 2), ("PutItem", 3), ("Query", 3)],
            ["alice +2 bob", "bob +2 alice"],
        ),
        ("late", NOW + HOUR, &[("PutItem", 1), ("Query", 3)], ["alice +2 bob", "bob +2 alice"]),
        ("after that", NOW + 2 * HOUR + 1, &[("PutItem", 1), ("Query", 3)], ["alice +2 bob", "bob +2 alice"]),
        ("late", NOW + 3 * HOUR, &[("GetItem", 1), ("Query", 3)], ["alice +2 bob", "bob +2 alice"]),
    ] {
        aws.dynamodb.take_calls();
        assert_eq!(say_at(&context, content, moment).await["type"], "sent");
        assert_eq!(aws.dynamodb.take_counts(), counts(calls), "{content}");
        assert_eq!(inboxes(&aws), inbox, "{content}");
    }
    // To oneself: one inbox.
    say(&context, "carol", json!({ "recipientId": "carol", "content": "A note" })).await;
    assert_eq!(inboxes(&aws), ["alice +2 bob", "bob +2 alice", "carol +0 carol"]);
}

#[tokio::test]
async fn the_inboxes_have_a_conversation_before_its_message_is_stored() {
    let (aws, context) = two_users().await;
    for (nth, content) in [(1, "the first entry"), (2, "the second")] {
        let mut puts = 0;
        aws.dynamodb.inject(move |call| {
            puts += usize::from(call.body["TableName"] == "ConversationsTable");
            let ours = call.body["TableName"] == "ConversationsTable" && puts == nth;
            if ours { Outcome::Fail(400, "AccessDeniedException") } else { Outcome::Forward }
        });
        assert_eq!(say_at(&context, content, NOW).await["code"], "internal");
        assert_eq!(stored(&aws).len(), 0, "no message that nobody would find");
    }
    aws.dynamodb
        .inject(|call| if appends(call) { Outcome::Fail(400, "AccessDeniedException") } else { Outcome::Forward });
    assert_eq!(say_at(&context, "the message", NOW).await["code"], "internal");
    aws.dynamodb.inject(|_| Outcome::Forward);
    assert_eq!(say_at(&context, "the message", NOW).await["value"]["seq"], 1);
    assert_eq!(inboxes(&aws), ["alice +0 bob", "bob +0 alice"]);
}

#[tokio::test]
async fn a_message_is_acknowledged_even_where_its_conversation_can_not_leave_the_hour_before() {
    let (aws, context) = two_users().await;
    say_at(&context, "1", NOW).await;
    aws.dynamodb.inject(|call| match call.operation.as_str() {
        "DeleteItem" => Outcome::Fail(400, "AccessDeniedException"),
        _ => Outcome::Forward,
    });
    assert_eq!(say_at(&context, "2", NOW + HOUR).await["value"]["seq"], 2);
    assert_eq!(aws.connections.take_receivers().len(), 6);
    assert_eq!(inboxes(&aws), ["alice +0 bob", "alice +1 bob", "bob +0 alice", "bob +1 alice"]);
}

#[tokio::test]
async fn a_variable_that_is_missing_or_wrong_is_named() {
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
