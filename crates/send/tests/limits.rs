//! Rate limits, and connections whose token has expired, with the template's tables and a fake `@connections` endpoint.

use send::Context;
use serde_json::{Value, json};
use support::{FakeAws, Fixture, Outcome, invoke};

/// The time of `events/send.json`, in milliseconds since the Unix epoch.
const NOW: i64 = 1_793_535_561_000;

async fn send_at(context: &Context, user: &str, at: i64, frame: &Value) -> Value {
    let event = Fixture::named("send").user(user).frame(frame).set("/requestContext/requestTimeEpoch", json!(at));
    invoke(context, send::handle, event).await
}

fn to(recipient: &str) -> Value {
    json!({ "recipientId": recipient, "content": "Hi", "ref": "1" })
}

/// The context of a new process, which has counted no message.
fn new_process(aws: &FakeAws) -> Context {
    aws.try_context(&[("MESSAGE_RATE", "2"), ("MESSAGE_BURST", "3")]).unwrap()
}

#[tokio::test]
async fn the_limit_within_a_conversation_holds_across_processes() {
    let aws = FakeAws::start().await;
    let mut codes = Vec::new();
    for (number, at) in [0, 1, 2, 3, 499, 500, 501, 1_000].into_iter().enumerate() {
        let answer = send_at(&new_process(&aws), "alice", NOW + at, &to("bob")).await;
        codes.push(answer.get("code").unwrap_or(&answer["value"]["seq"]).clone());
        if number == 2 {
            // The answer of the other user is not limited, and does not restore the sender's limit.
            assert_eq!(send_at(&new_process(&aws), "bob", NOW + at, &to("alice")).await["value"]["seq"], 4);
        }
    }
    let refused = json!("rate_limited");
    assert_eq!(codes, [json!(1), json!(2), json!(3), refused.clone(), refused.clone(), json!(5), refused, json!(6)]);
    assert_eq!(aws.rows("MessagesTable").len(), 6);
}

#[tokio::test]
async fn a_refused_message_costs_one_read_and_stores_nothing() {
    let aws = FakeAws::start().await;
    for _ in 0..3 {
        assert_eq!(send_at(&new_process(&aws), "alice", NOW, &to("bob")).await["type"], "sent");
    }
    aws.dynamodb.take_calls();
    let answer = send_at(&new_process(&aws), "alice", NOW, &to("bob")).await;
    let message = "more than 2 messages a second; send the same frame again in 500 milliseconds";
    let expected =
        json!({ "type": "error", "code": "rate_limited", "message": message, "retryAfter": 500, "ref": "1" });
    assert_eq!(answer, expected);
    assert_eq!(aws.dynamodb.take_counts(), [("Query".to_owned(), 1)].into());
    assert_eq!(aws.rows("MessagesTable").len(), 3);
}

#[tokio::test]
async fn a_process_enforces_the_limit_across_conversations_without_a_call() {
    let aws = FakeAws::start().await;
    let context = new_process(&aws);
    for recipient in ["b", "c", "d"] {
        assert_eq!(send_at(&context, "alice", NOW, &to(recipient)).await["type"], "sent");
    }
    aws.dynamodb.take_calls();
    assert_eq!(send_at(&context, "alice", NOW, &to("e")).await["code"], "rate_limited");
    assert_eq!(aws.dynamodb.take_calls().len(), 0);
    assert_eq!(send_at(&context, "bob", NOW, &to("e")).await["type"], "sent", "another user has a limit of their own");
    assert_eq!(send_at(&context, "alice", NOW + 500, &to("e")).await["type"], "sent");
}

#[tokio::test]
async fn a_repeat_is_acknowledged_even_if_the_limit_is_used_up() {
    let aws = FakeAws::start().await;
    let mut first = to("bob");
    first["clientMessageId"] = json!("c1");
    assert_eq!(send_at(&new_process(&aws), "alice", NOW, &first).await["value"]["seq"], 1);
    for _ in 0..2 {
        assert_eq!(send_at(&new_process(&aws), "alice", NOW, &to("bob")).await["type"], "sent");
    }
    assert_eq!(send_at(&new_process(&aws), "alice", NOW, &to("bob")).await["code"], "rate_limited");
    let again = send_at(&new_process(&aws), "alice", NOW, &first).await;
    assert_eq!((&again["value"]["seq"], &again["value"]["duplicate"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn a_stored_message_whose_rate_state_is_zero_leaves_the_whole_burst() {
    let aws = FakeAws::start().await;
    aws.put_message(1, "alice", "bob", "Hi");
    for seq in 2..=4 {
        assert_eq!(send_at(&new_process(&aws), "alice", NOW, &to("bob")).await["value"]["seq"], seq);
    }
    assert_eq!(send_at(&new_process(&aws), "alice", NOW, &to("bob")).await["code"], "rate_limited");
}

#[tokio::test]
async fn a_sender_who_loses_a_race_and_has_used_up_the_limit_by_then_is_refused() {
    let aws = FakeAws::start().await;
    let (slow, context) = (new_process(&aws), aws.context::<Context>());
    let released = std::sync::Arc::new(tokio::sync::Notify::new());
    let (hold, mut puts) = (released.clone(), 0);
    aws.dynamodb.inject(move |call| {
        puts += usize::from(call.operation == "PutItem");
        if call.operation == "PutItem" && puts == 1 { Outcome::Hold(hold.clone()) } else { Outcome::Forward }
    });
    let frame = to("bob");
    let overtake = async {
        aws.dynamodb.wait_for_calls("PutItem", 1).await;
        for seq in 1..=3 {
            assert_eq!(send_at(&context, "alice", NOW, &frame).await["value"]["seq"], seq);
        }
        released.notify_one();
    };
    // The stored state was written by a limit of 10 a second. By a limit of 2 a second, the sender is ahead of the clock.
    let (answer, ()) = tokio::join!(send_at(&slow, "alice", NOW - 1_500, &frame), overtake);
    assert_eq!(answer["code"], "rate_limited");
    assert_eq!(aws.rows("MessagesTable").len(), 3);
}

#[tokio::test]
async fn a_connection_whose_token_has_expired_gets_no_message_and_is_closed() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    let connected_at = NOW - 3_600_000;
    aws.put_connection_until("bob", "bob-open", connected_at, None);
    aws.put_connection_until("bob", "bob-valid", connected_at, Some(NOW / 1000 + 1));
    for expired in ["bob-expired", "bob-gone", "bob-stuck"] {
        aws.put_connection_until("bob", expired, connected_at, Some(NOW / 1000));
    }
    aws.put_connection_until("alice", "alice-expired", connected_at, Some(0));
    aws.connections.answer("bob-gone", &[410]);
    aws.connections.answer("bob-stuck", &[200, 500, 500]);

    assert_eq!(send_at(&context, "alice", NOW, &to("bob")).await["type"], "sent");

    let mut pushes: Vec<_> = aws
        .connections
        .take_pushes()
        .into_iter()
        .map(|push| {
            (push.connection_id, push.frame.get("code").unwrap_or(&push.frame["type"]).as_str().unwrap().to_owned())
        })
        .collect();
    pushes.sort();
    let expected = [
        ("alice-expired", "token_expired"),
        ("bob-expired", "token_expired"),
        ("bob-open", "message"),
        ("bob-stuck", "token_expired"),
        ("bob-valid", "message"),
    ];
    assert_eq!(pushes, expected.map(|(connection, kind)| (connection.to_owned(), kind.to_owned())));
    let mut closed = aws.connections.take_closed();
    closed.sort();
    assert_eq!(closed, ["alice-expired", "bob-expired"]);
    let left: Vec<_> = aws.stored_connections().into_iter().map(|(_, id)| id).collect();
    assert_eq!(left, ["bob-open", "bob-stuck", "bob-valid"], "what is closed or gone is removed");
}
