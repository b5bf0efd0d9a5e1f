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
