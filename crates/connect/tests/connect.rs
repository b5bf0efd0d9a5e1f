//! `$connect` with the template's tables and a fake `@connections` endpoint.

use std::sync::Arc;

use chat_core::lambda;
use connect::Context;
use serde_json::{Value, json};
use support::{FakeAws, Fixture, Outcome};
use tokio::sync::Notify;

/// The time of `events/connect.json`, in milliseconds since the Unix epoch.
const NOW: i64 = 1_793_535_556_857;

async fn connect(context: &Context, event: Fixture) -> Value {
    serde_json::to_value(lambda::handle_event(context, event.lambda(), connect::handle).await).unwrap()
}

/// The ids of all stored connections, those of alice before those of bob.
fn stored(aws: &FakeAws) -> Vec<String> {
    aws.stored_connections().into_iter().map(|(_, id)| id).collect()
}

fn offering(protocols: &str) -> Fixture {
    offering_in_lines(&[protocols])
}

/// A client that sends the header once for each of these values.
fn offering_in_lines(protocols: &[&str]) -> Fixture {
    Fixture::named("connect")
        .set("/headers/Sec-WebSocket-Protocol", json!(protocols.last()))
        .set("/multiValueHeaders/Sec-WebSocket-Protocol", json!(protocols))
}

#[tokio::test]
async fn it_stores_the_connection_with_one_call() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();

    let answer = connect(&context, Fixture::named("connect")).await;

    assert_eq!(answer, json!({ "statusCode": 200 }), "a body on $connect is never sent");
    let row = json!({ "connectedAt": { "N": "1793535556857" }, "expiresAt": { "N": "1793543356" } });
    // TTL deletes the item 30 days after the connection can have ended.
    let item = json!({
        "userId": { "S": "alice" },
        "c:L0SM9cOFvHcCIhw=": { "M": row },
        "expiresAt": { "N": "1796135356" },
    });
    assert_eq!(aws.rows("ClientsTable"), [item]);
    assert_eq!(aws.dynamodb.take_counts(), [("UpdateItem".to_owned(), 1)].into());
}

#[tokio::test]
async fn it_selects_the_subprotocol_that_it_supports() {
    let context: Context = FakeAws::start().await.context();
    for offer in ["chat.v1", "chat.v2, chat.v1", " chat.v1 ,x"] {
        // Byte for byte, because AWS documents only this spelling of the header.
        let handled = lambda::handle_event(&context, offering(offer).lambda(), connect::handle).await;
        let answer = serde_json::to_string(&handled).unwrap();
        assert_eq!(answer, r#"{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"chat.v1"}}"#, "{offer}");
    }
}

#[tokio::test]
async fn it_finds_the_subprotocol_in_any_of_several_headers() {
    let context: Context = FakeAws::start().await.context();
    for lines in [["chat.v1", "token"], ["token", "chat.v1"]] {
        let answer = connect(&context, offering_in_lines(&lines)).await;
        assert_eq!(answer["headers"]["Sec-WebSocket-Protocol"], "chat.v1", "{lines:?}");
    }
}

#[tokio::test]
async fn it_refuses_a_client_that_offers_only_other_subprotocols() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    for offer in ["graphql-ws", "CHAT.V1", "chat.v1x"] {
        assert_eq!(connect(&context, offering(offer)).await["statusCode"], 400, "{offer}");
    }
    assert_eq!(aws.rows("ClientsTable").len(), 0);
}

#[tokio::test]
async fn it_refuses_a_connection_without_a_proven_user() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    // The query contains a user id, but the authorizer's context does not.
    let answer = connect(&context, Fixture::named("connect").without("/requestContext/authorizer")).await;
    assert_eq!(answer["statusCode"], 401);
    assert_eq!(aws.rows("ClientsTable").len(), 0);
}

#[tokio::test]
async fn a_connection_that_cannot_be_stored_is_refused() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    for (status, error, refusal) in [(500, "InternalServerError", 503), (400, "AccessDeniedException", 500)] {
        aws.dynamodb.inject(move |_| Outcome::Fail(status, error));
        assert_eq!(connect(&context, Fixture::named("connect")).await["statusCode"], refusal);
    }
}

#[tokio::test]
async fn the_expiry_of_the_token_is_stored() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    for (expires_at, stored) in [(json!("1793539999"), "1793539999"), (json!("soon"), "-9223372036854775808")] {
        let event = Fixture::named("connect").set("/requestContext/authorizer/expiresAt", expires_at);
        assert_eq!(connect(&context, event).await["statusCode"], 200);
        assert_eq!(aws.rows("ClientsTable")[0]["c:L0SM9cOFvHcCIhw="]["M"]["tokenExpiresAt"]["N"], stored);
    }
}

#[tokio::test]
async fn the_oldest_connections_are_closed_above_the_limit() {
    let aws = FakeAws::start().await;
    let context: Context = aws.try_context(&[("MAX_CONNECTIONS", "3")]).unwrap();
    for (connection, age_ms) in [("d", 100_000), ("a", 400_000), ("c", 200_000), ("b", 300_000), ("x", 7_801_000)] {
        aws.put_connection("alice", connection, NOW - age_ms);
    }
    aws.put_connection("bob", "bob", NOW - 900_000);

    let answer = connect(&context, Fixture::named("connect").connection("e")).await;

    assert_eq!(answer["statusCode"], 200);
    let mut closed = aws.connections.take_closed();
    closed.sort();
    assert_eq!(closed, ["a", "b"], "two others and the new one are within the limit; other users are not affected");
    assert_eq!(aws.connections.take_pushes().len(), 0);
    assert_eq!(stored(&aws), ["c", "d", "e", "bob"], "what is closed or has expired is removed");
    assert_eq!(aws.dynamodb.take_counts(), [("UpdateItem".to_owned(), 2)].into());

    // A connection that is gone is removed. One that can't be closed stays open, and stored.
    aws.connections.answer("c", &[410]);
    aws.connections.answer("d", &[500, 500]);
    for connection in ["f", "g"] {
        assert_eq!(connect(&context, Fixture::named("connect").connection(connection)).await["statusCode"], 200);
    }
    assert_eq!(stored(&aws), ["d", "e", "f", "g", "bob"]);
}

#[tokio::test]
async fn any_number_of_expired_connections_is_removed() {
    let aws = FakeAws::start().await;
    let mut item = json!({ "userId": { "S": "alice" } });
    for number in 0..1_000 {
        let row = json!({ "connectedAt": { "N": "0" }, "expiresAt": { "N": "7800" } });
        item[format!("c:{number}")] = json!({ "M": row });
    }
    aws.put("ClientsTable", &item);
    connect(&aws.context(), Fixture::named("connect").connection("new")).await;
    assert_eq!(stored(&aws), ["new"]);
    for call in aws.dynamodb.take_calls() {
        let update = call.body["UpdateExpression"].as_str().unwrap();
        assert!(update.len() <= 4_096, "DynamoDB refuses an expression of {} bytes", update.len());
    }
    assert_eq!(aws.connections.take_closed().len(), 0, "API Gateway has closed them");
}

#[tokio::test]
async fn a_connection_that_may_still_be_opened_is_not_removed() {
    let aws = FakeAws::start().await;
    let context: Context = aws.try_context(&[("MAX_CONNECTIONS", "1")]).unwrap();
    for (connection, age_ms) in [("young", 60_000), ("old", 60_001)] {
        aws.put_connection("alice", connection, NOW - age_ms);
        aws.connections.answer(connection, &[410]);
    }
    connect(&context, Fixture::named("connect").connection("new")).await;
    assert_eq!(stored(&aws), ["new", "young"]);
}

#[tokio::test]
async fn a_client_that_connects_again_at_the_limit_replaces_its_own_connection() {
    let aws = FakeAws::start().await;
    let context: Context = aws.try_context(&[("MAX_CONNECTIONS", "2")]).unwrap();
    let event = |id: &str, client: &str, age: i64| {
        let event = Fixture::named("connect").connection(id).set("/requestContext/connectedAt", json!(NOW - age));
        event.set("/queryStringParameters", json!({ "userId": "alice", "client": client }))
    };
    for (id, client, age) in [("older", "tablet", 300), ("own", "laptop", 200), ("new", "laptop", 100)] {
        assert_eq!(connect(&context, event(id, client, age)).await["statusCode"], 200);
    }
    assert_eq!(aws.connections.take_closed(), ["own"], "not the oldest one, which is another client's");
    assert_eq!(connect(&context, event("third", "phone", 0)).await["statusCode"], 200);
    assert_eq!(aws.connections.take_closed(), ["older"], "a new client closes the oldest one");

    for (client, status) in [("x".repeat(64), 200), ("x".repeat(65), 400), (String::new(), 400)] {
        assert_eq!(connect(&context, event("named", &client, 0)).await["statusCode"], status, "{client}");
    }
}

#[tokio::test]
async fn a_repeated_connect_event_closes_no_connection() {
    let aws = FakeAws::start().await;
    let context: Context = aws.try_context(&[("MAX_CONNECTIONS", "2")]).unwrap();
    aws.put_connection("alice", "other", NOW - 100_000);
    for _ in 0..3 {
        connect(&context, Fixture::named("connect")).await;
    }
    assert_eq!(aws.connections.take_closed().len(), 0);
}

#[tokio::test]
async fn a_missing_or_invalid_limit_is_named() {
    let aws = FakeAws::start().await;
    for value in ["", "0", "-1", "101", "many", "1.5", "99999999999"] {
        let error = aws.try_context::<Context>(&[("MAX_CONNECTIONS", value)]).unwrap_err();
        assert!(error.to_string().contains("MAX_CONNECTIONS"), "{error}");
    }
}

#[tokio::test]
async fn the_client_gets_an_error_in_time_if_dynamodb_hangs() {
    let aws = FakeAws::start().await;
    let context: Context = aws.context();
    let never = Arc::new(Notify::new());
    aws.dynamodb.inject(move |_| Outcome::Hold(never.clone()));
    assert_eq!(connect(&context, Fixture::named("connect").timeout_ms(1_000)).await["statusCode"], 503);
}
