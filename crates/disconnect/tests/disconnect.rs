//! `$disconnect` with the template's tables.

use std::sync::Arc;

use chat_core::{
    model::time::Timestamp,
    store::connections::{Connection, Connections},
};
use disconnect::Context;
use serde_json::Value;
use support::{FakeAws, Fixture, Outcome, invoke};
use tokio::sync::Notify;

#[tokio::test]
async fn it_removes_this_connection_and_no_other_with_one_call() {
    let aws = FakeAws::start().await;
    let (context, connections): (Context, Connections) = (aws.context(), aws.context());
    for (user, id) in [("alice", "L0SM9cOFvHcCIhw="), ("alice", "other"), ("bob", "L0SM9cOFvHcCIhw=")] {
        let user = user.to_owned().try_into().unwrap();
        connections
            .add(&Connection::new(user, id.to_owned(), Timestamp::from_millis(1_793_535_556_857), None, None))
            .await
            .unwrap();
    }
    aws.dynamodb.take_calls();

    assert_eq!(invoke(&context, disconnect::handle, Fixture::named("disconnect")).await, Value::Null);

    let mut left: Vec<_> = aws
        .rows("ClientsTable")
        .iter()
        .map(|row| format!("{} {}", row["userId"]["S"], row["connectionId"]["S"]))
        .collect();
    left.sort();
    assert_eq!(left, [r#""alice" "other""#, r#""bob" "L0SM9cOFvHcCIhw=""#]);
    assert_eq!(aws.dynamodb.take_counts(), [("DeleteItem".to_owned(), 1)].into());
}

#[tokio::test]
async fn removing_it_twice_is_not_an_error() {
    let context: Context = FakeAws::start().await.context();
    for _ in 0..2 {
        assert_eq!(invoke(&context, disconnect::handle, Fixture::named("disconnect")).await, Value::Null);
    }
}

#[tokio::test]
async fn it_ends_in_time_if_dynamodb_hangs() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    let never = Arc::new(Notify::new());
    aws.dynamodb.inject(move |_| Outcome::Hold(never.clone()));
    // No client sees this reply, but a function that Lambda ends has a cold start with its next event.
    assert_eq!(
        invoke(&context, disconnect::handle, Fixture::named("disconnect").timeout_ms(1_000)).await["code"],
        "unavailable"
    );
}
