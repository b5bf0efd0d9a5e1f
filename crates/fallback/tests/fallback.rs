//! What no other route takes.

use chat_core::{lambda, push::connections_api::ConnectionsApi};
use serde_json::{Value, json};
use support::{FakeAws, Fixture, broken_frames, invoke};

async fn say(frame: &str) -> Value {
    invoke(&(), fallback::handle, Fixture::named("fallback").text(frame)).await
}

#[tokio::test]
async fn a_ping_is_answered_with_its_ref() {
    assert_eq!(invoke(&(), fallback::handle, Fixture::named("fallback")).await, json!({ "type": "pong", "ref": "3" }));
    assert_eq!(say(r#"{"action":"ping"}"#).await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn an_unknown_action_is_told_which_there_are() {
    for action in ["", "Ping", "sendmessage", "$connect", "🦀", "drop table"] {
        let answer = say(&json!({ "action": action, "ref": "9" }).to_string()).await;
        assert_eq!((&answer["code"], &answer["ref"]), (&json!("unknown_action"), &json!("9")), "{action}");
        assert!(answer["message"].as_str().unwrap().contains("sendMessage"));
    }
}

#[tokio::test]
async fn what_names_no_action_is_refused() {
    let mut frames = broken_frames();
    let unnamed = [json!({}), json!({ "action": null }), json!({ "action": 5 }), json!({ "action": ["ping"] })];
    frames.extend(unnamed.map(|frame| (frame.to_string(), "bad_request")));
    for (frame, code) in frames {
        let answer = say(&frame).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame:.200}");
    }
    // Whoever is not proved to be somebody is told nothing else.
    let event = Fixture::named("fallback").without("/requestContext/authorizer");
    assert_eq!(invoke(&(), fallback::handle, event).await["code"], "unauthenticated");
}

#[tokio::test]
async fn an_expired_token_ends_what_a_connection_may_do() {
    const RECEIVED_AT: &str = "/requestContext/requestTimeEpoch";
    let until = |expires_at: Value, now: i64| {
        Fixture::named("fallback").set("/requestContext/authorizer/expiresAt", expires_at).set(RECEIVED_AT, json!(now))
    };
    for (expires_at, now, reply) in [
        // API Gateway hands what the authorizer says on as strings.
        (json!("1793540000"), 1_793_539_999_999, "pong"),
        (json!("1793540000"), 1_793_540_000_000, "token_expired"),
        (json!("1793540000"), 1_893_540_000_000, "token_expired"),
        (json!(1_793_540_000), 1_793_539_999_999, "pong"),
        (json!(1_793_540_000), 1_793_540_000_000, "token_expired"),
        // What is no time has passed.
        (json!(""), 0, "token_expired"),
        (json!("never"), 0, "token_expired"),
        (json!("1e99"), 0, "token_expired"),
        (json!(null), 0, "token_expired"),
        (json!([]), 0, "token_expired"),
    ] {
        let answer = invoke(&(), fallback::handle, until(expires_at.clone(), now)).await;
        let said = answer.get("code").unwrap_or(&answer["type"]);
        assert_eq!((said, &answer["ref"]), (&json!(reply), &json!("3")), "{expires_at} at {now}");
    }
    // Nothing of it is looked at, and no route is run.
    let event = until(json!("1"), 1_793_540_000_000).text("nonsense");
    let answer = invoke(&(), async |_: &(), _| panic!("a route was run"), event).await;
    assert_eq!(answer["code"], "token_expired");
}

#[tokio::test]
async fn a_connection_whose_token_has_expired_is_told_so_and_closed() {
    let aws = FakeAws::start().await;
    let connections: ConnectionsApi = aws.context();
    let expired =
        Fixture::named("fallback").connection("stolen=").set("/requestContext/authorizer/expiresAt", json!("1"));
    let told = json!({
        "type": "error",
        "code": "token_expired",
        "message": "the token has expired; connect again with a new one",
        "ref": "3",
    });
    // What @connections answers, and whether that frame is pushed, the connection closed, and the frame answered.
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
        let answer = serde_json::to_value(answer).unwrap();
        let frame = answer["body"].as_str().map(|frame| serde_json::from_str::<Value>(frame).unwrap());
        assert_eq!((&answer["statusCode"], frame), (&json!(200), answered.then(|| told.clone())), "{statuses:?}");
        let pushes = aws.connections.take_pushes();
        assert_eq!(pushes.iter().map(|push| &push.frame).collect::<Vec<_>>(), vec![&told; pushed.into()]);
        assert_eq!(aws.connections.take_closed(), vec!["stolen="; closed.into()], "{statuses:?}");
    }
    assert_eq!(aws.dynamodb.take_calls().len(), 0);

    let answer = lambda::handle_message(&(), &connections, Fixture::named("fallback").lambda(), fallback::handle).await;
    assert!(serde_json::to_string(&answer).unwrap().contains("pong"));
    assert_eq!((aws.connections.take_pushes().len(), aws.connections.take_closed().len()), (0, 0));
}
