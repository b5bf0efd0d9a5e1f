//! The whole chat on this machine: the real functions as processes, driven by `template.yaml`, over real sockets.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Client, Local, Person, broken_frames, conversation, without_limits};
use tokio_tungstenite::tungstenite::Error;

fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn two_people_with_two_devices_each_see_the_same_conversation() {
    let chat = Local::start().await;
    let people = ["alice", "bob"].map(Person::named);
    // The second time there is a history already.
    for _ in 0..2 {
        conversation(chat.websocket(), &people).await;
    }
    chat.stop().await;
}

#[tokio::test]
async fn who_was_away_finds_everything_on_coming_back() {
    let chat = Local::start().await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    alice.send("bob", "1", json!({})).await;
    let seen = bob.next().await["value"]["seq"].as_u64().unwrap();
    bob.close().await;
    chat.until_connections("bob", 0).await;
    for content in ["2", "3"] {
        assert_eq!(alice.send("bob", content, json!({})).await["type"], "sent");
    }

    let bob = chat.connect("bob").await;
    let missed = bob.catch_up("alice", seen).await;
    assert_eq!(missed.iter().map(|message| &message["content"]).collect::<Vec<_>>(), ["2", "3"]);
    alice.send("bob", "4", json!({})).await;
    assert_eq!(bob.next().await["value"]["seq"], 4);
    chat.stop().await;
}

#[tokio::test]
async fn reading_on_one_device_clears_the_other_at_once_and_after_coming_back() {
    let chat = Local::start().await;
    let (alice, carol) = tokio::join!(chat.connect("alice"), chat.connect("carol"));
    for content in ["1", "2", "3"] {
        alice.send("bob", content, json!({})).await;
    }
    carol.send("bob", "Hi", json!({})).await;

    // Bob was never there, knows nobody, and finds both.
    let (phone, laptop) = tokio::join!(chat.connect("bob"), chat.connect("bob"));
    let unread = async |device: &Client| {
        let page = device.conversations(json!({})).await;
        let conversations = page["value"]["conversations"].as_array().unwrap().clone();
        let of = |it: &Value| (it["peerId"].as_str().unwrap().to_owned(), it["unread"].as_u64().unwrap());
        conversations.iter().map(of).collect::<Vec<_>>()
    };
    let found = vec![("carol".to_owned(), 1), ("alice".to_owned(), 3)];
    assert_eq!((unread(&phone).await, unread(&laptop).await), (found.clone(), found));

    let receipt = json!({ "conversationId": "dm:5:alice:bob", "userId": "bob", "seq": 3 });
    assert_eq!(phone.mark_read("alice", 3).await["value"], receipt);
    for device in [&laptop, &alice] {
        assert_eq!(device.next().await, json!({ "type": "read", "value": receipt }));
    }
    laptop.close().await;
    let laptop = chat.connect("bob").await;
    assert_eq!(unread(&laptop).await, [("carol".to_owned(), 1), ("alice".to_owned(), 0)]);
    let page = alice.conversations(json!({})).await;
    assert_eq!(page["value"]["conversations"][0]["peerReadSeq"], 3, "{page}");

    // The laptop comes late: nothing changes, and nobody is told again.
    assert_eq!(laptop.mark_read("alice", 2).await["value"], receipt);
    assert_eq!(laptop.mark_read("alice", 4).await["code"], "bad_request");
    // Who answers has read what was there, and says so by answering.
    assert_eq!(laptop.send("carol", "Hello", json!({})).await["value"]["seq"], 2);
    assert_eq!(phone.next().await["value"]["seq"], 2);
    assert_eq!(unread(&phone).await, [("carol".to_owned(), 0), ("alice".to_owned(), 0)]);
    for device in [&phone, &laptop, &alice] {
        assert_eq!(device.already_there().await, None);
    }
    chat.stop().await;
}

#[tokio::test]
async fn a_send_repeated_from_another_connection_is_stored_once() {
    let chat = Local::start().await;
    let (phone, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let again = json!({ "clientMessageId": "c1", "lastSeq": 0 });
    let first = phone.send("bob", "Once", again.clone()).await;
    phone.close().await;
    let phone = chat.connect("alice").await;
    let second = phone.send("bob", "Once", again).await;
    assert_eq!((&first["value"]["duplicate"], &second["value"]["duplicate"]), (&json!(false), &json!(true)));
    for field in ["messageId", "seq", "createdAt"] {
        assert_eq!(first["value"][field], second["value"][field]);
    }
    for _ in 0..2 {
        assert_eq!(bob.next().await["value"]["messageId"], first["value"]["messageId"]);
    }
    assert_eq!(bob.catch_up("alice", 0).await.len(), 1);
    chat.stop().await;
}

#[tokio::test]
async fn fifty_senders_at_once_share_one_order_without_a_hole() {
    let chat = Local::start_with(without_limits).await;
    let connections = (0..50).map(|number| chat.connect(if number % 2 == 0 { "alice" } else { "bob" }));
    let connections = join_all(connections).await;
    let sends = connections.iter().enumerate().map(async |(number, client)| {
        let recipient = if client.user == "alice" { "bob" } else { "alice" };
        let id = number.to_string();
        loop {
            let answer = client.send(recipient, &id, json!({ "clientMessageId": id, "lastSeq": 0 })).await;
            // What a client does when others were faster until the time was up: the same again. On a slow machine, some
            // may not even come to their turn in a function's time.
            if answer["code"] != "unavailable" && answer["message"] != "Internal server error" {
                return answer["value"]["seq"].as_u64().unwrap_or_else(|| panic!("{answer}"));
            }
        }
    });
    let acknowledged: BTreeSet<u64> = join_all(sends).await.into_iter().collect();
    assert_eq!(acknowledged, (1..=50).collect());
    let stored = connections[0].catch_up("bob", 0).await;
    assert_eq!(seqs(&stored), (1..=50).collect::<Vec<_>>());
    let contents: BTreeSet<_> = stored.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(contents.len(), 50);
    chat.stop().await;
}

#[tokio::test]
async fn a_walk_over_a_thousand_messages_meets_each_once() {
    let chat = Local::start_with(without_limits).await;
    let alice = chat.connect("alice").await;
    for seq in 0..1_000 {
        let sent = alice.send("bob", &format!("Message {seq}"), json!({ "lastSeq": seq })).await;
        assert_eq!(sent["value"]["seq"], seq + 1, "{sent}");
    }
    let (mut walked, mut key) = (Vec::new(), Value::Null);
    loop {
        let page = alice.messages("bob", json!({ "limit": 37, "startKey": key })).await;
        walked.extend(seqs(page["value"]["messages"].as_array().unwrap()));
        key = page["value"]["lastEvaluatedKey"].clone();
        if key.is_null() {
            break;
        }
    }
    assert_eq!(walked, (1..=1_000).rev().collect::<Vec<_>>());
    assert_eq!(seqs(&alice.catch_up("bob", 0).await), (1..=1_000).collect::<Vec<_>>());
    chat.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_gone_is_forgotten_and_harms_nobody() {
    let chat = Local::start().await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    chat.remember_connection("bob", "gone=").await;
    chat.until_connections("bob", 2).await;
    assert_eq!(alice.send("bob", "Hi", json!({})).await["type"], "sent");
    assert_eq!(bob.next().await["value"]["content"], "Hi");
    chat.until_connections("bob", 1).await;
    chat.stop().await;
}

#[tokio::test]
async fn bad_frames_are_refused_and_the_connection_stays() {
    let chat = Local::start().await;
    let alice = chat.connect("alice").await;
    // A frame of a client may not be longer than 32 KB; API Gateway closes the connection past it.
    for (frame, code) in broken_frames().into_iter().filter(|(frame, _)| frame.len() <= 32_768) {
        alice.say(&frame).await;
        let answer = alice.next().await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame:.100}");
    }
    for (frame, code) in [
        (json!({ "action": "dance" }), "unknown_action"),
        (json!({ "action": "sendMessage", "recipientId": "bob" }), "bad_request"),
        (json!({ "action": "sendMessage", "recipientId": "bob", "content": "x".repeat(16_385) }), "too_large"),
        (json!({ "action": "getMessages", "targetId": 7 }), "bad_request"),
        (json!({ "action": "getConversations", "limit": 0 }), "bad_request"),
        (json!({ "action": "markRead", "targetId": "bob", "seq": 1 }), "bad_request"),
    ] {
        assert_eq!(alice.ask(frame).await["code"], code);
    }
    assert_eq!(alice.ask(json!({ "action": "ping" })).await["type"], "pong");
    assert_eq!(alice.catch_up("bob", 0).await.len(), 0);
    chat.stop().await;
}

#[tokio::test]
async fn nobody_connects_without_saying_who_they_are() {
    let chat = Local::start().await;
    for (query, status) in [("", 401), ("?userId=", 403), ("?userId=a&userId=b", 403), ("?userId=%20a", 403)] {
        match tokio_tungstenite::connect_async(format!("{}{query}", chat.websocket())).await {
            Err(Error::Http(refusal)) => assert_eq!(refusal.status(), status, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let li = chat.connect("李#雷 & \"friends\"").await;
    let sent = li.send("مريم", "你好", json!({})).await;
    assert_eq!(sent["value"]["seq"], 1, "{sent}");
    chat.stop().await;
}

#[tokio::test]
async fn messages_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let chat = Local::start_in(data.path()).await;
    let alice = chat.connect("alice").await;
    alice.send("bob", "Remember me", json!({ "clientMessageId": "c1" })).await;
    chat.stop().await;

    let chat = Local::start_in(data.path()).await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let stored = bob.catch_up("alice", 0).await;
    assert_eq!((stored.len(), &stored[0]["content"]), (1, &json!("Remember me")));
    let again = alice.send("bob", "Remember me", json!({ "clientMessageId": "c1" })).await;
    assert_eq!(again["value"]["duplicate"], true);
    assert_eq!(bob.next().await["value"]["seq"], 1);
    chat.stop().await;
}

#[tokio::test]
async fn a_client_that_knows_only_the_first_frames_works_unchanged() {
    let chat = Local::start().await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    // No ref, no ids, no seq.
    alice.say(r#"{"action":"sendMessage","recipientId":"bob","content":"Hello, Bob!"}"#).await;
    let push = bob.next().await;
    assert_eq!((&push["value"]["senderId"], &push["value"]["content"]), (&json!("alice"), &json!("Hello, Bob!")));
    bob.say(r#"{"action":"getMessages","targetId":"alice","limit":10}"#).await;
    let page = bob.next().await;
    assert_eq!(page["type"], "messages");
    assert_eq!(page["value"]["messages"][0]["content"], "Hello, Bob!");
    chat.stop().await;
}
