//! Disconnecting, with a real table.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

use chat_core::clients::{Clients, Connection};
use serde_json::Value;
use testkit::{Aws, Event, ask};

#[tokio::test]
async fn it_forgets_this_connection_and_no_other_with_one_call() {
    let aws = Aws::start().await;
    let clients: Clients = aws.provide().await;
    for (user, id) in [("alice", "L0SM9cOFvHcCIhw="), ("alice", "other"), ("bob", "L0SM9cOFvHcCIhw=")] {
        let user = user.to_owned().try_into().unwrap();
        clients.add(&Connection::new(user, id.to_owned(), 1_793_535_556_857, None)).await.unwrap();
    }
    aws.dynamodb.take_calls();

    assert_eq!(ask(&clients, disconnect::handle, Event::of("disconnect")).await, Value::Null);

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
async fn forgetting_it_twice_is_no_error() {
    let clients: Clients = Aws::start().await.provide().await;
    for _ in 0..2 {
        assert_eq!(ask(&clients, disconnect::handle, Event::of("disconnect")).await, Value::Null);
    }
}
