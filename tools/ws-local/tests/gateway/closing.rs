//! The end of connections, and the code and reason that `$disconnect` gets.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, sync::Notify};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::{harness::*, wire::*};

fn setup() -> Setup {
    Setup::new().quiet("$connect").quiet("$default").quiet("$disconnect")
}

/// The status code and reason of the next `$disconnect`.
async fn end(gateway: &TestGateway) -> (u64, String) {
    let event = gateway.event("$disconnect").await;
    let Value::Object(context) = &event["requestContext"] else { panic!("{event}") };
    let code = context["disconnectStatusCode"].as_u64().unwrap();
    (code, context["disconnectReason"].as_str().unwrap().to_owned())
}

fn pair(code: u64, reason: &str) -> (u64, String) {
    (code, reason.to_owned())
}

#[tokio::test]
async fn a_client_that_gives_no_code_is_1005_with_awss_reason() {
    let gateway = setup().start().await;
    let mut client = gateway.connect("").await;
    client.send(Message::Close(None)).await;
    assert_eq!(end(&gateway).await, pair(1005, "Client-side close frame status not set"));
}

#[tokio::test]
async fn a_clients_own_code_and_reason_are_forwarded() {
    let gateway = setup().start().await;
    for (code, reason) in [(1000, "bye"), (1001, ""), (4001, "täglich")] {
        let mut client = gateway.connect("").await;
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        client.send(Message::Close(Some(frame))).await;
        assert_eq!(client.closed().await.0, code, "the closing handshake is finished");
        assert_eq!(end(&gateway).await, pair(code.into(), reason));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_1006() {
    let gateway = setup().start().await;
    drop(raw(&gateway).await);
    assert_eq!(end(&gateway).await, pair(1006, "Connection closed abnormally"));
}

#[tokio::test]
async fn disconnect_runs_after_the_connection_is_closed() {
    let go = Arc::new(Notify::new());
    let gateway = Setup::new().quiet("$connect").route("$disconnect", after(&go, ok)).start().await;
    let (mut client, id) = gateway.connect_known().await;
    client.socket.close(None).await.unwrap();
    gateway.event("$disconnect").await;
    assert_eq!(gateway.manage("POST", &id, b"hello?").await.status, 410);
    go.notify_one();
    assert_eq!(gateway.record("$disconnect").await.detail.unwrap()[..4], *"1005");
}

#[tokio::test]
async fn a_disconnect_function_that_fails_is_recorded_and_not_called_again() {
    let gateway = Setup::new().route("$disconnect", async |_| fail("boom")).start().await;
    drop(gateway.connect("").await);
    let record = gateway.record("$disconnect").await;
    assert_eq!(record.status, 502);
    assert!(record.detail.unwrap().contains("boom"));
    assert_eq!(gateway.waiting("$disconnect"), 1);
}

#[tokio::test]
async fn a_binary_message_closes_with_1003() {
    let gateway = setup().start().await;
    let mut client = gateway.connect("").await;
    client.send(Message::binary(vec![1, 2, 3])).await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1003);
    assert_eq!(end(&gateway).await, pair(1003, &reason));
    assert_eq!(gateway.waiting("$default"), 0);
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes_with_1007() {
    let gateway = setup().start().await;
    let mut stream = raw(&gateway).await;
    stream.write_all(&frame(TEXT, b"caf\xe9")).await.unwrap();
    assert_eq!(raw_close(&mut stream).await.0, 1007);
    drop(stream);
    assert_eq!(end(&gateway).await.0, 1007);
    assert_eq!(gateway.waiting("$default"), 0);
}

#[tokio::test]
async fn a_frame_without_a_mask_closes_with_1002() {
    let gateway = setup().start().await;
    let mut stream = raw(&gateway).await;
    stream.write_all(&[TEXT, 2, b'h', b'i']).await.unwrap();
    assert_eq!(raw_close(&mut stream).await.0, 1002);
    drop(stream);
    assert_eq!(end(&gateway).await.0, 1002);
}

#[tokio::test]
async fn a_connection_without_frames_goes_away_with_1001() {
    let gateway = setup().limits(|limits| limits.idle = Duration::from_millis(50)).start().await;
    let mut client = gateway.connect("").await;
    assert_eq!(client.closed().await, (1001, "Going away".to_owned()));
    assert_eq!(end(&gateway).await, pair(1001, "Going away"));
}

#[tokio::test]
async fn frames_in_either_direction_restart_the_idle_clock() {
    let idle = Duration::from_millis(400);
    let gateway = setup().limits(|limits| limits.idle = idle).start().await;
    let (mut client, id) = gateway.connect_known().await;
    let started = std::time::Instant::now();
    // This test is about time, so it must wait.
    while started.elapsed() < idle * 2 {
        tokio::time::sleep(idle / 4).await;
        client.send(Message::Ping(Vec::new().into())).await;
    }
    while started.elapsed() < idle * 4 {
        tokio::time::sleep(idle / 4).await;
        assert_eq!(gateway.manage("POST", &id, b"still there").await.status, 200);
        assert_eq!(client.text().await, "still there");
    }
    assert_eq!(client.closed().await.0, 1001);
    assert!(started.elapsed() >= idle * 5);
}

#[tokio::test]
async fn a_busy_connection_also_ends_after_its_longest_duration() {
    let gateway = setup().limits(|limits| limits.connection = Duration::from_millis(100)).start().await;
    let mut client = gateway.connect("").await;
    client.send("hello").await;
    assert_eq!(client.closed().await, (1001, "Going away".to_owned()));
    assert_eq!(end(&gateway).await, pair(1001, "Going away"));
}

#[tokio::test]
async fn a_client_that_never_replies_to_the_close_frame_is_dropped() {
    let gateway = setup()
        .limits(|limits| {
            limits.idle = Duration::from_millis(50);
            limits.closing = Duration::from_millis(50);
        })
        .start()
        .await;
    let mut stream = raw(&gateway).await;
    assert_eq!(raw_close(&mut stream).await, (1001, "Going away".to_owned()));
    assert_eq!(end(&gateway).await.0, 1001);
}

#[tokio::test]
async fn a_reply_to_a_client_that_has_gone_is_dropped() {
    let go = Arc::new(Notify::new());
    let gateway = setup().replying("slow", after(&go, || reply("too late"))).start().await;
    let mut client = gateway.connect("").await;
    client.call("slow").await;
    gateway.event("slow").await;
    drop(client);
    end(&gateway).await;
    go.notify_one();
    assert_eq!(gateway.record("slow").await.status, 200);
}

#[tokio::test]
async fn a_stopping_gateway_closes_with_1001_and_runs_disconnect() {
    let gateway = setup().start().await;
    let mut clients = [gateway.connect("").await, gateway.connect("").await];
    let TestGateway { gateway, .. } = gateway;
    let stop = tokio::spawn(gateway.stop());
    for client in &mut clients {
        assert_eq!(client.closed().await, (1001, "Going away".to_owned()));
    }
    soon(stop).await.unwrap();
}

#[tokio::test]
async fn a_stopping_gateway_does_not_wait_for_a_function_that_hangs() {
    let gateway = Setup::new()
        .route("hang", async |_| std::future::pending().await)
        .limits(|limits| limits.stopping = Duration::from_millis(50))
        .start()
        .await;
    let address = gateway.address();
    let mut client = gateway.connect("").await;
    client.call("hang").await;
    gateway.event("hang").await;
    soon(gateway.gateway.stop()).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is free");
}

#[tokio::test]
async fn close_frames_contain_only_a_code_and_a_reason() {
    let gateway = setup().start().await;
    let mut client = gateway.connect("").await;
    let id = gateway.event("$connect").await["requestContext"]["connectionId"].clone();
    let response = gateway.manage("DELETE", id.as_str().unwrap(), b"").await;
    assert_eq!((response.status, response.body.as_str()), (204, ""));
    assert_eq!(json!(client.closed().await), json!([1000, ""]));
}
