//! `$connect`.

use std::sync::Arc;

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify};

use crate::{plumbing::*, wire::*};

#[tokio::test]
async fn without_a_connect_route_everybody_gets_in() {
    let world = Setup::new().replying("hi", async |_| says("hello")).start().await;
    let mut client = world.connect("").await;
    client.call("hi").await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn the_upgrade_waits_for_the_function_and_nothing_else_is_routed_before() {
    let go = Arc::new(Notify::new());
    let world = Setup::new().route("$connect", after(&go, ok)).quiet("early").start().await;
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let request = upgrade_request(world.address());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(&frame(TEXT, br#"{"action":"early"}"#)).await.unwrap();

    let event = world.event("$connect").await;
    let id = event["requestContext"]["connectionId"].as_str().unwrap();
    let posted = world.manage("POST", id, b"too early").await;
    assert_eq!(posted.status, 410, "a post before $connect has finished");
    assert_eq!((world.waiting("early"), world.gateway.connections()), (0, 0));

    go.notify_one();
    assert_eq!(soon(Answered::read(&mut stream)).await.status, 101);
    world.event("early").await;
    assert_eq!(world.manage("POST", id, b"now").await.status, 200);
}

#[tokio::test]
async fn the_functions_refusal_is_the_status_of_the_upgrade() {
    for status in [400, 401, 403, 404, 429, 500, 503, 302] {
        let refusing = move |_| async move { answer(json!({"statusCode": status, "body": "no"})) };
        let world = Setup::new().route("$connect", refusing).quiet("$disconnect").start().await;
        let refused = world.upgrade("", &[]).await;
        assert_eq!(refused.status, status);
        assert_eq!(world.record("$connect").await.status, status);
        assert_eq!((world.gateway.connections(), world.waiting("$disconnect")), (0, 0));
    }
}

#[tokio::test]
async fn a_function_that_fails_or_answers_nonsense_gives_502() {
    for nonsense in [fails("oh no"), answer(json!(null)), answer(json!({"statusCode": 101})), answer(json!("ok"))] {
        let nonsense = Arc::new(nonsense.map_err(|_| ()));
        let world = Setup::new()
            .route("$connect", move |_| {
                let nonsense = Arc::clone(&nonsense);
                async move { (*nonsense).clone().or_else(|()| fails("oh no")) }
            })
            .start()
            .await;
        let refused = world.upgrade("", &[]).await;
        assert_eq!(refused.status, 502);
        assert!(!refused.body.contains("oh no"), "the cause is not for the client");
    }
}

#[tokio::test]
async fn a_body_of_connect_is_never_sent() {
    let world = Setup::new()
        .replying("$connect", async |_| says("not for you"))
        .replying("hi", async |_| says("hello"))
        .start()
        .await;
    let mut client = world.connect("").await;
    client.call("hi").await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn the_function_chooses_the_subprotocol() {
    let world = Setup::new()
        .route("$connect", async |event| {
            let offered = &event["headers"]["Sec-WebSocket-Protocol"];
            assert_eq!(*offered, "v1, v2");
            answer(json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "v2"}}))
        })
        .start()
        .await;
    let client = world.connect_with("", &[("sec-websocket-protocol", "v1, v2")]).await;
    assert_eq!(client.response.headers()["sec-websocket-protocol"], "v2");
}

#[tokio::test]
async fn without_the_functions_word_no_subprotocol_is_agreed_on() {
    let world = Setup::new().quiet("$connect").start().await;
    let answered = world.upgrade("", &[("Sec-WebSocket-Protocol", "v1")]).await;
    assert_eq!(answered.status, 101);
    assert_eq!(answered.header("sec-websocket-protocol"), None);
    assert_eq!(answered.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[tokio::test]
async fn what_is_no_websocket_request_is_told_to_upgrade() {
    let world = Setup::new().quiet("$connect").start().await;
    assert_eq!(world.http("GET", "/prod", &[], b"").await.status, 426);
    let old = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "8")];
    assert_eq!(world.http("GET", "/prod", &old, b"").await.status, 426);
    assert_eq!(world.waiting("$connect"), 0);
}

#[tokio::test]
async fn a_client_that_leaves_during_connect_is_heard_of_again_in_disconnect() {
    let go = Arc::new(Notify::new());
    let world = Setup::new().route("$connect", after(&go, ok)).quiet("$disconnect").start().await;
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(upgrade_request(world.address()).as_bytes()).await.unwrap();
    let connect = world.event("$connect").await;
    drop(stream);
    go.notify_one();
    let gone = world.event("$disconnect").await;
    assert_eq!(gone["requestContext"]["disconnectStatusCode"], 1006);
    assert_eq!(gone["requestContext"]["connectionId"], connect["requestContext"]["connectionId"]);
    assert_eq!(world.gateway.connections(), 0);
}
