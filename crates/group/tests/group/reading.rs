//! Reading a group: pages while the group changes, read positions, receipts, presence and typing.

use serde_json::json;

use crate::{Chat, hold_next, message, receivers, seqs};

/// The page is read after the membership. What comes in between must not be on it.
#[tokio::test]
async fn a_member_who_is_removed_while_a_page_is_read_sees_nothing_after_the_removal() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob"]).await;
    chat.aws.dynamodb.take_calls();
    let released = hold_next(&chat, |call| {
        call.operation == "Query"
            && call.body["KeyConditionExpression"].as_str().is_some_and(|text| text.contains("BETWEEN"))
    });
    let remove = async {
        chat.aws.dynamodb.wait_for_calls("Query", 1).await;
        chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
        chat.send("alice", &group, "without bob").await;
        released.notify_one();
    };
    let (page, ()) = tokio::join!(chat.page("bob", &group, json!({})), remove);
    assert_eq!(seqs(&page), [2, 1], "{page}");
    assert_eq!(page.get("position"), None);
}

/// The newest entry and the group are read side by side, in any order.
#[tokio::test]
async fn an_inbox_shows_the_name_and_the_members_as_of_the_entry_that_it_names() {
    for held_table in ["MessagesTable", "MembersTable"] {
        let chat = Chat::start().await;
        let group = chat.group(&["bob"]).await;
        let operation = if held_table == "MessagesTable" { "Query" } else { "BatchGetItem" };
        chat.aws.dynamodb.take_calls();
        let released = hold_next(&chat, move |call| call.operation == operation && call.is_on(held_table));
        let change = async {
            // The inbox entries and the newest entry; the read positions and the group.
            chat.aws.dynamodb.wait_for_calls("Query", 2).await;
            chat.aws.dynamodb.wait_for_calls("BatchGetItem", 2).await;
            chat.change("alice", &group, json!({ "add": ["carol"], "name": "Larger" })).await;
            released.notify_one();
        };
        let inbox = chat.accepted("bob", json!({ "action": "getConversations" }));
        let (inbox, ()) = tokio::join!(inbox, change);
        let row = &inbox["conversations"][0];
        let shown = (row["seq"].clone(), row["name"].clone(), row["members"].clone());
        assert_eq!(shown, (json!(2), json!("Larger"), json!(3)), "{held_table} was read later");
    }
}

#[tokio::test]
async fn unread_messages_are_counted_from_the_entry_that_added_the_member() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob"]).await;
    for content in ["1", "2", "3"] {
        chat.send("alice", &group, content).await;
    }
    chat.change("alice", &group, json!({ "add": ["carol"] })).await;
    chat.send("alice", &group, "4").await;
    let unread = async |user: &str| {
        chat.accepted(user, json!({ "action": "getConversations" })).await["conversations"][0]["unread"].clone()
    };
    assert_eq!((unread("alice").await, unread("bob").await, unread("carol").await), (json!(0), json!(4), json!(1)));
    chat.accepted("bob", json!({ "action": "markRead", "groupId": group, "seq": 3 })).await;
    assert_eq!(unread("bob").await, 2);
    chat.send("bob", &group, "5").await;
    assert_eq!((unread("bob").await, unread("carol").await), (json!(0), json!(2)));
}

#[tokio::test]
async fn read_receipts_reach_the_members_of_a_small_group_and_else_the_readers_own_devices() {
    let many: Vec<_> = (0..19).map(|number| format!("user-{number}")).collect();
    for (members, expected) in [(&many[..18], vec!["alice", "bob-2"]), (&many[..], vec!["bob-2"])] {
        let chat = Chat::start().await;
        chat.aws.put_connection("bob", "bob-2", crate::NOW - 1);
        let members: Vec<_> = members.iter().map(String::as_str).chain(["bob"]).collect();
        let group = chat.group(&members).await;
        let read = chat.accepted("bob", json!({ "action": "markRead", "groupId": group, "seq": 1 })).await;
        let receipt =
            json!({ "conversationId": format!("group:{group}"), "userId": "bob", "groupId": group, "seq": 1 });
        assert_eq!(read, receipt);
        assert_eq!(receivers(&chat), expected);
        let page = json!({ "action": "getGroup", "groupId": group, "readPositions": true });
        let page = chat.accepted("alice", page).await;
        let bob = page["members"].as_array().unwrap().iter().find(|member| member["userId"] == "bob").unwrap();
        assert_eq!(*bob, json!({ "userId": "bob", "role": "member", "at": 1, "readSeq": 1 }));
    }
}

#[tokio::test]
async fn typing_and_presence_are_for_the_members_of_a_small_group() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob", "carol"]).await;
    let typing = json!({ "action": "typing", "groupId": group });
    assert_eq!(chat.request("alice", &typing).await, json!(null));
    let pushes = chat.aws.connections.take_pushes();
    let value = json!({ "conversationId": format!("group:{group}"), "groupId": group, "userId": "alice" });
    assert!(pushes.iter().all(|push| push.frame == json!({ "type": "typing", "value": value })), "{pushes:?}");
    assert_eq!(pushes.len(), 2);
    chat.change("alice", &group, json!({ "remove": ["carol"] })).await;
    receivers(&chat);
    chat.request("bob", &typing).await;
    assert_eq!(receivers(&chat), ["alice"], "not to those who left");
    let presence = chat.accepted("bob", json!({ "action": "getPresence", "groupId": group })).await;
    let expected = json!([{ "userId": "alice", "online": true }, { "userId": "bob", "online": true }]);
    assert_eq!(presence["users"], expected);
    let some = json!({ "action": "getPresence", "groupId": group, "userIds": ["alice", "carol", "dave"] });
    assert_eq!(
        chat.accepted("bob", some).await["users"],
        json!([{ "userId": "alice", "online": true }]),
        "members only"
    );

    let chat = Chat::start_with(&[("TYPING", "direct")]).await;
    let group = chat.group(&["bob"]).await;
    let typing = json!({ "action": "typing", "groupId": group });
    chat.refused("alice", typing, "forbidden", "in groups").await;
}

#[tokio::test]
async fn all_members_of_a_large_group_are_listed_on_pages_that_fit_a_frame() {
    let chat = Chat::start().await;
    let name = |number: usize| format!("{number:03}{}", "\"\\".repeat(62));
    let names: Vec<_> = (0..249).map(name).collect();
    let first: Vec<_> = names[..48].iter().map(String::as_str).collect();
    let group = chat.group(&first).await;
    for part in names[48..].chunks(48) {
        chat.change("alice", &group, json!({ "add": part })).await;
    }
    let (mut listed, mut key) = (Vec::new(), json!(null));
    loop {
        let frame = match key.is_null() {
            true => json!({ "action": "getGroup", "groupId": group, "readPositions": true }),
            false => json!({ "action": "getGroup", "groupId": group, "readPositions": true, "startKey": key }),
        };
        let page = chat.accepted("alice", frame).await;
        assert!(page.to_string().len() < 30_000, "{}", page.to_string().len());
        assert_eq!(page["count"], 250);
        listed.extend(
            page["members"].as_array().unwrap().iter().map(|member| member["userId"].as_str().unwrap().to_owned()),
        );
        match page.get("lastEvaluatedKey") {
            Some(next) => key = next.clone(),
            None => break,
        }
    }
    let mut expected: Vec<_> = names.into_iter().chain(["alice".to_owned()]).collect();
    expected.sort();
    assert_eq!(listed, expected);
    chat.refused("alice", json!({ "action": "changeGroup", "groupId": group, "add": ["bob"] }), "bad_request", "250")
        .await;
    let presence = json!({ "action": "getPresence", "groupId": group });
    chat.refused("alice", presence.clone(), "bad_request", "more than 50 members; name up to 20").await;
    let some = crate::with(presence, json!({ "userIds": [&listed[0], &listed[249]] }));
    assert_eq!(chat.accepted("alice", some).await["users"].as_array().unwrap().len(), 2);
    assert_eq!(chat.accepted("alice", message(&group, "to 250")).await["seq"], 7);
}
