//! Who finds which conversations, and what is unread in them.

use serde_json::json;
use support::{Fixture, invoke};

use crate::people::{NOW, People, peers, unread};

#[tokio::test]
async fn who_was_never_there_finds_every_conversation_begun_with_them() {
    let people = People::meet().await;
    people.say("alice", "bob", "Hello, Bob!", NOW).await;
    let last = people.say("alice", "bob", "Are you there?", NOW + 1).await;
    people.say("carol", "bob", "Hi", NOW + 2).await;

    let page = invoke(&people.inbox, inbox::handle, Fixture::named("inbox").user("bob")).await;

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
        "readSeq": 0,
        "peerReadSeq": 2,
        "unread": 2,
    });
    assert_eq!(page["value"]["conversations"][1], with_alice);
    let of_alice = people.page("alice", json!({})).await;
    let with_bob = json!({
        "conversationId": "dm:5:alice:bob",
        "peerId": "bob",
        "lastMessage": message,
        "readSeq": 2,
        "peerReadSeq": 0,
        "unread": 0,
    });
    assert_eq!(of_alice["value"]["conversations"], json!([with_bob]));
    assert_eq!(people.page("nobody", json!({})).await["value"], json!({ "conversations": [] }));
}

#[tokio::test]
async fn ones_own_messages_and_what_one_marked_are_read() {
    let people = People::meet().await;
    for content in ["1", "2", "3"] {
        people.say("alice", "bob", content, NOW).await;
    }
    assert_eq!(unread(&people.page("bob", json!({})).await), [("alice", 3)]);
    people.mark("bob", "alice", 2).await;
    assert_eq!(unread(&people.page("bob", json!({})).await), [("alice", 1)]);
    // Who answers has read what was there.
    people.say("bob", "alice", "4", NOW).await;
    assert_eq!(unread(&people.page("bob", json!({})).await), [("alice", 0)]);
    assert_eq!(unread(&people.page("alice", json!({})).await), [("bob", 1)]);
    people.say("alice", "bob", "5", NOW).await;
    people.say("alice", "bob", "6", NOW).await;
    let page = people.page("bob", json!({})).await;
    let conversation = &page["value"]["conversations"][0];
    assert_eq!((&conversation["readSeq"], &conversation["peerReadSeq"]), (&json!(4), &json!(6)));
    assert_eq!(conversation["unread"], 2);

    people.say("bob", "bob", "A note", NOW + 1).await;
    assert_eq!(unread(&people.page("bob", json!({})).await), [("bob", 0), ("alice", 2)]);
}

#[tokio::test]
async fn nobody_finds_conversations_of_others() {
    let people = People::meet().await;
    people.say("alice", "bob", "secret", NOW).await;
    people.say("alice", "mallory", "for you", NOW).await;
    let of_alice = people.page("alice", json!({ "limit": 1 })).await["value"]["lastEvaluatedKey"].clone();
    assert!(of_alice.is_object());
    for frame in [
        json!({}),
        json!({ "userId": "alice", "targetId": "alice", "conversationId": "dm:5:alice:bob" }),
        json!({ "startKey": of_alice }),
        json!({ "startKey": { "listed": u32::MAX, "peerId": "alice" } }),
        json!({ "startKey": { "listed": u32::MAX, "peerId": "alice", "userId": "alice", "entry": "at:9:bob" } }),
        json!({ "startKey": { "listed": 0, "peerId": "bob" } }),
    ] {
        let page = people.page("mallory", frame.clone()).await;
        assert_eq!(page["type"], "conversations", "{frame}");
        assert!(!page.to_string().contains("secret") && !page.to_string().contains("bob"), "{page}");
    }
    // Names that look like the inside of an id, or of an entry.
    for name in ["dm:5:alice:bob", "5:alice:bob", "at:", "read:bob", "at:0000498204:bob"] {
        let page = people.page(name, json!({})).await;
        assert_eq!(page["value"], json!({ "conversations": [] }), "{name}");
        people.say(name, "alice", "Hi", NOW).await;
        let page = people.page(name, json!({})).await;
        assert_eq!(peers(&page), ["alice"], "{name}");
        assert_eq!(page["value"]["conversations"][0]["lastMessage"]["content"], "Hi");
    }
}
