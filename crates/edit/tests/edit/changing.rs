//! Changes that succeed: the stored items, the replies, the pushes, and the replies of other routes afterwards.

use serde_json::json;

use crate::{Chat, NOW, delete, edit, peer_of, react, with};

#[tokio::test]
async fn an_edit_replaces_the_content_and_announces_it_with_an_entry_without_text() {
    let chat = Chat::start().await;
    let seq = chat.send("alice", "Hello, Bob").await;
    let original = chat.message(seq).await;
    chat.aws.connections.take_pushes();
    let frame = with(edit("alice", seq, "Hello"), json!({ "clientMessageId": "e1", "ref": "7" }));
    let reply = chat.request_at("alice", &frame, NOW + 5).await;
    assert_eq!((&reply["type"], &reply["ref"]), (&json!("sent"), &json!("7")));
    let sent = &reply["value"];
    let mut changed = original.clone();
    (changed["content"], changed["version"], changed["editedAt"]) = (json!("Hello"), json!(2), json!(NOW + 5));
    assert_eq!((&sent["seq"], &sent["duplicate"], &sent["changed"]), (&json!(2), &json!(false), &changed));

    let entry = json!({
        "messageId": sent["messageId"], "conversationId": "dm:5:alice:bob", "seq": 2, "kind": "change", "target": 1,
        "senderId": "alice", "recipientId": "bob", "createdAt": NOW + 5, "clientMessageId": "e1",
    });
    let push = json!({ "type": "message", "value": entry, "changed": changed, "position": sent["position"] });
    let pushes = chat.aws.connections.take_pushes();
    let mut receivers: Vec<_> = pushes.iter().map(|push| push.connection_id.as_str()).collect();
    receivers.sort_unstable();
    assert_eq!(receivers, ["alice-2", "bob", "bob-2"]);
    assert!(pushes.iter().all(|one| one.frame == push), "{pushes:?}");
    assert_eq!(chat.page("bob", json!({})).await["messages"], json!([entry, changed]));
    assert!(!chat.row(2).to_string().contains("Hello"), "the entry is a pointer");
}

#[tokio::test]
async fn after_a_deletion_the_text_is_in_no_table() {
    let chat = Chat::start().await;
    let seq = chat.send("alice", "Sekrit 1").await;
    chat.accepted("bob", react("bob", seq, "👍", true)).await;
    chat.accepted("alice", edit("alice", seq, "Sekrit 2")).await;
    let quote = json!({ "action": "sendMessage", "recipientId": "alice", "content": "What?", "replyTo": seq });
    chat.accepted("bob", quote).await;
    let deleted = chat.accepted("alice", delete("alice", seq)).await["changed"].clone();
    assert_eq!(
        deleted,
        json!({
            "messageId": deleted["messageId"], "conversationId": "dm:5:alice:bob", "seq": 1, "senderId": "alice",
            "recipientId": "bob", "content": "", "createdAt": NOW, "version": 5,
            "deleted": { "at": NOW, "by": "alice" },
        })
    );
    for table in ["MessagesTable", "ConversationsTable", "ClientsTable"] {
        assert!(!json!(chat.aws.rows(table)).to_string().contains("Sekrit"), "{table}");
    }
    assert_eq!(chat.message(seq).await, deleted);
}

#[tokio::test]
async fn reactions_keep_the_order_of_the_users_and_go_without_a_trace() {
    let chat = Chat::start().await;
    let seq = chat.send("alice", "Lunch?").await;
    for (user, reaction, on) in
        [("bob", "👍", true), ("alice", "👍", true), ("alice", "any text", true), ("bob", "👍", true)]
    {
        chat.accepted(user, react(user, seq, reaction, on)).await;
    }
    assert_eq!(chat.message(seq).await["reactions"], json!({ "any text": ["alice"], "👍": ["bob", "alice"] }));
    for (user, reaction) in [("alice", "any text"), ("bob", "👍"), ("bob", "never there")] {
        chat.accepted(user, react(user, seq, reaction, false)).await;
    }
    assert_eq!(chat.message(seq).await["reactions"], json!({ "👍": ["alice"] }));
    chat.accepted("alice", react("alice", seq, "👍", false)).await;
    let message = chat.message(seq).await;
    assert_eq!((message.get("reactions"), &message["version"]), (None, &json!(9)));
}

#[tokio::test]
async fn a_repeat_stores_nothing_and_shows_the_message_as_it_is_now() {
    let chat = Chat::start().await;
    let seq = chat.send("alice", "One").await;
    for known in [json!({}), json!({ "lastSeq": 1 })] {
        let first = with(edit("alice", seq, "Two"), with(json!({ "clientMessageId": known.to_string() }), known));
        let sent = chat.accepted("alice", first.clone()).await;
        chat.accepted("bob", react("bob", seq, "👀", true)).await;
        let before = chat.aws.rows("MessagesTable").len();
        chat.aws.connections.take_pushes();
        let repeat = chat.accepted("alice", first).await;
        for field in ["messageId", "seq", "createdAt"] {
            assert_eq!(repeat[field], sent[field]);
        }
        assert_eq!((&repeat["duplicate"], &repeat["changed"]), (&json!(true), &chat.message(seq).await));
        assert_eq!(chat.aws.rows("MessagesTable").len(), before);
        let pushes = chat.aws.connections.take_pushes();
        assert!(pushes.len() == 3 && pushes.iter().all(|push| push.frame["changed"] == repeat["changed"]));
    }
}

#[tokio::test]
async fn a_change_follows_a_position_and_messages_follow_that_of_a_change() {
    let chat = Chat::start().await;
    let first = chat.accepted("alice", json!({ "action": "sendMessage", "recipientId": "bob", "content": "1" })).await;
    let known = json!({ "position": first["position"], "clientMessageId": "c" });
    let changed = chat.accepted("bob", with(react("bob", 1, "👍", true), known)).await;
    let send =
        json!({ "action": "sendMessage", "recipientId": "bob", "content": "2", "position": changed["position"] });
    assert_eq!(chat.accepted("alice", send).await["seq"], 3);
    // The state is as if both had looked.
    let state = &chat.row(3)["tally"]["M"];
    let number = |name: &str| state[name]["N"].as_str();
    let expected = [Some("2"), Some("1"), Some("1"), None];
    assert_eq!(["recipientSeq", "changes", "theirChanges", "trailing"].map(number), expected);
}

#[tokio::test]
async fn a_client_with_an_old_position_may_refer_to_entries_after_it() {
    let chat = Chat::start().await;
    let send = |more| with(json!({ "action": "sendMessage", "recipientId": "bob", "content": "x" }), more);
    let position = chat.accepted("alice", send(json!({}))).await["position"].clone();
    let old = json!({ "position": position });
    // The slot after the position is that of the target.
    chat.send("bob", "2").await;
    assert_eq!(chat.accepted("bob", with(edit("bob", 2, "Two"), old.clone())).await["seq"], 3);
    assert_eq!(chat.accepted("alice", with(react("alice", 2, "👍", true), old.clone())).await["seq"], 4);
    let seq = chat.send("bob", "5").await;
    assert_eq!(chat.accepted("alice", with(react("alice", seq, "👍", true), old.clone())).await["seq"], 6);
    assert_eq!(chat.accepted("alice", send(with(json!({ "replyTo": 6 }), old))).await["seq"], 7);
}

#[tokio::test]
async fn a_repeat_of_a_deletion_after_a_position_is_found() {
    let chat = Chat::start().await;
    let send = json!({ "action": "sendMessage", "recipientId": "bob", "content": "x" });
    let position = chat.accepted("alice", send).await["position"].clone();
    for between in 0..2 {
        for _ in 0..between {
            chat.send("bob", "between").await;
        }
        let deletion = with(delete("alice", 1), json!({ "position": position, "clientMessageId": "d" }));
        let sent = chat.accepted("alice", deletion).await;
        assert_eq!((&sent["seq"], &sent["duplicate"]), (&json!(2), &json!(between > 0)), "{sent}");
    }
}

#[tokio::test]
async fn the_inbox_shows_the_newest_message_and_counts_messages_only() {
    let chat = Chat::start().await;
    for content in ["1", "2", "3"] {
        chat.send("alice", content).await;
    }
    let row = async |user: &str| {
        chat.accepted(user, json!({ "action": "getConversations" })).await["conversations"][0].clone()
    };
    let numbers = async |user: &str| {
        let row = row(user).await;
        ["seq", "readSeq", "peerReadSeq", "unread"].map(|name| row[name].as_u64().unwrap())
    };
    chat.accepted("bob", json!({ "action": "markRead", "targetId": "alice", "seq": 2 })).await;
    assert_eq!(numbers("bob").await, [3, 2, 3, 1]);
    chat.accepted("alice", edit("alice", 1, "One")).await;
    chat.accepted("alice", edit("alice", 3, "Three")).await;
    assert_eq!(numbers("bob").await, [5, 2, 5, 1], "a change is not unread");
    let last = row("bob").await["lastMessage"].clone();
    assert_eq!((&last["seq"], &last["content"], &last["version"]), (&json!(3), &json!("Three"), &json!(5)));

    for (seq, unread) in [(4, 0), (5, 0)] {
        chat.accepted("bob", json!({ "action": "markRead", "targetId": "alice", "seq": seq })).await;
        assert_eq!(numbers("bob").await, [5, seq, 5, unread]);
    }
    chat.send("alice", "4").await;
    assert_eq!(numbers("bob").await, [6, 5, 6, 1]);
    // Who reacts has read what came before.
    chat.accepted("bob", react("bob", 6, "👍", true)).await;
    assert_eq!((numbers("bob").await, numbers("alice").await), ([7, 7, 6, 0], [7, 6, 7, 0]));
}

#[tokio::test]
async fn a_read_position_is_the_same_with_and_without_a_position() {
    for has_position in [false, true] {
        let chat = Chat::start().await;
        let mut position = json!(null);
        for step in 0..6 {
            let reply = match step % 3 {
                1 => chat.accepted("alice", edit("alice", 1, "x")).await,
                _ => {
                    let frame = json!({ "action": "sendMessage", "recipientId": "bob", "content": "y" });
                    chat.accepted("alice", frame).await
                }
            };
            position = reply["position"].clone();
        }
        // Entries: message, change, message, message, change, message.
        for (seq, unread) in [(1, 3), (2, 3), (3, 2), (4, 1), (5, 1), (6, 0)] {
            let mark = json!({ "action": "markRead", "targetId": "alice", "seq": seq });
            let mark = if has_position { with(mark, json!({ "position": position })) } else { mark };
            chat.accepted("bob", mark).await;
            let inbox = chat.accepted("bob", json!({ "action": "getConversations" })).await;
            assert_eq!(inbox["conversations"][0]["unread"], unread, "after {seq}, {has_position}");
        }
    }
}

#[tokio::test]
async fn a_change_neither_moves_the_conversation_nor_goes_back_in_time() {
    let chat = Chat::start().await;
    let seq = chat.send("alice", "1").await;
    let entries = chat.aws.rows("ConversationsTable");
    let (hour, day) = (3_600_000, 24 * 3_600_000);
    let late = chat.request_at("bob", &react("bob", seq, "👍", true), NOW + day).await;
    assert_eq!(late["value"]["createdAt"], NOW + day);
    assert_eq!(chat.aws.rows("ConversationsTable"), entries);
    let early = chat.request_at("bob", &react("bob", seq, "👍", false), NOW + hour).await;
    assert_eq!(early["value"]["createdAt"], NOW + day);
}

#[tokio::test]
async fn replies_and_mentions_are_stored_and_shown() {
    let chat = Chat::start().await;
    chat.send("bob", "1").await;
    chat.accepted("bob", edit("bob", 1, "One")).await;
    let frame = json!({
        "action": "sendMessage", "recipientId": "bob", "content": "@bob @李 yes", "replyTo": 2,
        "mentions": ["bob", "李"],
    });
    chat.aws.connections.take_pushes();
    chat.accepted("alice", frame.clone()).await;
    let message = chat.message(3).await;
    assert_eq!((&message["replyTo"], &message["mentions"]), (&json!(2), &json!(["bob", "李"])));
    assert!(chat.aws.connections.take_pushes().iter().all(|push| push.frame["value"] == message));
    // An edit keeps both.
    let edited = chat.accepted("alice", edit("alice", 3, "yes")).await["changed"].clone();
    assert_eq!((&edited["replyTo"], &edited["mentions"]), (&json!(2), &json!(["bob", "李"])));
    let none = with(frame, json!({ "mentions": [], "replyTo": null }));
    let seq = chat.accepted("alice", none).await["seq"].as_u64().unwrap();
    let message = chat.message(seq).await;
    assert_eq!((message.get("replyTo"), message.get("mentions")), (None, None));
}

#[tokio::test]
async fn changes_of_messages_to_oneself_work() {
    let chat = Chat::start().await;
    let note = json!({ "action": "sendMessage", "recipientId": "alice", "content": "A note" });
    chat.accepted("alice", note).await;
    for (frame, field) in [
        (json!({ "action": "react", "seq": 1, "reaction": "📌", "on": true }), "reactions"),
        (json!({ "action": "editMessage", "seq": 1, "content": "Another note" }), "editedAt"),
        (json!({ "action": "deleteMessage", "seq": 1 }), "deleted"),
    ] {
        let reply = chat.accepted("alice", with(frame, json!({ "targetId": "alice" }))).await;
        assert!(reply["changed"].get(field).is_some(), "{reply}");
    }
    assert_eq!(peer_of("alice"), "bob");
}
