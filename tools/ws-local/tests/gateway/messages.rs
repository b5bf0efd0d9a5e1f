//! Messages: which route, what the client gets, and in which order.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio_tungstenite::tungstenite::Message;
use ws_local::invoke::InvokeResult;

use crate::{plumbing::*, wire::*};

#[tokio::test]
async fn the_exact_route_is_called_else_default() {
    let world = Setup::new().quiet("send").quiet("$default").start().await;
    let mut client = world.connect("").await;
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
        let event = world.event(route).await;
        assert_eq!(event["body"], message);
        assert_eq!(event["requestContext"]["routeKey"], route, "the route that was selected");
    }
}

#[tokio::test]
async fn a_route_may_be_chosen_deeper_in_the_message_and_by_a_number() {
    let deep = |stack: &mut ws_local::template::Stack| {
        stack.api.route_selection_expression = "$request.body.head.kind".into();
    };
    let world = Setup::new().quiet("7").quiet("$default").stack(deep).start().await;
    let mut client = world.connect("").await;
    client.send(r#"{"head":{"kind":7}}"#).await;
    world.event("7").await;
    client.send(r#"{"kind":7}"#).await;
    world.event("$default").await;
}

#[tokio::test]
async fn the_routes_of_begin_and_end_are_not_for_messages() {
    let world = Setup::new().quiet("$connect").quiet("$disconnect").quiet("$default").start().await;
    let (mut client, _) = world.connect_known().await;
    for action in ["$connect", "$disconnect", "$default"] {
        client.call(action).await;
        world.event("$default").await;
    }
    assert_eq!((world.waiting("$connect"), world.waiting("$disconnect")), (0, 0));
}

#[tokio::test]
async fn without_default_an_unknown_route_is_forbidden_and_the_connection_stays() {
    let world = Setup::new().quiet("$connect").replying("hi", async |_| says("hello")).start().await;
    let (mut client, id) = world.connect_known().await;
    for message in [r#"{"action":"what"}"#, "not JSON"] {
        client.send(message).await;
        let frame = client.json().await;
        assert_eq!((&frame["message"], &frame["connectionId"]), (&json!("Forbidden"), &json!(id)));
        assert_eq!(frame["requestId"].as_str().unwrap().len(), 16);
        assert_eq!(world.record(if message == "not JSON" { "" } else { "what" }).await.status, 403);
    }
    client.call("hi").await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn a_failure_or_nonsense_is_an_internal_server_error_and_the_connection_stays() {
    type Bad = fn() -> InvokeResult;
    let bad: [Bad; 5] = [
        || fails("boom"),
        || answer(Value::Null),
        || answer(json!({"body": "no status"})),
        || Ok(b"not JSON".to_vec()),
        || answer(json!({"statusCode": 200, "body": {"an": "object"}})),
    ];
    for bad in bad {
        for replies in [false, true] {
            let setup = Setup::new().replying("hi", async |_| says("hello"));
            let body = move |_| async move { bad() };
            let setup = if replies { setup.replying("bad", body) } else { setup.route("bad", body) };
            let world = setup.start().await;
            let mut client = world.connect("").await;
            client.call("bad").await;
            let frame = client.json().await;
            assert_eq!(frame["message"], "Internal server error");
            assert_eq!(frame["connectionId"].as_str().unwrap().len(), 16);
            assert_eq!(frame["requestId"].as_str().unwrap().len(), 16);
            assert_eq!(frame.as_object().unwrap().len(), 3, "nothing of the cause");
            assert_eq!(world.record("bad").await.status, 502);
            client.call("hi").await;
            assert_eq!(client.text().await, "hello");
            assert_eq!(world.waiting("bad"), 1, "never called again");
        }
    }
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_an_internal_server_error() {
    let world = Setup::new()
        .route("slow", async |_| std::future::pending().await)
        .limits(|limits| limits.integration = std::time::Duration::from_millis(50))
        .start()
        .await;
    let mut client = world.connect("").await;
    client.call("slow").await;
    assert_eq!(client.json().await["message"], "Internal server error");
    assert_eq!(world.record("slow").await.status, 504);
}

#[tokio::test]
async fn a_route_may_allow_less_time_than_the_gateway() {
    let world = Setup::new()
        .route("slow", async |_| std::future::pending().await)
        .stack(|stack| {
            let slow = stack.api.routes.get_mut("slow").unwrap();
            slow.timeout = std::time::Duration::from_millis(50);
        })
        .start()
        .await;
    let mut client = world.connect("").await;
    client.call("slow").await;
    assert_eq!(client.json().await["message"], "Internal server error");
}

#[tokio::test]
async fn one_way_routes_drop_the_answer_and_replying_ones_send_its_body() {
    let world = Setup::new()
        .route("quiet", async |_| says("dropped"))
        .replying("empty", async |_| ok())
        .replying("hi", async |_| says("hello"))
        .replying("encoded", async |_| answer(json!({"statusCode": 200, "body": "aMOp", "isBase64Encoded": true})))
        .start()
        .await;
    let mut client = world.connect("").await;
    for (action, reply) in [("quiet", None), ("empty", None), ("hi", Some("hello")), ("encoded", Some("hé"))] {
        client.call(action).await;
        assert_eq!(world.record(action).await.status, 200);
        if let Some(reply) = reply {
            assert_eq!(client.text().await, reply);
        }
    }
}

#[tokio::test]
async fn messages_of_one_connection_run_side_by_side() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let world = Setup::new()
        .replying("slow", move |_| {
            let wait = Arc::clone(&gate);
            async move {
                wait.acquire().await.unwrap().forget();
                says("slow")
            }
        })
        .replying("fast", async |_| says("fast"))
        .start()
        .await;
    let mut client = world.connect("").await;
    for _ in 0..20 {
        client.call("slow").await;
    }
    for _ in 0..20 {
        world.event("slow").await;
    }
    client.call("fast").await;
    assert_eq!(client.text().await, "fast", "it overtakes those that wait");
    go.add_permits(20);
    for _ in 0..20 {
        assert_eq!(client.text().await, "slow");
    }
}

#[tokio::test]
async fn a_ping_is_answered_while_a_function_runs() {
    let go = Arc::new(Notify::new());
    let world = Setup::new().replying("slow", after(&go, || says("done"))).start().await;
    let mut client = world.connect("").await;
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
    let world = Setup::new().quiet("$default").start().await;
    let mut stream = raw(&world).await;
    for (first, part) in [(TEXT_FIRST, "One "), (TEXT_NEXT, "m\u{e9}s"), (TEXT_LAST, "sage")] {
        stream.write_all(&frame(first, part.as_bytes())).await.unwrap();
    }
    assert_eq!(world.event("$default").await["body"], "One m\u{e9}ssage");
}
