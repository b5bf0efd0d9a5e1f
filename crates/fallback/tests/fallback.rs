//! What no other route takes.

use serde_json::{Value, json};
use testkit::{Event, ask, broken_frames};

async fn say(frame: &str) -> Value {
    ask(&(), fallback::handle, Event::of("fallback").saying_text(frame)).await
}

#[tokio::test]
async fn a_ping_is_answered_with_its_ref() {
    assert_eq!(ask(&(), fallback::handle, Event::of("fallback")).await, json!({ "type": "pong", "ref": "3" }));
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
    let event = Event::of("fallback").without("/requestContext/authorizer");
    assert_eq!(ask(&(), fallback::handle, event).await["code"], "unauthenticated");
}

#[tokio::test]
async fn an_expired_token_ends_what_a_connection_may_do() {
    const RECEIVED_AT: &str = "/requestContext/requestTimeEpoch";
    let until = |expires_at: Value, now: i64| {
        Event::of("fallback").set("/requestContext/authorizer/expiresAt", expires_at).set(RECEIVED_AT, json!(now))
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
        let answer = ask(&(), fallback::handle, until(expires_at.clone(), now)).await;
        let said = answer.get("code").unwrap_or(&answer["type"]);
        assert_eq!((said, &answer["ref"]), (&json!(reply), &json!("3")), "{expires_at} at {now}");
    }
    // Nothing of it is looked at, and no route is run.
    let event = until(json!("1"), 1_793_540_000_000).saying_text("nonsense");
    let answer = ask(&(), async |_: &(), _| panic!("a route was run"), event).await;
    assert_eq!(answer["code"], "token_expired");
}
