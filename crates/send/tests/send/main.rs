//! `sendMessage` with the template's tables, a fake `@connections` endpoint, and a proxy that loses responses.

mod exactly_once;
mod failures;
mod inboxes;
mod positions;
mod refusals;
mod storing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use send::Context;
use serde_json::Value;
use support::{Call, FakeAws, Fixture, Outcome, Sent, invoke};
use tokio::sync::Notify;

/// The time of `events/send.json`, in milliseconds since the Unix epoch.
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

/// Sends a frame and returns the reply.
async fn send(context: &Context, user: &str, frame: Value) -> Value {
    invoke(context, send::handle, Fixture::named("send").user(user).frame(&frame)).await
}

/// Sends a frame as Alice, with another bound on the time of a put.
async fn send_with_fast_put(aws: &FakeAws, frame: Value, fast_put: Duration) -> Value {
    send(&aws.context::<Context>().with_fast_put(fast_put), "alice", frame).await
}

/// The value of a reply that must be `sent`.
#[track_caller]
fn acknowledged(reply: &Value) -> Sent {
    assert_eq!(reply["type"], "sent", "{reply}");
    serde_json::from_value(reply["value"].clone()).unwrap_or_else(|error| panic!("{error}: {reply}"))
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

/// Whether the call is a put of a message, successful or not.
fn is_message_put(call: &Call) -> bool {
    call.operation == "PutItem" && call.body["TableName"] == "MessagesTable"
}

/// Holds every put of a message from now on, until the result is notified.
fn hold_message_puts(aws: &FakeAws) -> Arc<Notify> {
    let released = Arc::new(Notify::new());
    let hold = released.clone();
    aws.dynamodb.inject(move |call| if is_message_put(call) { Outcome::Hold(hold.clone()) } else { Outcome::Forward });
    released
}

/// The sequence numbers and texts of all stored messages, in order.
fn stored(aws: &FakeAws) -> Vec<(u64, String)> {
    let row = |row: &Value| {
        (row["seq"]["N"].as_str().unwrap().parse().unwrap(), row["content"]["S"].as_str().unwrap().to_owned())
    };
    let mut rows: Vec<_> = aws.rows("MessagesTable").iter().map(row).collect();
    rows.sort();
    rows
}
