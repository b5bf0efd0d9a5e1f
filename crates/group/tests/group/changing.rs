//! Changing a group: adding, removing, leaving, roles, settings; who gets the entries, and what inboxes show.

use serde_json::{Value, json};

use crate::{Chat, HOUR, NOW, hold_next, message, receivers, seqs, with};

#[tokio::test]
async fn an_added_member_gets_the_entry_and_what_follows_and_a_removed_one_gets_their_removal_last() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob"]).await;
    chat.send("alice", &group, "before").await;
    assert_eq!(receivers(&chat), ["bob"]);
    chat.change("alice", &group, json!({ "add": ["carol"] })).await;
    assert_eq!(receivers(&chat), ["bob", "carol"]);
    chat.send("carol", &group, "hello").await;
    assert_eq!(receivers(&chat), ["alice", "bob"]);
    chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
    assert_eq!(receivers(&chat), ["bob", "carol"]);
    chat.send("carol", &group, "without bob").await;
    assert_eq!(receivers(&chat), ["alice"]);
    assert_eq!(chat.seqs("bob", &group).await, [5, 4, 3, 2, 1]);
    assert_eq!(chat.seqs("alice", &group).await, [6, 5, 4, 3, 2, 1]);
    for after in [0, 5, 6] {
        let page = chat.page("bob", &group, json!({ "after": after })).await;
        assert_eq!(seqs(&page), (after + 1..=5).collect::<Vec<_>>());
        assert_eq!((page.get("position"), page.get("lastEvaluatedKey")), (None, None), "{page}");
    }
}

#[tokio::test]
async fn with_history_joined_a_member_reads_from_the_entry_that_added_them() {
    let chat = Chat::start().await;
    let group = chat.group_with(&["bob"], json!({ "history": "joined" })).await;
    let secret = chat.send("alice", &group, "before carol").await;
    chat.change("alice", &group, json!({ "add": ["carol"] })).await;
    chat.send("bob", &group, "welcome").await;
    receivers(&chat);
    for range in [json!({}), json!({ "after": 0 }), json!({ "limit": 100 })] {
        let page = chat.page("carol", &group, range).await;
        let mut entries = seqs(&page);
        entries.sort_unstable();
        assert_eq!((entries, &page["floor"]), (vec![3, 4], &json!(3)), "{page}");
    }
    // A change of what she may not read reaches her as an entry without the message.
    let edit = json!({ "action": "editMessage", "groupId": group, "seq": secret, "content": "still before carol" });
    chat.accepted("alice", edit).await;
    for push in chat.aws.connections.take_pushes() {
        assert_eq!(push.frame.get("changed").is_some(), push.connection_id == "bob", "{push:?}");
    }
    let page = chat.page("carol", &group, json!({ "after": 4 })).await;
    assert_eq!((&page["messages"][0]["kind"], page.get("changed")), (&json!("change"), None));
    let page = chat.page("bob", &group, json!({ "after": 4 })).await;
    assert_eq!(page["changed"][0]["content"], "still before carol");
    for action in ["deleteMessage", "react"] {
        let frame = json!({ "action": action, "groupId": group, "seq": secret, "reaction": "x", "on": true });
        chat.refused("carol", frame, "bad_request", "no such message").await;
    }
    let frame = with(message(&group, "x"), json!({ "replyTo": secret }));
    chat.refused("carol", frame, "bad_request", "replyTo").await;
}

#[tokio::test]
async fn a_member_who_is_added_again_reads_all_or_from_the_second_time_on() {
    for (history, expected) in [("all", vec![5, 4, 3, 2, 1]), ("joined", vec![5, 4])] {
        let chat = Chat::start().await;
        let group = chat.group_with(&["bob"], json!({ "history": history })).await;
        chat.change("bob", &group, json!({ "remove": ["bob"] })).await;
        chat.send("alice", &group, "without bob").await;
        chat.change("alice", &group, json!({ "add": ["bob"] })).await;
        receivers(&chat);
        chat.send("bob", &group, "again").await;
        assert_eq!(receivers(&chat), ["alice"]);
        assert_eq!(chat.seqs("bob", &group).await, expected);
        let page = chat.accepted("bob", json!({ "action": "getConversations" })).await;
        assert_eq!(
            (&page["conversations"][0]["unread"], page["conversations"].as_array().unwrap().len()),
            (&json!(0), 1)
        );
    }
}

#[tokio::test]
async fn an_inbox_shows_a_group_that_the_user_left_as_it_was_then() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob", "carol"]).await;
    chat.send("alice", &group, "1").await;
    chat.send("alice", &group, "2").await;
    chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
    chat.send("alice", &group, "after bob").await;
    chat.change("alice", &group, json!({ "name": "Secret" })).await;
    chat.request_at("alice", &message(&group, "much later"), NOW + 5 * HOUR).await;
    let summary = async |user: &str| {
        chat.request_at(user, &json!({ "action": "getConversations" }), NOW + 5 * HOUR).await["value"]["conversations"]
            .as_array()
            .unwrap()
            .clone()
    };
    let [left] = summary("bob").await.try_into().unwrap();
    assert_eq!(left["lastMessage"]["content"], "2");
    let rest = with_out(left, "lastMessage");
    let expected = json!({
        "conversationId": format!("group:{group}"), "groupId": group, "name": "Climbing", "members": 2, "left": true,
        "listedAt": NOW, "seq": 4, "readSeq": 1, "unread": 2,
    });
    assert_eq!(rest, expected);
    let [present] = summary("carol").await.try_into().unwrap();
    assert_eq!((&present["name"], &present["members"], &present["unread"]), (&json!("Secret"), &json!(2), &json!(4)));
    assert_eq!(present["lastMessage"]["content"], "much later");
}

/// A sender who read the group before a removal writes the inbox entry of the removed user after the removal.
#[tokio::test]
async fn a_late_inbox_entry_does_not_hide_that_the_user_was_removed() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob", "carol"]).await;
    let released = hold_next(&chat, |call| call.operation == "BatchWriteItem");
    let later = NOW + HOUR;
    let (frame, removal) = (message(&group, "an hour later"), change(&group, json!({ "remove": ["bob"] })));
    let remove = async {
        chat.aws.dynamodb.wait_for_calls("BatchWriteItem", 1).await;
        let removed = chat.request_at("alice", &removal, later).await;
        released.notify_one();
        removed
    };
    chat.aws.dynamodb.take_calls();
    let (sent, removed) = tokio::join!(chat.request_at("carol", &frame, later), remove);
    assert_eq!((&removed["value"]["seq"], &sent["value"]["seq"]), (&json!(2), &json!(3)));
    let inbox = async |user| chat.request_at(user, &json!({ "action": "getConversations" }), later).await;
    let page = inbox("bob").await;
    let conversations = page["value"]["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 1, "{page}");
    assert_eq!((&conversations[0]["left"], &conversations[0]["seq"]), (&json!(true), &json!(2)));
    // Later the user is a member again, in the same hour.
    chat.request_at("alice", &change(&group, json!({ "add": ["bob"] })), later).await;
    let page = inbox("bob").await;
    let conversations = page["value"]["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 1, "{page}");
    assert_eq!((conversations[0].get("left"), &conversations[0]["seq"]), (None, &json!(4)));
}

fn with_out(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}

#[tokio::test]
async fn roles_and_settings_take_effect_with_the_entry_that_changes_them() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob", "carol"]).await;
    chat.refused("bob", change(&group, json!({ "add": ["dave"] })), "forbidden", "admins and owners").await;
    chat.change("alice", &group, json!({ "roles": { "bob": "admin" }, "name": "Bouldering" })).await;
    chat.change("bob", &group, json!({ "add": ["dave"] })).await;
    chat.change("alice", &group, json!({ "posting": "admins", "adding": "all" })).await;
    chat.send("bob", &group, "from an admin").await;
    chat.refused("carol", message(&group, "x"), "forbidden", "only admins and owners may send").await;
    let react = json!({ "action": "react", "groupId": group, "seq": 5, "reaction": "👍", "on": true });
    chat.accepted("carol", react).await;
    chat.change("bob", &group, json!({ "remove": ["dave"] })).await;
    chat.change("carol", &group, json!({ "add": ["dave"] })).await;
    let page = chat.accepted("carol", json!({ "action": "getGroup", "groupId": group })).await;
    let expected = json!({
        "conversationId": format!("group:{group}"), "groupId": group, "name": "Bouldering", "history": "all",
        "posting": "admins", "adding": "all", "createdAt": NOW, "seq": 8, "count": 4,
        "you": { "role": "member", "seen": 1 },
        "members": [
            { "userId": "alice", "role": "owner", "at": 1 }, { "userId": "bob", "role": "admin", "at": 1 },
            { "userId": "carol", "role": "member", "at": 1 }, { "userId": "dave", "role": "member", "at": 8 },
        ],
    });
    assert_eq!(page, expected);
}

fn change(group: &str, change: Value) -> Value {
    with(json!({ "action": "changeGroup", "groupId": group }), change)
}

#[tokio::test]
async fn an_owner_leaves_when_there_is_another_one_or_no_other_member() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob"]).await;
    let leave = json!({ "remove": ["alice"] });
    chat.refused("alice", change(&group, leave.clone()), "forbidden", "owner").await;
    chat.refused("alice", change(&group, json!({ "roles": { "alice": "member" } })), "forbidden", "owner").await;
    chat.change("alice", &group, json!({ "roles": { "bob": "owner" } })).await;
    chat.change("alice", &group, leave).await;
    chat.change("bob", &group, json!({ "remove": ["bob"] })).await;
    chat.refused("bob", message(&group, "x"), "forbidden", "not a member").await;
    assert_eq!(chat.seqs("alice", &group).await, [3, 2, 1]);
}

#[tokio::test]
async fn admins_delete_messages_of_others() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob", "carol"]).await;
    let seq = chat.send("bob", &group, "rude").await;
    let delete = json!({ "action": "deleteMessage", "groupId": group, "seq": seq });
    chat.refused("carol", delete.clone(), "forbidden", "an admin of the group").await;
    chat.change("alice", &group, json!({ "roles": { "carol": "admin" } })).await;
    let sent = chat.accepted("carol", delete).await;
    assert_eq!(sent["changed"]["deleted"], json!({ "at": NOW, "by": "carol" }));
    assert_eq!(sent["changed"]["content"], "");
}
