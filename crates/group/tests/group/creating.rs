//! Creating a group: the first entry, the members, their inboxes, and repeats.

use serde_json::json;
use support::Outcome;

use crate::{Chat, NOW, receivers, with};

#[tokio::test]
async fn a_new_group_begins_with_the_entry_that_names_its_members() {
    let chat = Chat::start().await;
    let frame =
        json!({ "action": "createGroup", "name": "Climbing 🧗", "members": ["bob", "carol"], "posting": "admins" });
    let sent = chat.accepted("alice", frame).await;
    let group = sent["groupId"].as_str().unwrap();
    assert_eq!(sent["conversationId"], format!("group:{group}"));
    assert_eq!((&sent["seq"], &sent["duplicate"]), (&json!(1), &json!(false)));
    let pushes = chat.aws.connections.take_pushes();
    let mut to: Vec<_> = pushes.iter().map(|push| push.connection_id.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["bob", "carol"]);
    let entry = &pushes[0].frame["value"];
    let expected = json!({
        "messageId": sent["messageId"], "conversationId": sent["conversationId"], "groupId": group, "seq": 1, "kind": "group",
        "senderId": "alice", "createdAt": NOW, "created": true, "name": "Climbing 🧗", "history": "all",
        "posting": "admins", "adding": "admins", "added": ["bob", "carol"],
    });
    assert_eq!(*entry, expected);
    for user in ["alice", "bob", "carol"] {
        let page = chat.accepted(user, json!({ "action": "getConversations" })).await;
        let expected = json!([{
            "conversationId": sent["conversationId"], "groupId": group, "name": "Climbing 🧗", "members": 3,
            "listedAt": NOW, "seq": 1, "readSeq": 1, "unread": 0,
        }]);
        assert_eq!(page["conversations"], expected, "{user}");
        let page = chat.page(user, group, json!({})).await;
        assert_eq!((&page["messages"], &page["groupId"]), (&json!([entry]), &json!(group)));
    }
    assert_eq!(chat.accepted("dave", json!({ "action": "getConversations" })).await["conversations"], json!([]));
}

#[tokio::test]
async fn a_repeated_request_creates_no_second_group() {
    let chat = Chat::start().await;
    let frame = json!({ "action": "createGroup", "name": "Climbing", "members": ["bob"], "clientMessageId": "c1" });
    let first = chat.accepted("alice", frame.clone()).await;
    chat.send("bob", first["groupId"].as_str().unwrap(), "Hi").await;
    receivers(&chat);
    let second = chat.accepted("alice", frame.clone()).await;
    assert_eq!((&second["groupId"], &second["seq"]), (&first["groupId"], &json!(1)));
    assert_eq!(second["duplicate"], true);
    assert_eq!(receivers(&chat), ["bob"]);
    // Another user with the same id for the request, and the same user with another one.
    for (user, id) in [("bob", "c1"), ("alice", "c2")] {
        let frame = with(frame.clone(), json!({ "members": ["carol"], "clientMessageId": id }));
        assert_ne!(chat.accepted(user, frame).await["groupId"], first["groupId"]);
    }
}

#[tokio::test]
async fn a_request_whose_response_is_lost_creates_one_group() {
    let chat = Chat::start().await;
    let mut transactions = 0;
    chat.aws.dynamodb.inject(move |call| {
        transactions += usize::from(call.operation == "TransactWriteItems");
        let loses = call.operation == "TransactWriteItems" && transactions == 1;
        if loses { Outcome::LoseResponse } else { Outcome::Forward }
    });
    let sent = chat.accepted("alice", json!({ "action": "createGroup", "name": "x", "members": ["bob"] })).await;
    assert_eq!((&sent["seq"], &sent["duplicate"]), (&json!(1), &json!(false)));
    assert_eq!(chat.aws.rows("MessagesTable").len(), 1);
    assert_eq!(chat.aws.rows("MembersTable").len(), 3);
    assert_eq!(receivers(&chat), ["bob"]);
}
