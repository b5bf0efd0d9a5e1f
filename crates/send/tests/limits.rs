//! How much one user may send, and to whose connections, with real tables and a real `@connections` endpoint.

use send::Context;
use serde_json::{Value, json};
use support::{FakeAws, Fixture, Outcome, invoke};

/// The moment of `events/send.json`, in milliseconds since 1970.
const NOW: i64 = 1_793_535_561_000;

async fn say(context: &Context, user: &str, at: i64, frame: &Value) -> Value {
    let event = Fixture::named("send").user(user).frame(frame).set("/requestContext/requestTimeEpoch", json!(at));
    invoke(context, send::handle, event).await
}

fn to(recipient: &str) -> Value {
    json!({ "recipientId": recipient, "content": "Hi", "ref": "1" })
}

/// A `send` that has never seen anybody, as each new process is.
async fn fresh(aws: &FakeAws) -> Context {
    aws.try_context(&[("MESSAGE_RATE", "2"), ("MESSAGE_BURST", "3")]).unwrap()
}

#[tokio::test]
async fn a_conversation_holds_its_senders_to_the_limit_whatever_process_they_meet() {
    let aws = FakeAws::start().await;
    let mut codes = Vec::new();
    for (number, at) in [0, 1, 2, 3, 499, 500, 501, 1_000].into_iter().enumerate() {
        let answer = say(&fresh(&aws).await, "alice", NOW + at, &to("bob")).await;
        codes.push(answer.get("code").unwrap_or(&answer["value"]["seq"]).clone());
        if number == 2 {
            // Somebody who answers is not slowed down by it, and doesn't give back what was used up.
            assert_eq!(say(&fresh(&aws).await, "bob", NOW + at, &to("alice")).await["value"]["seq"], 4);
        }
    }
    let refused = json!("rate_limited");
    assert_eq!(codes, [json!(1), json!(2), json!(3), refused.clone(), refused.clone(), json!(5), refused, json!(6)]);
    assert_eq!(aws.rows("MessagesTable").len(), 6);
}

#[tokio::test]
async fn what_is_refused_costs_one_read_and_stores_nothing() {
    let aws = FakeAws::start().await;
    for _ in 0..3 {
        assert_eq!(say(&fresh(&aws).await, "alice", NOW, &to("bob")).await["type"], "sent");
    }
    aws.dynamodb.take_calls();
    let answer = say(&fresh(&aws).await, "alice", NOW, &to("bob")).await;
    let message = "more than 2 messages a second; send the same again in 500 milliseconds";
    let expected =
        json!({ "type": "error", "code": "rate_limited", "message": message, "retryAfter": 500, "ref": "1" });
    assert_eq!(answer, expected);
    assert_eq!(aws.dynamodb.take_counts(), [("Query".to_owned(), 1)].into());
    assert_eq!(aws.rows("MessagesTable").len(), 3);
}

#[tokio::test]
async fn a_process_holds_a_user_to_the_limit_whoever_they_write_to_and_without_a_call() {
    let aws = FakeAws::start().await;
    let context = fresh(&aws).await;
    for recipient in ["b", "c", "d"] {
        assert_eq!(say(&context, "alice", NOW, &to(recipient)).await["type"], "sent");
    }
    aws.dynamodb.take_calls();
    assert_eq!(say(&context, "alice", NOW, &to("e")).await["code"], "rate_limited");
    assert_eq!(aws.dynamodb.take_calls().len(), 0);
    assert_eq!(say(&context, "bob", NOW, &to("e")).await["type"], "sent", "nobody else is slowed down");
    assert_eq!(say(&context, "alice", NOW + 500, &to("e")).await["type"], "sent");
}

#[tokio::test]
async fn a_repeat_is_answered_even_where_nothing_more_may_be_stored() {
    let aws = FakeAws::start().await;
    let mut first = to("bob");
    first["clientMessageId"] = json!("c1");
    assert_eq!(say(&fresh(&aws).await, "alice", NOW, &first).await["value"]["seq"], 1);
    for _ in 0..2 {
        assert_eq!(say(&fresh(&aws).await, "alice", NOW, &to("bob")).await["type"], "sent");
    }
    assert_eq!(say(&fresh(&aws).await, "alice", NOW, &to("bob")).await["code"], "rate_limited");
    let again = say(&fresh(&aws).await, "alice", NOW, &first).await;
    assert_eq!((&again["value"]["seq"], &again["value"]["duplicate"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn a_message_from_before_there_were_limits_leaves_everything() {
    let aws = FakeAws::start().await;
    aws.put_message(1, "alice", "bob", "Hi");
    for seq in 2..=4 {
        assert_eq!(say(&fresh(&aws).await, "alice", NOW, &to("bob")).await["value"]["seq"], seq);
    }
    assert_eq!(say(&fresh(&aws).await, "alice", NOW, &to("bob")).await["code"], "rate_limited");
}

#[tokio::test]
async fn who_loses_a_race_and_has_nothing_left_by_then_is_refused() {
    let aws = FakeAws::start().await;
    let (slow, context) = (fresh(&aws).await, aws.context::<Context>());
    let released = std::sync::Arc::new(tokio::sync::Notify::new());
    let (hold, mut puts) = (released.clone(), 0);
    aws.dynamodb.inject(move |call| {
        puts += usize::from(call.operation == "PutItem");
        if call.operation == "PutItem" && puts == 1 { Outcome::Hold(hold.clone()) } else { Outcome::Forward }
    });
    let frame = to("bob");
    let overtake = async {
        aws.dynamodb.saw("PutItem", 1).await;
        for seq in 1..=3 {
            assert_eq!(say(&context, "alice", NOW, &frame).await["value"]["seq"], seq);
        }
        released.notify_one();
    };
    // What the others stored is read as its sender's by 10 a second; by 2 a second, 300 ms are still free.
    let (answer, ()) = tokio::join!(say(&slow, "alice", NOW - 1_500, &frame), overtake);
    assert_eq!(answer["code"], "rate_limited");
    assert_eq!(aws.rows("MessagesTable").len(), 3);
}

#[tokio::test]
async fn a_connection_whose_token_has_expired_gets_no_message_and_is_closed() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    let began = NOW - 3_600_000;
    aws.put_connection_until("bob", "bob-open", began, None);
    aws.put_connection_until("bob", "bob-valid", began, Some(NOW / 1000 + 1));
    for expired in ["bob-expired", "bob-gone", "bob-stuck"] {
        aws.put_connection_until("bob", expired, began, Some(NOW / 1000));
    }
    aws.put_connection_until("alice", "alice-expired", began, Some(0));
    aws.connections.answer("bob-gone", &[410]);
    aws.connections.answer("bob-stuck", &[200, 500, 500]);

    assert_eq!(say(&context, "alice", NOW, &to("bob")).await["type"], "sent");

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
    let left = aws.rows("ClientsTable");
    assert_eq!(left.len(), 5, "only what is gone is forgotten: {left:?}");
    assert!(left.iter().all(|row| row["connectionId"]["S"] != "bob-gone"));
}
