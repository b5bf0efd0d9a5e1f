//! Edits, deletions and reactions over real WebSockets, through the real functions as processes.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{ChatClient, Local};
use ws_local::event::{Event, EventSink};

/// Sends a request that must be accepted, and returns the value of its reply.
async fn accepted(client: &ChatClient, frame: Value) -> Value {
    let mut reply = client.request(frame.clone()).await;
    assert_ne!(reply["type"], "error", "{frame} {reply}");
    reply["value"].take()
}

/// All entries after `seq`, and the messages before it that have changed since.
async fn missed(client: &ChatClient, peer: &str, seq: u64) -> (Vec<Value>, Vec<Value>) {
    let (mut entries, mut changed, mut after) = (Vec::new(), Vec::new(), seq);
    loop {
        let frame = json!({ "action": "getMessages", "targetId": peer, "after": after, "limit": 2 });
        let page = accepted(client, frame).await;
        entries.extend(page["messages"].as_array().unwrap().clone());
        changed.extend(page["changed"].as_array().into_iter().flatten().cloned());
        match page.get("lastEvaluatedKey") {
            Some(key) => after = key["seq"].as_u64().unwrap(),
            None => return (entries, changed),
        }
    }
}

#[tokio::test]
async fn a_client_that_was_away_learns_of_every_change() {
    let chat = Local::start().await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    for content in ["1", "2", "3"] {
        alice.send("bob", content, json!({})).await.unwrap();
        bob.next_frame().await;
    }
    bob.close().await;
    chat.wait_for_connections("bob", 0).await;
    for frame in [
        json!({ "action": "editMessage", "targetId": "bob", "seq": 1, "content": "One" }),
        json!({ "action": "react", "targetId": "bob", "seq": 2, "reaction": "👍", "on": true }),
        json!({ "action": "sendMessage", "recipientId": "bob", "content": "5", "replyTo": 1 }),
        json!({ "action": "editMessage", "targetId": "bob", "seq": 6, "content": "Five" }),
        json!({ "action": "deleteMessage", "targetId": "bob", "seq": 3 }),
    ] {
        accepted(&alice, frame).await;
    }

    let bob = chat.connect("bob").await;
    let (entries, changed) = missed(&bob, "alice", 3).await;
    let kinds: Vec<_> = entries.iter().map(|entry| (&entry["seq"], entry["kind"] == "change")).collect();
    assert_eq!(kinds, [(&json!(4), true), (&json!(5), true), (&json!(6), false), (&json!(7), true), (&json!(8), true)]);
    let (all, _) = missed(&bob, "alice", 0).await;
    for message in &changed {
        assert_eq!(message, &all[message["seq"].as_u64().unwrap() as usize - 1]);
    }
    let targets: Vec<_> = changed.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
    assert_eq!(targets, [1, 2, 3]);
    assert_eq!((&entries[2]["content"], &entries[2]["replyTo"]), (&json!("Five"), &json!(1)));

    // The next change arrives as a push.
    accepted(&alice, json!({ "action": "react", "targetId": "bob", "seq": 6, "reaction": "👀", "on": true })).await;
    let push = bob.next_frame().await;
    assert_eq!((&push["value"]["kind"], &push["value"]["target"]), (&json!("change"), &json!(6)));
    assert_eq!(push["changed"]["reactions"], json!({ "👀": ["alice"] }));
    chat.stop().await;
}

#[tokio::test]
async fn a_deleted_text_is_in_no_table_no_log_and_no_frame() {
    let printed = Arc::new(Mutex::new(String::new()));
    let lines = printed.clone();
    let chat = Local::start_with(|options| {
        options.events = EventSink::new(move |event| {
            if let Event::Printed { line, .. } = event {
                lines.lock().unwrap().push_str(&line);
            }
        });
    })
    .await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    alice.send("bob", "Sekrit 1", json!({ "clientMessageId": "m" })).await.unwrap();
    bob.next_frame().await;
    accepted(&bob, json!({ "action": "react", "targetId": "alice", "seq": 1, "reaction": "👍", "on": true })).await;
    accepted(&alice, json!({ "action": "editMessage", "targetId": "bob", "seq": 1, "content": "Sekrit 2" })).await;
    assert!(chat.all_items().await.contains("Sekrit 2"), "the search finds what is there");
    accepted(&alice, json!({ "action": "deleteMessage", "targetId": "bob", "seq": 1 })).await;

    assert!(!chat.all_items().await.contains("Sekrit"));
    let frames = [
        json!({ "action": "getMessages", "targetId": "alice" }),
        json!({ "action": "getMessages", "targetId": "alice", "after": 0 }),
        json!({ "action": "getMessages", "targetId": "alice", "after": 1 }),
        json!({ "action": "getConversations" }),
    ];
    for frame in frames {
        assert!(!accepted(&bob, frame).await.to_string().contains("Sekrit"));
    }
    // The repeat of the message that was deleted.
    let repeat = json!({
        "action": "sendMessage", "recipientId": "bob", "content": "Sekrit 1", "clientMessageId": "m", "lastSeq": 0,
    });
    assert_eq!(accepted(&alice, repeat).await["duplicate"], true);
    let mut frames = Vec::new();
    while let Some(frame) = bob.buffered_frame().await {
        frames.push(frame);
    }
    let last = frames.last().unwrap();
    assert_eq!((&last["value"]["seq"], &last["value"]["content"]), (&json!(1), &json!("")), "{frames:?}");
    assert!(!chat.all_items().await.contains("Sekrit"));
    chat.stop().await;
    assert!(!printed.lock().unwrap().contains("Sekrit"));
}
