//! Sizes and throttles.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use ws_local::gateway::Rate;

use crate::{harness::*, wire::*};

fn setup() -> Setup {
    Setup::new().quiet("$connect").quiet("$default").quiet("$disconnect")
}

#[tokio::test]
async fn a_frame_of_32_768_bytes_passes_and_one_more_byte_closes_with_1009() {
    let gateway = setup().start().await;
    let mut client = gateway.connect("").await;
    client.send("x".repeat(32_768)).await;
    assert_eq!(gateway.event("$default").await["body"].as_str().unwrap().len(), 32_768);
    client.send("x".repeat(32_769)).await;
    assert_eq!(client.closed().await.0, 1009);
    let end = gateway.event("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1009);
    assert_eq!(gateway.waiting("$default"), 0);
}

#[tokio::test]
async fn the_close_frame_reaches_a_client_that_is_still_sending_megabytes() {
    let gateway = setup().start().await;
    let mut stream = raw(&gateway).await;
    stream.write_all(&frame(TEXT, &vec![b'x'; 8 << 20])).await.unwrap();
    assert_eq!(raw_close(&mut stream).await.0, 1009);
}

#[tokio::test]
async fn a_message_of_131_072_bytes_in_four_frames_passes_and_one_more_byte_closes_with_1009() {
    let gateway = setup().start().await;
    let part = [b'x'; 32_768];
    let mut stream = raw(&gateway).await;
    for first in [TEXT_FIRST, TEXT_NEXT, TEXT_NEXT, TEXT_LAST] {
        stream.write_all(&frame(first, &part)).await.unwrap();
    }
    assert_eq!(gateway.event("$default").await["body"].as_str().unwrap().len(), 131_072);
    for first in [TEXT_FIRST, TEXT_NEXT, TEXT_NEXT, TEXT_NEXT] {
        stream.write_all(&frame(first, &part)).await.unwrap();
    }
    stream.write_all(&frame(TEXT_LAST, b"x")).await.unwrap();
    assert_eq!(raw_close(&mut stream).await.0, 1009);
    assert_eq!(gateway.waiting("$default"), 0);
}

#[tokio::test]
async fn a_long_message_to_a_client_leaves_in_frames_of_32_768_bytes() {
    use tokio::io::AsyncReadExt;
    let gateway = setup().start().await;
    let mut stream = raw(&gateway).await;
    let id = gateway.event("$connect").await["requestContext"]["connectionId"].clone();
    let text = "ü".repeat(40_000);
    assert_eq!(gateway.manage("POST", id.as_str().unwrap(), text.as_bytes()).await.status, 200);
    let mut received = Vec::new();
    for (first, length) in [(TEXT_FIRST, 32_768), (TEXT_NEXT, 32_768), (TEXT_LAST, 14_464)] {
        assert_eq!(soon(stream.read_u8()).await.unwrap(), first);
        assert_eq!(stream.read_u8().await.unwrap(), 126);
        assert_eq!(stream.read_u16().await.unwrap(), length);
        let mut part = vec![0; length.into()];
        stream.read_exact(&mut part).await.unwrap();
        received.extend(part);
    }
    assert!(received == text.as_bytes());
}

#[tokio::test]
async fn a_reply_that_is_longer_than_a_message_may_be_is_an_internal_server_error() {
    let gateway = Setup::new()
        .replying("most", async |_| reply(&"x".repeat(131_072)))
        .replying("more", async |_| reply(&"x".repeat(131_073)))
        .start()
        .await;
    let mut client = gateway.connect("").await;
    client.call("most").await;
    assert_eq!(client.text().await.len(), 131_072);
    client.call("more").await;
    assert_eq!(client.json().await["message"], "Internal server error");
}

#[tokio::test]
async fn a_url_over_4_096_characters_is_refused() {
    let gateway = setup().start().await;
    let rest = format!("wss://{}/prod?token=", gateway.address()).len();
    let token = |length: usize| format!("?token={}", "x".repeat(length - rest));
    assert_eq!(gateway.upgrade(&token(4_096), &[]).await.status, 101);
    gateway.event("$connect").await;
    assert_eq!(gateway.upgrade(&token(4_097), &[]).await.status, 414);
    assert_eq!(gateway.waiting("$connect"), 0);
}

#[tokio::test]
async fn too_many_new_connections_are_429() {
    let few = Rate { per_second: 0, burst: 2 };
    let gateway = setup().limits(|limits| limits.connections = few).start().await;
    let (_first, id) = gateway.connect_known().await;
    let (mut second, _) = gateway.connect_known().await;
    let refused = gateway.upgrade("", &[]).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-amzn-errortype"), Some("LimitExceededException"));
    assert_eq!(gateway.waiting("$connect"), 0);
    // Open connections continue.
    second.send("hello").await;
    gateway.event("$default").await;
    assert_eq!(gateway.manage("POST", &id, b"hello").await.status, 200);
}

#[tokio::test]
async fn connections_messages_and_management_calls_share_one_throttle() {
    let few = Rate { per_second: 0, burst: 3 };
    let gateway = setup().limits(|limits| limits.requests = few).start().await;
    let (mut client, id) = gateway.connect_known().await;
    assert_eq!(gateway.manage("GET", &id, b"").await.status, 200);
    client.send("third").await;
    gateway.event("$default").await;

    client.send("one too many").await;
    let frame = client.json().await;
    assert_eq!((&frame["message"], &frame["connectionId"]), (&json!("Too Many Requests"), &json!(id)));
    let refused = gateway.manage("POST", &id, b"hello").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-amzn-errortype"), Some("LimitExceededException"));
    assert_eq!(gateway.upgrade("", &[]).await.status, 429);
    assert_eq!(gateway.waiting("$default"), 0);
}
