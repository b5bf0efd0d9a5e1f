//! The conversations that a user finds in the inbox, and their unread counts.

use serde_json::json;
use support::{Fixture, invoke};

use crate::chat::{Chat, NOW, peers, unread};

#[tokio::test]
async fn a_user_who_never_connected_finds_every_conversation_with_them() {
    let chat = Chat::start().await;
    chat.send("alice", "bob", "Hello, Bob!", NOW).await;
    let last = chat.send("alice", "bob", "Are you there?", NOW + 1).await;
    chat.send("carol", "bob", "Hi", NOW + 2).await;

    let page = invoke(&chat.inbox, inbox::handle, Fixture::named("inbox").user("bob")).await;

    assert_eq!((&page["type"], &page["ref"]), (&json!("conversations"), &json!("4")));
    assert_eq!(page["value"].get("lastEvaluatedKey"), None);
    assert_eq!(peers(&page), ["carol", "alice"]);
    let message = json!({
        "messageId": last["value"]["messageId"],
        "conversationId": "dm:5:alice:bob",
        "seq": 2,
        "senderId": "alice",
        "recipientId": "bob",
        "content": "Are you there?",
        "createdAt": NOW + 1,
    });
    let with_alice = json!({
        "conversationId": "dm:5:alice:bob",
        "peerId": "alice",
        "lastMessage": message,
        "seq": 2,
        "readSeq": 0,
        "peerReadSeq": 2,
        "unread": 2,
    });
    assert_eq!(page["value"]["conversations"][1], with_alice);
    let of_alice = chat.page("alice", json!({})).await;
    let with_bob = json!({
        "conversationId": "dm:5:alice:bob",
        "peerId": "bob",
        "lastMessage": message,
        "seq": 2,
        "readSeq": 2,
        "peerReadSeq": 0,
        "unread": 0,
    });
    assert_eq!(of_alice["value"]["conversations"], json!([with_bob]));
    assert_eq!(chat.page("nobody", json!({})).await["value"], json!({ "conversations": [] }));
}

#[tokio::test]
async fn a_users_own_messages_and_those_they_marked_count_as_read() {
    let chat = Chat::start().await;
    for content in ["1", "2", "3"] {
        chat.send("alice", "bob", content, NOW).await;
    }
    assert_eq!(unread(&chat.page("bob", json!({})).await), [("alice", 3)]);
    chat.mark_read("bob", "alice", 2).await;
    assert_eq!(unread(&chat.page("bob", json!({})).await), [("alice", 1)]);
    // A user who answers has read what came before.
    chat.send("bob", "alice", "4", NOW).await;
    assert_eq!(unread(&chat.page("bob", json!({})).await), [("alice", 0)]);
    assert_eq!(unread(&chat.page("alice", json!({})).await), [("bob", 1)]);
    chat.send("alice", "bob", "5", NOW).await;
    chat.send("alice", "bob", "6", NOW).await;
    let page = chat.page("bob", json!({})).await;
    let conversation = &page["value"]["conversations"][0];
    assert_eq!((&conversation["readSeq"], &conversation["peerReadSeq"]), (&json!(4), &json!(6)));
    assert_eq!(conversation["unread"], 2);

    chat.send("bob", "bob", "A note", NOW + 1).await;
    assert_eq!(unread(&chat.page("bob", json!({})).await), [("bob", 0), ("alice", 2)]);
}

#[tokio::test]
async fn no_user_finds_conversations_of_others() {
    let chat = Chat::start().await;
    chat.send("alice", "bob", "secret", NOW).await;
    chat.send("alice", "mallory", "for you", NOW).await;
    let of_alice = chat.page("alice", json!({ "limit": 1 })).await["value"]["lastEvaluatedKey"].clone();
    assert!(of_alice.is_object());
    for frame in [
        json!({}),
        json!({ "userId": "alice", "targetId": "alice", "conversationId": "dm:5:alice:bob" }),
        json!({ "startKey": of_alice }),
        json!({ "startKey": { "listed": u32::MAX, "peerId": "alice" } }),
        json!({ "startKey": { "listed": u32::MAX, "peerId": "alice", "userId": "alice", "entry": "at:9:bob" } }),
        json!({ "startKey": { "listed": 0, "peerId": "bob" } }),
    ] {
        let page = chat.page("mallory", frame.clone()).await;
        assert_eq!(page["type"], "conversations", "{frame}");
        assert!(!page.to_string().contains("secret") && !page.to_string().contains("bob"), "{page}");
    }
    // User ids that look like a part of a conversation id or of a sort key.
    for name in ["dm:5:alice:bob", "5:alice:bob", "at:", "read:bob", "at:0000498204:bob"] {
        let page = chat.page(name, json!({})).await;
        assert_eq!(page["value"], json!({ "conversations": [] }), "{name}");
        chat.send(name, "alice", "Hi", NOW).await;
        let page = chat.page(name, json!({})).await;
        assert_eq!(peers(&page), ["alice"], "{name}");
        assert_eq!(page["value"]["conversations"][0]["lastMessage"]["content"], "Hi");
    }
}
