//! `$default`: `ping`, unknown actions, and connections whose token has expired.

use chat_core::{lambda, push::connections_api::ConnectionsApi};
use serde_json::{Value, json};
use support::{FakeAws, Fixture, broken_frames, invoke};

async fn send(frame: &str) -> Value {
    invoke(&(), fallback::handle, Fixture::named("fallback").text(frame)).await
}

#[tokio::test]
async fn a_pong_carries_the_ref_of_the_ping() {
    assert_eq!(invoke(&(), fallback::handle, Fixture::named("fallback")).await, json!({ "type": "pong", "ref": "3" }));
    assert_eq!(send(r#"{"action":"ping"}"#).await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn the_error_for_an_unknown_action_lists_the_actions() {
    for action in ["", "Ping", "sendmessage", "$connect", "🦀", "drop table"] {
        let answer = send(&json!({ "action": action, "ref": "9" }).to_string()).await;
        assert_eq!((&answer["code"], &answer["ref"]), (&json!("unknown_action"), &json!("9")), "{action}");
        assert!(answer["message"].as_str().unwrap().contains("sendMessage"));
    }
}

#[tokio::test]
async fn a_frame_without_an_action_is_refused() {
    let mut frames = broken_frames();
    let unnamed = [json!({}), json!({ "action": null }), json!({ "action": 5 }), json!({ "action": ["ping"] })];
    frames.extend(unnamed.map(|frame| (frame.to_string(), "bad_request")));
    for (frame, code) in frames {
        let answer = send(&frame).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame:.200}");
    }
    // Without a proven user, the error is the same for every frame.
    let event = Fixture::named("fallback").without("/requestContext/authorizer");
    assert_eq!(invoke(&(), fallback::handle, event).await["code"], "unauthenticated");
}

#[tokio::test]
async fn no_message_is_handled_after_the_token_expires() {
    const RECEIVED_AT: &str = "/requestContext/requestTimeEpoch";
    let until = |expires_at: Value, now: i64| {
        Fixture::named("fallback").set("/requestContext/authorizer/expiresAt", expires_at).set(RECEIVED_AT, json!(now))
    };
    for (expires_at, now, expected) in [
        (json!("1793540000"), 1_793_539_999_999, "pong"),
        (json!("1793540000"), 1_793_540_000_000, "token_expired"),
        (json!("1793540000"), 1_893_540_000_000, "token_expired"),
        // A value that is not a time counts as past.
        (json!(""), 0, "token_expired"),
        (json!("never"), 0, "token_expired"),
        (json!("1e99"), 0, "token_expired"),
        (json!(null), 0, "token_expired"),
        (json!([]), 0, "token_expired"),
        // The authorizer writes strings only.
        (json!(1_893_540_000), 0, "token_expired"),
    ] {
        let answer = invoke(&(), fallback::handle, until(expires_at.clone(), now)).await;
        let reply = answer.get("code").unwrap_or(&answer["type"]);
        assert_eq!((reply, &answer["ref"]), (&json!(expected), &json!("3")), "{expires_at} at {now}");
    }
    // The frame is not parsed, and no route runs.
    let event = until(json!("1"), 1_793_540_000_000).text("nonsense");
    let answer = invoke(&(), async |_: &(), _| panic!("a route was run"), event).await;
    assert_eq!(answer["code"], "token_expired");
}

#[tokio::test]
async fn a_connection_whose_token_has_expired_gets_an_error_and_is_closed() {
    let aws = FakeAws::start().await;
    let connections: ConnectionsApi = aws.context();
    let expired =
        Fixture::named("fallback").connection("stolen=").set("/requestContext/authorizer/expiresAt", json!("1"));
    let error = json!({
        "type": "error",
        "code": "token_expired",
        "message": "the token has expired; connect again with a new one",
        "ref": "3",
    });
    // The statuses of @connections, and whether the frame is pushed, the connection closed, and the frame returned.
    for (statuses, pushed, closed, answered) in [
        (&[200][..], true, true, false),
        (&[429, 200], true, true, false),
        (&[200, 500, 500], true, false, false),
        (&[500, 500], false, false, true),
        (&[410], false, false, true),
    ] {
        aws.connections.answer("stolen=", statuses);
        let route = fallback::handle;
        let answer = lambda::handle_message(&(), &connections, expired.lambda(), route).await;
        let answer = serde_json::to_value(answer.response).unwrap();
        let frame = answer["body"].as_str().map(|frame| serde_json::from_str::<Value>(frame).unwrap());
        assert_eq!((&answer["statusCode"], frame), (&json!(200), answered.then(|| error.clone())), "{statuses:?}");
        let pushes = aws.connections.take_pushes();
        assert_eq!(pushes.iter().map(|push| &push.frame).collect::<Vec<_>>(), vec![&error; pushed.into()]);
        assert_eq!(aws.connections.take_closed(), vec!["stolen="; closed.into()], "{statuses:?}");
    }
    assert_eq!(aws.dynamodb.take_calls().len(), 0);

    let answer = lambda::handle_message(&(), &connections, Fixture::named("fallback").lambda(), fallback::handle).await;
    assert!(serde_json::to_string(&answer.response).unwrap().contains("pong"));
    assert_eq!((aws.connections.take_pushes().len(), aws.connections.take_closed().len()), (0, 0));
}
