//! Changes that are refused. Nothing is stored then.

use serde_json::{Value, json};

use crate::{Chat, NOW, delete, edit, react, with};

/// Checks that the request is refused with this code and a message that contains `words`, and that nothing changed.
async fn check(chat: &Chat, user: &str, frame: Value, at: i64, (code, words): (&str, &str)) {
    let before = chat.aws.rows("MessagesTable");
    chat.aws.connections.take_pushes();
    let reply = chat.request_at(user, &frame, at).await;
    assert_eq!((&reply["type"], &reply["code"]), (&json!("error"), &json!(code)), "{frame:.200} {reply}");
    let message = reply["message"].as_str().unwrap();
    assert!(message.contains(words) && message.len() < 400, "{message}");
    assert_eq!(chat.aws.rows("MessagesTable"), before, "{frame:.200}");
    assert!(chat.aws.connections.take_pushes().is_empty());
}

#[tokio::test]
async fn only_the_sender_edits_and_deletes() {
    let chat = Chat::start().await;
    chat.send("alice", "Mine").await;
    check(&chat, "bob", edit("bob", 1, "Yours"), NOW, ("forbidden", "only the sender")).await;
    check(&chat, "bob", delete("bob", 1), NOW, ("forbidden", "only the sender")).await;
    // In a conversation that the caller has, there is no such message.
    for frame in [edit("mallory", 1, "x"), delete("mallory", 1), react("mallory", 1, "x", true)] {
        check(&chat, "mallory", frame, NOW, ("bad_request", "no such message")).await;
    }
}

#[tokio::test]
async fn what_is_deleted_or_not_a_message_can_not_be_changed() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    chat.accepted("alice", delete("alice", 1)).await;
    for frame in
        [edit("alice", 1, "x"), delete("alice", 1), react("alice", 1, "👍", true), react("alice", 1, "👍", false)]
    {
        check(&chat, "alice", frame, NOW, ("forbidden", "deleted")).await;
    }
    for frame in [edit("alice", 2, "x"), delete("alice", 2), react("alice", 2, "👍", true)] {
        check(&chat, "alice", frame, NOW, ("bad_request", "is not a message")).await;
    }
    for seq in [3, 4, 9_007_199_254_740_991] {
        check(&chat, "alice", delete("alice", seq), NOW, ("bad_request", "no such message")).await;
    }
    check(&chat, "alice", delete("alice", 0), NOW, ("bad_request", "the first message is 1")).await;
    check(&chat, "carol", react("carol", 1, "👍", true), NOW, ("bad_request", "no such message")).await;
}

#[tokio::test]
async fn the_edit_window_ends_and_can_be_closed() {
    let day = 24 * 60 * 60_000;
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    check(&chat, "alice", edit("alice", 1, "x"), NOW + day + 1, ("forbidden", "too old")).await;
    assert_eq!(chat.request_at("alice", &edit("alice", 1, "x"), NOW + day).await["type"], "sent");
    for frame in [react("alice", 1, "👍", true), delete("alice", 1)] {
        assert_eq!(chat.request_at("alice", &frame, NOW + 400 * day).await["type"], "sent", "has no window");
    }

    let closed = Chat::start_with(&[("EDIT_WINDOW_MINUTES", "0")]).await;
    closed.send("alice", "1").await;
    check(&closed, "alice", edit("alice", 1, "x"), NOW, ("forbidden", "can't be edited")).await;
    closed.accepted("alice", delete("alice", 1)).await;
}

#[tokio::test]
async fn a_repeat_of_a_stored_change_is_not_refused() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    let edited = with(edit("alice", 1, "x"), json!({ "clientMessageId": "e", "lastSeq": 1 }));
    let deleted = with(delete("alice", 1), json!({ "clientMessageId": "d", "lastSeq": 1 }));
    for frame in [&edited, &deleted, &edited, &deleted] {
        let reply = chat.request_at("alice", frame, NOW + 10 * 24 * 60 * 60_000).await;
        let expected = if std::ptr::eq(frame, &raw const edited) { "forbidden" } else { "" };
        assert_eq!(reply["code"].as_str().unwrap_or_default(), expected, "{reply}");
    }
}

#[tokio::test]
async fn invalid_frames_are_refused() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    let known = json!({ "lastSeq": 1, "position": "x" });
    let long = "x".repeat(65);
    for (frame, words) in [
        (with(delete("alice", 1), json!({ "seq": null })), "seq"),
        (with(delete("alice", 1), json!({ "seq": "1" })), "seq"),
        (with(delete("alice", 1), json!({ "seq": 1.5 })), "seq"),
        (with(delete("alice", 1), json!({ "targetId": "" })), "targetId"),
        (with(delete("alice", 1), known), "not both"),
        (with(delete("alice", 1), json!({ "lastSeq": 2 })), "no such entry"),
        (with(delete("alice", 1), json!({ "clientMessageId": "" })), "clientMessageId"),
        (edit("alice", 1, ""), "content is empty"),
        (edit("alice", 1, " \n"), "content is empty"),
        (with(edit("alice", 1, ""), json!({ "content": null })), "content"),
        (react("alice", 1, "", true), "1 to 64 bytes"),
        (react("alice", 1, " \u{3000}", true), "1 to 64 bytes"),
        (react("alice", 1, &long, true), "1 to 64 bytes"),
        (with(react("alice", 1, "👍", true), json!({ "on": "yes" })), "on"),
        (with(react("alice", 1, "👍", true), json!({ "on": null })), "on"),
    ] {
        check(&chat, "alice", frame, NOW, ("bad_request", words)).await;
    }
    for content in ["x".repeat(16_385), "\u{1}".repeat(10_000)] {
        check(&chat, "alice", edit("alice", 1, &content), NOW, ("too_large", "")).await;
    }
    check(&chat, "alice", json!({ "action": "dance", "targetId": "bob", "seq": 1 }), NOW, ("unknown_action", "")).await;
}

#[tokio::test]
async fn replies_to_nothing_and_wrong_mentions_are_refused() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    let send = |more: Value| with(json!({ "action": "sendMessage", "recipientId": "bob", "content": "x" }), more);
    let many: Vec<_> = (0..21).map(|number| format!("u{number}")).collect();
    for (more, words) in [
        (json!({ "replyTo": 2 }), "replyTo"),
        (json!({ "replyTo": 0 }), "replyTo"),
        (json!({ "replyTo": -1 }), "replyTo"),
        (json!({ "replyTo": 2, "lastSeq": 1, "clientMessageId": "c" }), "replyTo"),
        (json!({ "mentions": ["bob", "bob"] }), "twice"),
        (json!({ "mentions": many }), "at most 20"),
        (json!({ "mentions": [""] }), "mentions"),
        (json!({ "mentions": "bob" }), "mentions"),
    ] {
        check(&chat, "alice", send(more), NOW, ("bad_request", words)).await;
    }
}

#[tokio::test]
async fn reactions_have_limits() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    for number in 0..20 {
        chat.accepted("bob", react("bob", 1, &number.to_string(), true)).await;
    }
    check(&chat, "bob", react("bob", 1, "20", true), NOW, ("bad_request", "at most 20 different")).await;
    chat.accepted("alice", react("alice", 1, "19", true)).await;
    chat.accepted("bob", react("bob", 1, "0", false)).await;
    chat.accepted("bob", react("bob", 1, "20", true)).await;

    // Only 4,000 bytes of reactions fit, and fewer beside a very long text.
    let long = "\u{1}".repeat(3_900);
    let frame = json!({ "action": "sendMessage", "recipientId": "bob", "content": long });
    chat.accepted("alice", frame).await;
    let seq = chat.aws.rows("MessagesTable").len() as u64;
    let mut refused = None;
    for number in 0..20 {
        let reaction = format!("{}{number:02}", "\u{1}".repeat(60));
        let reply = chat.request("bob", &react("bob", seq, &reaction, true)).await;
        if reply["type"] == "error" {
            refused = Some((number, reply["code"].clone()));
            break;
        }
    }
    let (number, code) = refused.expect("the limit is reached");
    assert!((5..12).contains(&number), "{number}");
    assert_eq!(code, "too_large");
}

#[tokio::test]
async fn changes_use_the_rate_limit_of_messages() {
    let chat = Chat::start_with(&[("MESSAGE_RATE", "1"), ("MESSAGE_BURST", "3")]).await;
    chat.send("alice", "1").await;
    chat.accepted("alice", edit("alice", 1, "2")).await;
    chat.accepted("alice", react("alice", 1, "👍", true)).await;
    check(&chat, "alice", delete("alice", 1), NOW, ("rate_limited", "more than 1")).await;
}
