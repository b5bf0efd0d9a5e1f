//! Messages: the selected route, the reply to the client, and the order.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio_tungstenite::tungstenite::Message;
use ws_local::invoke::InvokeResult;

use crate::{harness::*, wire::*};

#[tokio::test]
async fn the_exact_route_is_invoked_else_default() {
    let gateway = Setup::new().quiet("send").quiet("$default").start().await;
    let mut client = gateway.connect("").await;
    for (message, route) in [
        (r#"{"action":"send"}"#, "send"),
        (r#"{"action":"Send"}"#, "$default"),
        (r#"{"action":7}"#, "$default"),
        (r#"{"action":null}"#, "$default"),
        (r#"{}"#, "$default"),
        ("not JSON", "$default"),
        ("", "$default"),
    ] {
        client.send(message).await;
        let event = gateway.event(route).await;
        assert_eq!(event["body"], message);
        assert_eq!(event["requestContext"]["routeKey"], route, "the route that was selected");
    }
}

#[tokio::test]
async fn a_route_may_be_chosen_deeper_in_the_message_and_by_a_number() {
    let deep = |stack: &mut ws_local::template::Stack| {
        stack.api.route_selection_expression = "$request.body.head.kind".into();
    };
    let gateway = Setup::new().quiet("7").quiet("$default").stack(deep).start().await;
    let mut client = gateway.connect("").await;
    client.send(r#"{"head":{"kind":7}}"#).await;
    gateway.event("7").await;
    client.send(r#"{"kind":7}"#).await;
    gateway.event("$default").await;
}

#[tokio::test]
async fn a_message_cannot_select_connect_or_disconnect() {
    let gateway = Setup::new().quiet("$connect").quiet("$disconnect").quiet("$default").start().await;
    let (mut client, _) = gateway.connect_known().await;
    for action in ["$connect", "$disconnect", "$default"] {
        client.call(action).await;
        gateway.event("$default").await;
    }
    assert_eq!((gateway.waiting("$connect"), gateway.waiting("$disconnect")), (0, 0));
}

#[tokio::test]
async fn without_default_an_unknown_route_is_forbidden_and_the_connection_stays() {
    let gateway = Setup::new().quiet("$connect").replying("hi", async |_| reply("hello")).start().await;
    let (mut client, id) = gateway.connect_known().await;
    for message in [r#"{"action":"what"}"#, "not JSON"] {
        client.send(message).await;
        let frame = client.json().await;
        assert_eq!((&frame["message"], &frame["connectionId"]), (&json!("Forbidden"), &json!(id)));
        assert_eq!(frame["requestId"].as_str().unwrap().len(), 16);
        assert_eq!(gateway.record(if message == "not JSON" { "" } else { "what" }).await.status, 403);
    }
    client.call("hi").await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn a_failure_or_malformed_response_is_an_internal_server_error_and_the_connection_stays() {
    type Bad = fn() -> InvokeResult;
    let bad: [Bad; 5] = [
        || fail("boom"),
        || respond(Value::Null),
        || respond(json!({"body": "no status"})),
        || Ok(b"not JSON".to_vec()),
        || respond(json!({"statusCode": 200, "body": {"an": "object"}})),
    ];
    for bad in bad {
        for replies in [false, true] {
            let setup = Setup::new().replying("hi", async |_| reply("hello"));
            let body = move |_| async move { bad() };
            let setup = if replies { setup.replying("bad", body) } else { setup.route("bad", body) };
            let gateway = setup.start().await;
            let mut client = gateway.connect("").await;
            client.call("bad").await;
            let frame = client.json().await;
            assert_eq!(frame["message"], "Internal server error");
            assert_eq!(frame["connectionId"].as_str().unwrap().len(), 16);
            assert_eq!(frame["requestId"].as_str().unwrap().len(), 16);
            assert_eq!(frame.as_object().unwrap().len(), 3, "nothing of the cause");
            assert_eq!(gateway.record("bad").await.status, 502);
            client.call("hi").await;
            assert_eq!(client.text().await, "hello");
            assert_eq!(gateway.waiting("bad"), 1, "never called again");
        }
    }
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_an_internal_server_error() {
    let gateway = Setup::new()
        .route("slow", async |_| std::future::pending().await)
        .limits(|limits| limits.integration = std::time::Duration::from_millis(50))
        .start()
        .await;
    let mut client = gateway.connect("").await;
    client.call("slow").await;
    assert_eq!(client.json().await["message"], "Internal server error");
    assert_eq!(gateway.record("slow").await.status, 504);
}

#[tokio::test]
async fn a_route_may_allow_less_time_than_the_gateway() {
    let gateway = Setup::new()
        .route("slow", async |_| std::future::pending().await)
        .stack(|stack| {
            let slow = stack.api.routes.get_mut("slow").unwrap();
            slow.timeout = std::time::Duration::from_millis(50);
        })
        .start()
        .await;
    let mut client = gateway.connect("").await;
    client.call("slow").await;
    assert_eq!(client.json().await["message"], "Internal server error");
}

#[tokio::test]
async fn one_way_routes_drop_the_response_and_replying_ones_send_its_body() {
    let gateway = Setup::new()
        .route("quiet", async |_| reply("dropped"))
        .replying("empty", async |_| ok())
        .replying("hi", async |_| reply("hello"))
        .replying("encoded", async |_| respond(json!({"statusCode": 200, "body": "aMOp", "isBase64Encoded": true})))
        .start()
        .await;
    let mut client = gateway.connect("").await;
    for (action, reply) in [("quiet", None), ("empty", None), ("hi", Some("hello")), ("encoded", Some("hé"))] {
        client.call(action).await;
        assert_eq!(gateway.record(action).await.status, 200);
        if let Some(reply) = reply {
            assert_eq!(client.text().await, reply);
        }
    }
}

#[tokio::test]
async fn messages_of_one_connection_run_concurrently() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let gateway = Setup::new()
        .replying("slow", move |_| {
            let wait = Arc::clone(&gate);
            async move {
                wait.acquire().await.unwrap().forget();
                reply("slow")
            }
        })
        .replying("fast", async |_| reply("fast"))
        .start()
        .await;
    let mut client = gateway.connect("").await;
    for _ in 0..20 {
        client.call("slow").await;
    }
    for _ in 0..20 {
        gateway.event("slow").await;
    }
    client.call("fast").await;
    assert_eq!(client.text().await, "fast", "it overtakes those that wait");
    go.add_permits(20);
    for _ in 0..20 {
        assert_eq!(client.text().await, "slow");
    }
}

#[tokio::test]
async fn a_ping_gets_its_pong_while_a_function_runs() {
    let go = Arc::new(Notify::new());
    let gateway = Setup::new().replying("slow", after(&go, || reply("done"))).start().await;
    let mut client = gateway.connect("").await;
    client.call("slow").await;
    client.send(Message::Ping(b"are you there"[..].into())).await;
    let pong = soon(futures_util::StreamExt::next(&mut client.socket)).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(b"are you there"[..].into()));
    go.notify_one();
    assert_eq!(client.text().await, "done");
}

#[tokio::test]
async fn a_message_in_several_frames_is_one_message() {
    use tokio::io::AsyncWriteExt;
    let gateway = Setup::new().quiet("$default").start().await;
    let mut stream = raw(&gateway).await;
    for (first, part) in [(TEXT_FIRST, "One "), (TEXT_NEXT, "m\u{e9}s"), (TEXT_LAST, "sage")] {
        stream.write_all(&frame(first, part.as_bytes())).await.unwrap();
    }
    assert_eq!(gateway.event("$default").await["body"], "One m\u{e9}ssage");
}
