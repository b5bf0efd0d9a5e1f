//! Conversations over real WebSockets, through the real functions as processes.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;
use support::{ChatClient, Local, Message, User, broken_frames, conversation, without_limits};
use tokio_tungstenite::tungstenite::Error;

fn seqs(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.seq).collect()
}

fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.content.as_str()).collect()
}

#[tokio::test]
async fn two_users_with_two_devices_each_see_the_same_conversation() {
    let chat = Local::start().await;
    let users = ["alice", "bob"].map(User::named);
    // The second run starts with existing messages.
    for _ in 0..2 {
        conversation(chat.websocket(), &users).await;
    }
    chat.stop().await;
}

#[tokio::test]
async fn a_client_that_was_away_finds_every_message_when_it_reconnects() {
    let chat = Local::start().await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    alice.send("bob", "1", json!({})).await.unwrap();
    let seen = bob.next_message().await.seq;
    bob.close().await;
    chat.wait_for_connections("bob", 0).await;
    for content in ["2", "3"] {
        alice.send("bob", content, json!({})).await.unwrap();
    }

    let bob = chat.connect("bob").await;
    let missed = bob.catch_up("alice", seen).await;
    assert_eq!(contents(&missed), ["2", "3"]);
    alice.send("bob", "4", json!({})).await.unwrap();
    assert_eq!(bob.next_message().await.seq, 4);
    chat.stop().await;
}

#[tokio::test]
async fn reading_on_one_device_clears_the_other_at_once_and_after_a_reconnect() {
    let chat = Local::start().await;
    let (alice, carol) = tokio::join!(chat.connect("alice"), chat.connect("carol"));
    for content in ["1", "2", "3"] {
        alice.send("bob", content, json!({})).await.unwrap();
    }
    carol.send("bob", "Hi", json!({})).await.unwrap();

    // Bob connects for the first time and finds both conversations.
    let (phone, laptop) = tokio::join!(chat.connect("bob"), chat.connect("bob"));
    let unread = async |device: &ChatClient| {
        let page = device.conversations(json!({})).await.unwrap();
        page.conversations.into_iter().map(|entry| (entry.peer_id, entry.unread)).collect::<Vec<_>>()
    };
    let found = vec![("carol".to_owned(), 1), ("alice".to_owned(), 3)];
    assert_eq!((unread(&phone).await, unread(&laptop).await), (found.clone(), found));

    let receipt = phone.mark_read("alice", 3).await.unwrap();
    let value = json!({ "conversationId": "dm:5:alice:bob", "userId": "bob", "peerId": "alice", "seq": 3 });
    assert_eq!(json!(receipt), value);
    for device in [&laptop, &alice] {
        assert_eq!(device.next_frame().await, json!({ "type": "read", "value": value }));
    }
    laptop.close().await;
    let laptop = chat.connect("bob").await;
    assert_eq!(unread(&laptop).await, [("carol".to_owned(), 1), ("alice".to_owned(), 0)]);
    assert_eq!(alice.conversations(json!({})).await.unwrap().conversations[0].peer_read_seq, Some(3));

    // An older read position changes nothing and is not pushed.
    assert_eq!(laptop.mark_read("alice", 2).await.unwrap(), receipt);
    assert_eq!(laptop.mark_read("alice", 4).await.unwrap_err().code, "bad_request");
    // A reply marks the conversation as read.
    assert_eq!(laptop.send("carol", "Hello", json!({})).await.unwrap().seq, 2);
    assert_eq!(phone.next_message().await.seq, 2);
    assert_eq!(unread(&phone).await, [("carol".to_owned(), 0), ("alice".to_owned(), 0)]);
    for device in [&phone, &laptop, &alice] {
        assert_eq!(device.buffered_frame().await, None);
    }
    chat.stop().await;
}

#[tokio::test]
async fn a_send_repeated_from_another_connection_is_stored_once() {
    let chat = Local::start().await;
    let (phone, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let again = json!({ "clientMessageId": "c1", "lastSeq": 0 });
    let first = phone.send("bob", "Once", again.clone()).await.unwrap();
    phone.close().await;
    let phone = chat.connect("alice").await;
    let second = phone.send("bob", "Once", again).await.unwrap();
    assert_eq!((first.duplicate, second.duplicate), (false, true));
    assert_eq!(first.identity(), second.identity());
    for _ in 0..2 {
        assert_eq!(bob.next_message().await.message_id, first.message_id);
    }
    assert_eq!(bob.catch_up("alice", 0).await.len(), 1);
    chat.stop().await;
}

#[tokio::test]
async fn fifty_concurrent_senders_get_one_order_without_a_gap() {
    let chat = Local::start_with(without_limits).await;
    let connections = (0..50).map(|number| chat.connect(if number % 2 == 0 { "alice" } else { "bob" }));
    let connections = join_all(connections).await;
    let sends = connections.iter().enumerate().map(async |(number, client)| {
        let recipient = if client.user == "alice" { "bob" } else { "alice" };
        let id = number.to_string();
        loop {
            match client.send(recipient, &id, json!({ "clientMessageId": id, "lastSeq": 0 })).await {
                Ok(sent) => return sent.seq,
                // Retry as a client does: other senders won every conditional put until the
                // deadline, or the function timed out on a slow machine.
                Err(error) if error.code == "unavailable" || error.message == "Internal server error" => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    let acknowledged: BTreeSet<u64> = join_all(sends).await.into_iter().collect();
    assert_eq!(acknowledged, (1..=50).collect());
    let stored = connections[0].catch_up("bob", 0).await;
    assert_eq!(seqs(&stored), (1..=50).collect::<Vec<_>>());
    assert_eq!(contents(&stored).into_iter().collect::<BTreeSet<_>>().len(), 50);
    chat.stop().await;
}

#[tokio::test]
async fn paging_through_a_thousand_messages_returns_each_once() {
    let chat = Local::start_with(without_limits).await;
    let alice = chat.connect("alice").await;
    for seq in 0..1_000 {
        let sent = alice.send("bob", &format!("Message {seq}"), json!({ "lastSeq": seq })).await;
        assert_eq!(sent.unwrap().seq, seq + 1);
    }
    let (mut listed, mut key) = (Vec::new(), None);
    loop {
        let page = alice.messages("bob", json!({ "limit": 37, "startKey": key })).await.unwrap();
        listed.extend(seqs(&page.messages));
        key = page.last_evaluated_key;
        if key.is_none() {
            break;
        }
    }
    assert_eq!(listed, (1..=1_000).rev().collect::<Vec<_>>());
    assert_eq!(seqs(&alice.catch_up("bob", 0).await), (1..=1_000).collect::<Vec<_>>());
    chat.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_gone_is_removed_and_delays_no_other() {
    let chat = Local::start().await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    chat.remember_connection("bob", "gone=").await;
    chat.wait_for_connections("bob", 2).await;
    alice.send("bob", "Hi", json!({})).await.unwrap();
    assert_eq!(bob.next_message().await.content, "Hi");
    chat.wait_for_connections("bob", 1).await;
    chat.stop().await;
}

#[tokio::test]
async fn bad_frames_are_refused_and_the_connection_stays_open() {
    let chat = Local::start().await;
    let alice = chat.connect("alice").await;
    // API Gateway closes the connection if a frame is longer.
    for (frame, code) in broken_frames().into_iter().filter(|(frame, _)| frame.len() <= 32_768) {
        alice.send_text(&frame);
        assert_eq!(alice.next_error().await.code, code, "{frame:.100}");
    }
    for (frame, code) in [
        (json!({ "action": "dance" }), "unknown_action"),
        (json!({ "action": "sendMessage", "recipientId": "bob" }), "bad_request"),
        (json!({ "action": "sendMessage", "recipientId": "bob", "content": "x".repeat(16_385) }), "too_large"),
        (json!({ "action": "getMessages", "targetId": 7 }), "bad_request"),
        (json!({ "action": "getConversations", "limit": 0 }), "bad_request"),
        (json!({ "action": "markRead", "targetId": "bob", "seq": 1 }), "bad_request"),
    ] {
        assert_eq!(alice.request(frame).await["code"], code);
    }
    assert_eq!(alice.request(json!({ "action": "ping" })).await["type"], "pong");
    assert_eq!(alice.catch_up("bob", 0).await.len(), 0);
    chat.stop().await;
}

#[tokio::test]
async fn a_client_without_a_valid_user_id_is_refused() {
    let chat = Local::start().await;
    for (query, status) in [("", 401), ("?userId=", 403), ("?userId=a&userId=b", 403), ("?userId=%20a", 403)] {
        match tokio_tungstenite::connect_async(format!("{}{query}", chat.websocket())).await {
            Err(Error::Http(refusal)) => assert_eq!(refusal.status(), status, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let li = chat.connect("李#雷 & \"friends\"").await;
    assert_eq!(li.send("مريم", "你好", json!({})).await.unwrap().seq, 1);
    chat.stop().await;
}

#[tokio::test]
async fn messages_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let chat = Local::start_in(data.path()).await;
    let alice = chat.connect("alice").await;
    alice.send("bob", "Remember me", json!({ "clientMessageId": "c1" })).await.unwrap();
    chat.stop().await;

    let chat = Local::start_in(data.path()).await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let stored = bob.catch_up("alice", 0).await;
    assert_eq!(contents(&stored), ["Remember me"]);
    let again = alice.send("bob", "Remember me", json!({ "clientMessageId": "c1" })).await;
    assert!(again.unwrap().duplicate);
    assert_eq!(bob.next_message().await.seq, 1);
    chat.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_no_optional_field_works() {
    let chat = Local::start().await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    alice.send_text(r#"{"action":"sendMessage","recipientId":"bob","content":"Hello, Bob!"}"#);
    let push = bob.next_message().await;
    assert_eq!((push.sender_id.as_str(), push.content.as_str()), ("alice", "Hello, Bob!"));
    bob.send_text(r#"{"action":"getMessages","targetId":"alice","limit":10}"#);
    let page = bob.next_frame().await;
    assert_eq!(page["type"], "messages");
    assert_eq!(page["value"]["messages"][0]["content"], "Hello, Bob!");
    chat.stop().await;
}
