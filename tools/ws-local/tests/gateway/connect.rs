//! The upgrade and the `$connect` function.

use std::sync::Arc;

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify};

use crate::{harness::*, wire::*};

#[tokio::test]
async fn without_a_connect_route_every_client_can_connect() {
    let gateway = Setup::new().replying("hi", async |_| reply("hello")).start().await;
    let mut client = gateway.connect("").await;
    client.call("hi").await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn the_upgrade_waits_for_the_function_and_nothing_else_is_routed_before() {
    let go = Arc::new(Notify::new());
    let gateway = Setup::new().route("$connect", after(&go, ok)).quiet("early").start().await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let request = upgrade_request(gateway.address());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(&frame(TEXT, br#"{"action":"early"}"#)).await.unwrap();

    let event = gateway.event("$connect").await;
    let id = event["requestContext"]["connectionId"].as_str().unwrap();
    let posted = gateway.manage("POST", id, b"too early").await;
    assert_eq!(posted.status, 410, "a post before $connect has finished");
    assert_eq!((gateway.waiting("early"), gateway.gateway.connections()), (0, 0));

    go.notify_one();
    assert_eq!(soon(HttpResponse::read(&mut stream)).await.status, 101);
    gateway.event("early").await;
    assert_eq!(gateway.manage("POST", id, b"now").await.status, 200);
}

#[tokio::test]
async fn the_functions_status_is_the_status_of_a_refused_upgrade() {
    for status in [400, 401, 403, 404, 429, 500, 503, 302] {
        let refusing = move |_| async move { respond(json!({"statusCode": status, "body": "no"})) };
        let gateway = Setup::new().route("$connect", refusing).quiet("$disconnect").start().await;
        let refused = gateway.upgrade("", &[]).await;
        assert_eq!(refused.status, status);
        assert_eq!(gateway.record("$connect").await.status, status);
        assert_eq!((gateway.gateway.connections(), gateway.waiting("$disconnect")), (0, 0));
    }
}

#[tokio::test]
async fn a_function_that_fails_or_returns_a_malformed_response_gives_502() {
    for nonsense in [fail("oh no"), respond(json!(null)), respond(json!({"statusCode": 101})), respond(json!("ok"))] {
        let nonsense = Arc::new(nonsense.map_err(|_| ()));
        let gateway = Setup::new()
            .route("$connect", move |_| {
                let nonsense = Arc::clone(&nonsense);
                async move { (*nonsense).clone().or_else(|()| fail("oh no")) }
            })
            .start()
            .await;
        let refused = gateway.upgrade("", &[]).await;
        assert_eq!(refused.status, 502);
        assert!(!refused.body.contains("oh no"), "the cause is not for the client");
    }
}

#[tokio::test]
async fn a_body_of_connect_is_never_sent() {
    let gateway = Setup::new()
        .replying("$connect", async |_| reply("not for you"))
        .replying("hi", async |_| reply("hello"))
        .start()
        .await;
    let mut client = gateway.connect("").await;
    client.call("hi").await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn the_function_chooses_the_subprotocol() {
    let gateway = Setup::new()
        .route("$connect", async |event| {
            let offered = &event["headers"]["Sec-WebSocket-Protocol"];
            assert_eq!(*offered, "v1, v2");
            respond(json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "v2"}}))
        })
        .start()
        .await;
    let client = gateway.connect_with("", &[("sec-websocket-protocol", "v1, v2")]).await;
    assert_eq!(client.response.headers()["sec-websocket-protocol"], "v2");
}

#[tokio::test]
async fn without_the_functions_choice_there_is_no_subprotocol() {
    let gateway = Setup::new().quiet("$connect").start().await;
    let response = gateway.upgrade("", &[("Sec-WebSocket-Protocol", "v1")]).await;
    assert_eq!(response.status, 101);
    assert_eq!(response.header("sec-websocket-protocol"), None);
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[tokio::test]
async fn a_request_that_is_not_a_websocket_upgrade_is_426() {
    let gateway = Setup::new().quiet("$connect").start().await;
    assert_eq!(gateway.http("GET", "/prod", &[], b"").await.status, 426);
    let old = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "8")];
    assert_eq!(gateway.http("GET", "/prod", &old, b"").await.status, 426);
    assert_eq!(gateway.waiting("$connect"), 0);
}

#[tokio::test]
async fn a_client_that_leaves_during_connect_still_gets_a_disconnect() {
    let go = Arc::new(Notify::new());
    let gateway = Setup::new().route("$connect", after(&go, ok)).quiet("$disconnect").start().await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(upgrade_request(gateway.address()).as_bytes()).await.unwrap();
    let connect = gateway.event("$connect").await;
    drop(stream);
    go.notify_one();
    let gone = gateway.event("$disconnect").await;
    assert_eq!(gone["requestContext"]["disconnectStatusCode"], 1006);
    assert_eq!(gone["requestContext"]["connectionId"], connect["requestContext"]["connectionId"]);
    assert_eq!(gateway.gateway.connections(), 0);
}
