//! `getMessages` with the template's tables.

use std::sync::Arc;

use history::Context;
use serde_json::{Value, json};
use support::{FakeAws, Fixture, Outcome, broken_frames, invoke};
use tokio::sync::Notify;

/// Stores messages `1..=count` of bob to alice, each with this text.
fn put_messages(aws: &FakeAws, count: u64, content: &str) {
    for seq in 1..=count {
        aws.put_message(seq, "bob", "alice", content);
    }
}

async fn page(context: &Context, user: &str, frame: Value) -> Value {
    invoke(context, history::handle, Fixture::named("history").user(user).frame(&frame)).await
}

fn seqs(page: &Value) -> Vec<u64> {
    page["value"]["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn it_returns_the_newest_messages_first_with_one_call() {
    let aws = FakeAws::start().await;
    put_messages(&aws, 3, "Hi");
    let context: Context = aws.context();

    let answer = invoke(&context, history::handle, Fixture::named("history")).await;

    assert_eq!(answer["type"], "messages");
    assert_eq!(answer["ref"], "2");
    assert_eq!(answer["value"]["conversationId"], "dm:5:alice:bob");
    assert_eq!(seqs(&answer), [3, 2, 1]);
    assert_eq!(answer["value"]["messages"][0]["content"], "Hi");
    assert_eq!(answer["value"]["messages"][0]["createdAt"], 3);
    assert_eq!(answer["value"].get("lastEvaluatedKey"), None);
    assert_eq!(aws.dynamodb.take_counts(), [("Query".to_owned(), 1)].into());
}

#[tokio::test]
async fn the_client_gets_an_error_in_time_if_dynamodb_hangs() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    let never = Arc::new(Notify::new());
    aws.dynamodb.inject(move |_| Outcome::Hold(never.clone()));
    let event = Fixture::named("history").timeout_ms(1_000);
    assert_eq!(invoke(&context, history::handle, event).await["code"], "unavailable");
}

#[tokio::test]
async fn a_conversation_without_messages_is_an_empty_page() {
    let context: Context = FakeAws::start().await.context();
    let answer = page(&context, "alice", json!({ "targetId": "nobody" })).await;
    assert_eq!(
        answer,
        json!({ "type": "messages", "value": { "conversationId": "dm:5:alice:nobody", "messages": [] } })
    );
}

#[tokio::test]
async fn pages_follow_one_another_to_the_first_message_and_say_when_they_end() {
    let aws = FakeAws::start().await;
    put_messages(&aws, 10, "Hi");
    let context: Context = aws.context();

    for (limit, pages) in [(5, 2), (4, 3), (10, 1), (100, 1), (1, 10)] {
        let (mut seen, mut count, mut key) = (Vec::new(), 0, Value::Null);
        loop {
            let answer = page(&context, "bob", json!({ "targetId": "alice", "limit": limit, "startKey": key })).await;
            seen.extend(seqs(&answer));
            count += 1;
            key = answer["value"]["lastEvaluatedKey"].clone();
            if key.is_null() {
                break;
            }
        }
        assert_eq!((seen, count), ((1..=10).rev().collect(), pages), "limit {limit}");
    }
}

#[tokio::test]
async fn a_client_that_catches_up_gets_the_oldest_first_and_can_continue_in_two_ways() {
    let aws = FakeAws::start().await;
    put_messages(&aws, 7, "Hi");
    let context: Context = aws.context();

    let first = page(&context, "alice", json!({ "targetId": "bob", "after": 2, "limit": 3 })).await;
    assert_eq!(seqs(&first), [3, 4, 5]);
    let key = &first["value"]["lastEvaluatedKey"];
    assert!(key.is_object());
    for next in [json!({ "startKey": key }), json!({ "after": 5 })] {
        let mut frame = json!({ "targetId": "bob", "limit": 3 });
        frame.as_object_mut().unwrap().extend(next.as_object().unwrap().clone());
        let last = page(&context, "alice", frame).await;
        assert_eq!(seqs(&last), [6, 7]);
        assert_eq!(last["value"].get("lastEvaluatedKey"), None);
    }
    let none = page(&context, "alice", json!({ "targetId": "bob", "after": 7 })).await;
    assert_eq!(seqs(&none), [0; 0]);
}

#[tokio::test]
async fn a_page_has_50_messages_by_default_and_at_most_100() {
    let aws = FakeAws::start().await;
    put_messages(&aws, 120, "Hi");
    let context: Context = aws.context();
    for (limit, length) in [(json!(null), 50), (json!(100), 100), (json!(101), 100), (json!(u64::MAX), 100)] {
        let answer = page(&context, "alice", json!({ "targetId": "bob", "limit": limit })).await;
        assert_eq!(seqs(&answer).len(), length);
    }
}

#[tokio::test]
async fn pages_fit_a_frame_and_omit_no_entry() {
    for (content, count) in
        [("x".repeat(16 * 1024), 5), ("\u{1}".repeat(3_900), 5), ("\"\\".repeat(5_000), 5), ("é".repeat(300), 130)]
    {
        let aws = FakeAws::start().await;
        put_messages(&aws, count, &content);
        let context: Context = aws.context();
        for range in [json!({}), json!({ "after": 0 })] {
            let (mut seen, mut key) = (Vec::new(), Value::Null);
            loop {
                let mut frame = json!({ "targetId": "bob", "limit": 100, "ref": "\u{1}".repeat(64), "startKey": key });
                if key.is_null() {
                    frame.as_object_mut().unwrap().extend(range.as_object().unwrap().clone());
                }
                let answer = page(&context, "alice", frame).await;
                assert!(answer.to_string().len() <= 30_000, "{}", answer.to_string().len());
                seen.extend(seqs(&answer));
                key = answer["value"]["lastEvaluatedKey"].clone();
                if key.is_null() {
                    break;
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (1..=count).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn no_user_reads_a_conversation_of_others() {
    let aws = FakeAws::start().await;
    put_messages(&aws, 3, "secret");
    let context: Context = aws.context();
    let cursor = json!({ "conversationId": "dm:5:alice:bob", "seq": 3 });
    for (frame, code) in [
        (json!({ "targetId": "alice" }), None),
        (json!({ "targetId": "5:alice:bob" }), None),
        (json!({ "targetId": "alice", "senderId": "bob", "userId": "bob", "conversationId": "dm:5:alice:bob" }), None),
        (json!({ "targetId": "alice", "startKey": cursor }), Some("bad_request")),
        (json!({ "targetId": "bob", "startKey": cursor }), Some("bad_request")),
    ] {
        let answer = page(&context, "mallory", frame).await;
        assert_eq!(answer["code"].as_str(), code, "{answer}");
        assert!(!answer.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn it_refuses_an_invalid_frame() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    let cursor = json!({ "conversationId": "dm:5:alice:bob", "seq": 1 });
    let mut frames = broken_frames();
    frames.extend(
        [
            json!({}),
            json!({ "targetId": null }),
            json!({ "targetId": 5 }),
            json!({ "targetId": {} }),
            json!({ "targetId": "" }),
            json!({ "targetId": " bob" }),
            json!({ "targetId": "b\0b" }),
            json!({ "targetId": "x".repeat(129) }),
            json!({ "targetId": "bob", "limit": 0 }),
            json!({ "targetId": "bob", "limit": -1 }),
            json!({ "targetId": "bob", "limit": 1.5 }),
            json!({ "targetId": "bob", "limit": 1e300 }),
            json!({ "targetId": "bob", "limit": "10" }),
            json!({ "targetId": "bob", "after": -1 }),
            json!({ "targetId": "bob", "after": 0.5 }),
            json!({ "targetId": "bob", "after": 1_u64 << 53 }),
            json!({ "targetId": "bob", "after": "1" }),
            json!({ "targetId": "bob", "startKey": "1" }),
            json!({ "targetId": "bob", "startKey": {} }),
            json!({ "targetId": "bob", "startKey": { "conversationId": "dm:5:alice:bob", "seq": -1 } }),
            json!({ "targetId": "bob", "startKey": { "conversationId": "dm:5:alice:carol", "seq": 1 } }),
            json!({ "targetId": "bob", "startKey": cursor, "after": 1 }),
        ]
        .map(|frame| (frame.to_string(), "bad_request")),
    );
    for (frame, code) in frames {
        let answer = invoke(&context, history::handle, Fixture::named("history").text(&frame)).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame:.200}");
        assert!(answer["message"].as_str().unwrap().len() < 400, "{answer}");
    }
    assert_eq!(aws.dynamodb.take_calls().len(), 0);
}

#[tokio::test]
async fn names_of_every_kind_and_unknown_fields_are_accepted() {
    let context: Context = FakeAws::start().await.context();
    for name in ["a#b", "dm:5:a", "\"q\"", "'", "🦀", "مريم", "\u{202e}abc", &"x".repeat(128)] {
        let answer = page(&context, "alice", json!({ "targetId": name, "colour": "blue" })).await;
        assert_eq!(answer["type"], "messages", "{answer}");
    }
}

#[tokio::test]
async fn without_a_proven_user_nothing_is_read() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    for event in [
        Fixture::named("history").without("/requestContext/authorizer"),
        Fixture::named("history").without("/requestContext/authorizer/userId"),
        Fixture::named("history").set("/requestContext/authorizer/userId", json!("")),
    ] {
        let answer = invoke(&context, history::handle, event).await;
        assert_eq!((&answer["code"], &answer["ref"]), (&json!("unauthenticated"), &json!("2")));
    }
    assert_eq!(aws.dynamodb.take_calls().len(), 0);
}

#[tokio::test]
async fn the_client_gets_no_internals_if_dynamodb_fails() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    for (status, error, code) in [
        (400, "ProvisionedThroughputExceededException", "unavailable"),
        (500, "InternalServerError", "unavailable"),
        (400, "AccessDeniedException", "internal"),
        (400, "ResourceNotFoundException", "internal"),
    ] {
        aws.dynamodb.inject(move |_| Outcome::Fail(status, error));
        let answer = invoke(&context, history::handle, Fixture::named("history")).await;
        assert_eq!(answer["code"], code);
        assert_eq!(answer["ref"], "2");
        assert!(!answer.to_string().contains("Exception"), "{answer}");
    }
}
