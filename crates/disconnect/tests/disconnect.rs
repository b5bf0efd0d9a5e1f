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

fn item_of_alice(aws: &FakeAws) -> Value {
    aws.rows("ClientsTable").into_iter().find(|item| item["userId"]["S"] == "alice").unwrap()
}

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
    let expiry = item_of_alice(&aws)["expiresAt"].clone();
    aws.dynamodb.take_calls();

    assert_eq!(invoke(&context, disconnect::handle, Fixture::named("disconnect")).await, Value::Null);

    let left = [("alice", "other"), ("bob", "L0SM9cOFvHcCIhw=")];
    assert_eq!(aws.stored_connections(), left.map(|(user, id)| (user.to_owned(), id.to_owned())));
    assert_eq!(aws.dynamodb.take_counts(), [("UpdateItem".to_owned(), 1)].into());
    assert_eq!(item_of_alice(&aws)["lastSeenAt"]["N"], "1793535616857", "the time of the event");
    assert_eq!(item_of_alice(&aws)["expiresAt"], expiry, "the other connection may be open for longer");
}

#[tokio::test]
async fn an_item_that_it_makes_anew_expires() {
    let aws = FakeAws::start().await;
    invoke(&aws.context::<Context>(), disconnect::handle, Fixture::named("disconnect")).await;
    let thirty_days_later = 1_793_535_616 + 30 * 24 * 60 * 60;
    assert_eq!(item_of_alice(&aws)["expiresAt"]["N"], thirty_days_later.to_string());
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
