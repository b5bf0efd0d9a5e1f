//! Transient errors of DynamoDB. A client gets `unavailable`, which tells it to repeat, and never `internal`.

use serde_json::{Value, json};
use support::{Call, FakeAws, Fixture, Outcome};

use crate::routes::{self, Route};

/// Errors of any call, with their statuses.
const OF_CALLS: [(u16, &str); 4] = [
    (500, "InternalServerError"),
    (400, "ProvisionedThroughputExceededException"),
    (400, "RequestLimitExceeded"),
    (400, "ThrottlingException"),
];
/// Reasons for which DynamoDB cancels a transaction that a later attempt can complete.
const OF_TRANSACTIONS: [&str; 3] = ["ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"];

fn is_transaction(call: &Call) -> bool {
    call.operation == "TransactWriteItems"
}

/// Whether the call writes an item that the transaction of another request may use.
fn may_conflict(call: &Call) -> bool {
    call.operation == "PutItem" && call.body["TableName"] == "MessagesTable"
}

/// A transaction of two parts, of which the second one is cancelled.
fn cancelled(reason: &str) -> Outcome {
    let reasons = json!([{ "Code": "None" }, { "Code": reason, "Message": "injected by a test" }]);
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    Outcome::Respond(400, json!({ "__type": kind, "Message": "cancelled", "CancellationReasons": reasons }))
}

/// Every error that DynamoDB can answer to this call and that may pass.
fn errors(call: &Call) -> Vec<Outcome> {
    let mut errors: Vec<_> = OF_CALLS.map(|(status, error)| Outcome::Fail(status, error)).to_vec();
    if may_conflict(call) {
        errors.push(Outcome::Fail(400, "TransactionConflictException"));
    }
    if is_transaction(call) {
        errors.push(Outcome::Fail(400, "TransactionInProgressException"));
        errors.extend(OF_TRANSACTIONS.map(cancelled));
    }
    errors
}

/// The HTTP status of the response on `$connect`, otherwise the code of the error or the type of the reply.
async fn outcome(route: &Route) -> Value {
    // Within the edit window of the message, and with little time for errors that stay.
    let event = Fixture::named(route.name).received_at(36_000_000).timeout_ms(3_000);
    let answer = route.respond(event).await;
    let Some(frame) = answer["body"].as_str() else { return answer["statusCode"].clone() };
    let frame: Value = serde_json::from_str(frame).unwrap();
    frame.get("code").unwrap_or(&frame["type"]).clone()
}

async fn start() -> (FakeAws, Vec<Route>) {
    let aws = FakeAws::start().await;
    aws.put_message(1, "alice", "bob", "Hi");
    let routes = routes::all(&aws);
    (aws, routes)
}

#[tokio::test]
async fn an_error_that_passes_is_repeated_and_one_that_stays_is_unavailable() {
    // The maximum of errors that one call can get.
    for number in 0..OF_CALLS.len() + 1 + OF_TRANSACTIONS.len() {
        for lasts in [false, true] {
            let (aws, routes) = start().await;
            for route in &routes {
                let mut failed = false;
                aws.dynamodb.inject(move |call| match errors(call).into_iter().nth(number) {
                    Some(error) if lasts || !std::mem::replace(&mut failed, true) => error,
                    _ => Outcome::Forward,
                });
                let outcome = outcome(route).await;
                let is_refused = outcome == "unavailable" || outcome == 503;
                // Without calls, or with calls that can't get this error, a route succeeds.
                let is_answered = outcome == 200
                    || ["sent", "messages", "conversations", "read", "presence", "pong"]
                        .contains(&outcome.as_str().unwrap_or_default());
                assert!(is_answered || (is_refused && lasts), "{} at error {number}: {outcome}", route.name);
            }
        }
    }
}

#[tokio::test]
async fn a_slot_that_a_transaction_uses_is_tried_again() {
    let (aws, routes) = start().await;
    let send = routes.iter().find(|route| route.name == "send").unwrap();
    for conflicts in [1, 3, 12] {
        let mut left = conflicts;
        aws.dynamodb.inject(move |call| {
            if may_conflict(call) && left > 0 {
                left -= 1;
                return Outcome::Fail(400, "TransactionConflictException");
            }
            Outcome::Forward
        });
        let frame = json!({ "recipientId": "bob", "content": format!("after {conflicts}"), "lastSeq": 1 });
        let answer = send.respond(Fixture::named("send").frame(&frame)).await;
        assert_eq!(send.frame(&answer)["type"], "sent", "{answer}");
    }
    let seqs: Vec<_> =
        aws.rows("MessagesTable").iter().map(|row| row["seq"]["N"].as_str().unwrap().to_owned()).collect();
    assert_eq!(seqs, ["1", "2", "3", "4"]);
}
