//! Connecting, with a real table.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

use std::sync::Arc;

use chat_core::{clients::Clients, lambda};
use serde_json::{Value, json};
use testkit::{Aws, Event, Fate};
use tokio::sync::Notify;

async fn connect(clients: &Clients, event: Event) -> Value {
    serde_json::to_value(lambda::answer(clients, event.lambda(), connect::handle).await).unwrap()
}

fn offering(protocols: &str) -> Event {
    Event::of("connect").set("/headers/Sec-WebSocket-Protocol", json!(protocols))
}

#[tokio::test]
async fn it_remembers_the_connection_with_one_call() {
    let aws = Aws::start().await;
    let clients: Clients = aws.provide().await;

    let answer = connect(&clients, Event::of("connect")).await;

    assert_eq!((&answer["statusCode"], &answer["headers"]), (&json!(200), &json!({})));
    assert_eq!(answer.get("body"), None, "a body on $connect is never sent");
    let row = json!({
        "userId": { "S": "alice" },
        "connectionId": { "S": "L0SM9cOFvHcCIhw=" },
        "connectedAt": { "N": "1793535556857" },
        "expiresAt": { "N": "1793543356" },
    });
    assert_eq!(aws.rows("ClientsTable"), [row]);
    assert_eq!(aws.dynamodb.take_counts(), [("PutItem".to_owned(), 1)].into());
}

#[tokio::test]
async fn it_selects_the_subprotocol_that_it_speaks() {
    let clients: Clients = Aws::start().await.provide().await;
    for offer in ["chat.v1", "chat.v2, chat.v1", " chat.v1 ,x"] {
        let answer = connect(&clients, offering(offer)).await;
        assert_eq!(answer["headers"]["sec-websocket-protocol"], "chat.v1", "{offer}");
    }
}

#[tokio::test]
async fn it_refuses_a_client_that_speaks_only_other_subprotocols() {
    let aws = Aws::start().await;
    let clients: Clients = aws.provide().await;
    for offer in ["graphql-ws", "CHAT.V1", "chat.v1x"] {
        assert_eq!(connect(&clients, offering(offer)).await["statusCode"], 400, "{offer}");
    }
    assert_eq!(aws.rows("ClientsTable").len(), 0);
}

#[tokio::test]
async fn it_refuses_a_connection_without_a_proven_user() {
    let aws = Aws::start().await;
    let clients: Clients = aws.provide().await;
    // The query says who; nobody has proved it.
    let answer = connect(&clients, Event::of("connect").without("/requestContext/authorizer")).await;
    assert_eq!(answer["statusCode"], 401);
    assert_eq!(aws.rows("ClientsTable").len(), 0);
}

#[tokio::test]
async fn a_connection_that_cannot_be_remembered_is_refused() {
    let aws = Aws::start().await;
    let clients: Clients = aws.provide().await;
    for (status, error, refusal) in [(500, "InternalServerError", 503), (400, "AccessDeniedException", 500)] {
        aws.dynamodb.disturb(move |_| Fate::Fail(status, error));
        assert_eq!(connect(&clients, Event::of("connect")).await["statusCode"], refusal);
    }
}

#[tokio::test]
async fn a_table_that_hangs_is_told_before_the_function_is_cut_off() {
    let aws = Aws::start().await;
    let clients: Clients = aws.provide().await;
    let never = Arc::new(Notify::new());
    aws.dynamodb.disturb(move |_| Fate::Hold(never.clone()));
    assert_eq!(connect(&clients, Event::of("connect").within(1_000)).await["statusCode"], 503);
}
