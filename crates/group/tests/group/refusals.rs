//! Requests that are refused. Nothing is stored then.

use serde_json::{Value, json};

use crate::{Chat, NOT_A_MEMBER, message, with};

#[tokio::test]
async fn a_stranger_gets_the_same_refusal_whether_there_is_such_a_group_or_not() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob"]).await;
    chat.send("alice", &group, "hello").await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    // The second time, the processes know the group.
    for round in 0..2 {
        for group in [group.as_str(), unknown] {
            // A second `typing` within five seconds is dropped.
            for frame in frames(group).into_iter().filter(|frame| round == 0 || frame["action"] != "typing") {
                chat.aws.dynamodb.take_calls();
                chat.refused("mallory", frame.clone(), "forbidden", NOT_A_MEMBER).await;
                let calls = chat.aws.dynamodb.take_calls();
                assert!(calls.iter().all(|call| call.operation != "PutItem"), "{frame}");
            }
        }
        chat.send("bob", &group, "from a member").await;
    }
}

/// Every action that names a group.
fn frames(group: &str) -> Vec<Value> {
    let actions = [
        json!({ "action": "sendMessage", "content": "x" }),
        json!({ "action": "sendMessage", "content": "x", "lastSeq": 0, "clientMessageId": "1" }),
        json!({ "action": "sendMessage", "content": "x", "lastSeq": 9 }),
        json!({ "action": "getMessages" }),
        json!({ "action": "getMessages", "after": 1 }),
        json!({ "action": "getMessages", "startKey": { "conversationId": format!("group:{group}"), "seq": 2 } }),
        json!({ "action": "markRead", "seq": 1 }),
        json!({ "action": "editMessage", "seq": 2, "content": "x" }),
        json!({ "action": "deleteMessage", "seq": 2 }),
        json!({ "action": "react", "seq": 2, "reaction": "x", "on": true }),
        json!({ "action": "changeGroup", "add": ["mallory"] }),
        json!({ "action": "changeGroup", "remove": ["bob"], "lastSeq": 1 }),
        json!({ "action": "getGroup" }),
        json!({ "action": "typing" }),
        json!({ "action": "getPresence" }),
    ];
    actions.into_iter().map(|frame| with(frame, json!({ "groupId": group }))).collect()
}

#[tokio::test]
async fn a_removed_member_can_do_nothing_but_read_what_they_could() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob", "carol"]).await;
    chat.send("bob", &group, "hello").await;
    chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
    chat.send("alice", &group, "without bob").await;
    for frame in frames(&group) {
        if frame["action"] == "getMessages" {
            assert!(!chat.request("bob", &frame).await.to_string().contains("without bob"));
        } else if frame["action"] != "markRead" {
            chat.refused("bob", frame, "forbidden", NOT_A_MEMBER).await;
        }
    }
    let mark = json!({ "action": "markRead", "groupId": group, "seq": 4 });
    chat.refused("bob", mark, "bad_request", "no such entry").await;
}

#[tokio::test]
async fn a_frame_that_is_not_valid_says_what_to_change() {
    let chat = Chat::start_with(&[("MAX_GROUP_MEMBERS", "4")]).await;
    let group = chat.group(&["bob"]).await;
    let many: Vec<_> = (0..49).map(|number| format!("user-{number}")).collect();
    let create = |more| with(json!({ "action": "createGroup", "name": "x" }), more);
    let change = |more| with(json!({ "action": "changeGroup", "groupId": group }), more);
    for (frame, words) in [
        (json!({ "action": "createGroup" }), "name"),
        (create(json!({ "name": "" })), "name: a group's name has 1 to 256 bytes"),
        (create(json!({ "name": " " })), "1 to 256 bytes"),
        (create(json!({ "name": "x".repeat(257) })), "1 to 256 bytes"),
        (create(json!({ "name": "a\nb" })), "control characters"),
        (create(json!({ "members": ["alice"] })), "leave yourself out"),
        (create(json!({ "members": ["bob", "bob"] })), "named twice"),
        (create(json!({ "members": [" bob"] })), "members[0]: a user id"),
        (create(json!({ "members": many })), "at most 48 users"),
        (create(json!({ "members": ["b", "c", "d", "e"] })), "at most 4 members"),
        (create(json!({ "history": "none" })), "history: unknown variant `none`, expected `all` or `joined`"),
        (create(json!({ "posting": 5 })), "posting: expected a string"),
        (create(json!({ "adding": ["all"] })), "adding: expected a string"),
        (create(json!({ "name": 5 })), "name: invalid type: integer `5`, expected a string"),
        (change(json!({})), "nothing to change"),
        (change(json!({ "add": [] })), "nothing to change"),
        (change(json!({ "add": ["bob"] })), "bob is a member"),
        (change(json!({ "add": ["alice"] })), "alice is a member"),
        (change(json!({ "add": ["c", "d", "e"] })), "at most 4 members"),
        (change(json!({ "add": ["c"], "remove": ["c"] })), "named twice"),
        (change(json!({ "add": ["c"], "roles": { "c": "admin" } })), "named twice"),
        (change(json!({ "remove": ["dave"] })), "dave is not a member"),
        (change(json!({ "roles": { "dave": "admin" } })), "dave is not a member"),
        (change(json!({ "roles": { "bob": "king" } })), "roles.bob"),
        (change(json!({ "add": ["c"], "lastSeq": 7 })), "lastSeq"),
        (json!({ "action": "changeGroup", "groupId": "climbing", "add": ["c"] }), "groupId: a groupId is a UUID"),
        (json!({ "action": "changeGroup", "groupId": 7, "add": ["c"] }), "groupId"),
        (message(&group.to_uppercase(), "x"), "groupId: a groupId is a UUID in lower case with hyphens"),
        (message(&format!("{{{group}}}"), "x"), "groupId: a groupId is a UUID in lower case with hyphens"),
        (json!({ "action": "getMessages", "groupId": group.replace('-', "") }), "groupId: a groupId is a UUID"),
        (json!({ "action": "changeGroup", "add": ["c"] }), "groupId"),
        (with(message(&group, "x"), json!({ "recipientId": "bob" })), "recipientId or groupId, not both"),
        (json!({ "action": "sendMessage", "content": "x" }), "recipientId"),
        (json!({ "action": "getMessages", "groupId": group, "targetId": "bob" }), "targetId or groupId"),
        (with(message(&group, "x"), json!({ "mentions": ["dave"] })), "dave is not a member"),
        (with(message(&group, "x"), json!({ "replyTo": 9 })), "replyTo"),
        (json!({ "action": "getPresence" }), "userIds"),
        (json!({ "action": "editMessage", "groupId": group, "seq": 1, "content": "x" }), "not a message"),
    ] {
        chat.refused("alice", frame, "bad_request", words).await;
    }
}

#[tokio::test]
async fn only_those_with_the_right_change_a_group() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob", "carol", "dave"]).await;
    chat.change("alice", &group, json!({ "roles": { "bob": "admin", "dave": "admin" } })).await;
    let change = |more| with(json!({ "action": "changeGroup", "groupId": group }), more);
    for (user, frame) in [
        ("carol", json!({ "add": ["erin"] })),
        ("carol", json!({ "remove": ["dave"] })),
        ("carol", json!({ "name": "Mine" })),
        ("carol", json!({ "roles": { "carol": "owner" } })),
        ("bob", json!({ "roles": { "bob": "owner" } })),
        ("bob", json!({ "name": "Mine" })),
        ("bob", json!({ "posting": "admins" })),
        ("bob", json!({ "remove": ["alice"] })),
        ("bob", json!({ "remove": ["dave"] })),
    ] {
        chat.refused(user, change(frame), "forbidden", "").await;
    }
    chat.change("bob", &group, json!({ "remove": ["carol"] })).await;
}
