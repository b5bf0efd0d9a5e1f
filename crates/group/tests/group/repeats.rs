//! Repeats: what is stored is acknowledged, whatever has become of the group and of the sender since.

use serde_json::{Value, json};
use support::Outcome;

use crate::{Chat, NOT_A_MEMBER, message, receivers, with};

#[tokio::test]
async fn a_repeat_is_recognised_after_the_sender_was_removed() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob"]).await;
    let frame = with(message(&group, "once"), json!({ "clientMessageId": "1", "lastSeq": 1 }));
    let first = chat.accepted("bob", frame.clone()).await;
    chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
    chat.send("alice", &group, "without bob").await;
    receivers(&chat);
    let second = chat.accepted("bob", frame).await;
    assert_eq!((&second["seq"], &second["duplicate"]), (&first["seq"], &json!(true)));
    assert_eq!(receivers(&chat), ["alice"]);
    // It goes to those only who were members when it was stored.
    chat.change("alice", &group, json!({ "add": ["carol"] })).await;
    let frame = with(message(&group, "once"), json!({ "clientMessageId": "1", "lastSeq": 1 }));
    receivers(&chat);
    chat.accepted("bob", frame).await;
    assert_eq!(receivers(&chat), ["alice"]);
}

#[tokio::test]
async fn a_repeat_is_recognised_although_many_entries_follow_the_removal_of_its_sender() {
    let mut chat = Chat::start().await;
    let group = chat.group(&["bob", "carol"]).await;
    let position = chat.page("bob", &group, json!({})).await["position"].clone();
    let send = |id: &str, known: Value| with(message(&group, "x"), with(json!({ "clientMessageId": id }), known));
    let first = chat.accepted("bob", send("1", json!({ "lastSeq": 1 }))).await;
    chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
    let newest = chat.send("alice", &group, "without bob").await;
    put_copies(&chat, newest, newest + 1..=newest + 1_001);
    for _ in 0..2 {
        for known in [json!({ "lastSeq": 1 }), json!({ "position": position })] {
            let second = chat.accepted("bob", send("1", known.clone())).await;
            assert_eq!((&second["seq"], &second["duplicate"]), (&first["seq"], &json!(true)));
            chat.refused("bob", send("2", known.clone()), "forbidden", NOT_A_MEMBER).await;
            chat.refused("carol", send("3", known), "out_of_date", "").await;
        }
        // The answer does not tell how many entries follow.
        for known in [1, 2, 3, 4, newest, newest + 1, newest + 2, newest + 1_001, 9_999] {
            chat.refused("bob", send("2", json!({ "lastSeq": known })), "forbidden", NOT_A_MEMBER).await;
        }
        // The second time, the processes know no group.
        chat = Chat::processes(chat.aws, &[]);
    }
}

/// Stores copies of entry `seq` with these numbers.
fn put_copies(chat: &Chat, seq: u64, numbers: impl Iterator<Item = u64>) {
    let (rows, seq) = (chat.aws.rows("MessagesTable"), seq.to_string());
    let row = rows.iter().find(|row| row["seq"]["N"] == seq).unwrap();
    let rows: Vec<_> = numbers.map(|number| with(row.clone(), json!({ "seq": { "N": number.to_string() } }))).collect();
    chat.aws.put_all("MessagesTable", &rows);
}

#[tokio::test]
async fn a_member_who_has_left_can_repeat_that_after_many_entries() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob"]).await;
    let leave = json!({
        "action": "changeGroup", "groupId": group, "remove": ["bob"], "clientMessageId": "leave", "lastSeq": 1,
    });
    let first = chat.accepted("bob", leave.clone()).await;
    let newest = chat.send("alice", &group, "without bob").await;
    put_copies(&chat, newest, newest + 1..=newest + 1_001);
    let second = chat.accepted("bob", leave.clone()).await;
    assert_eq!((&second["seq"], &second["duplicate"]), (&first["seq"], &json!(true)));
    let other = with(leave, json!({ "clientMessageId": "again" }));
    chat.refused("bob", other, "forbidden", NOT_A_MEMBER).await;
}

#[tokio::test]
async fn the_creation_of_a_group_can_be_repeated_however_late() {
    let mut chat = Chat::start().await;
    let create = json!({
        "action": "createGroup", "name": "Climbing", "members": ["bob", "carol"], "clientMessageId": "create",
    });
    let group = chat.accepted("alice", create.clone()).await["groupId"].as_str().unwrap().to_owned();
    let newest = chat.send("bob", &group, "many follow").await;
    put_copies(&chat, newest, newest + 1..=newest + 1_001);
    // The operator has lowered the limit since.
    chat = Chat::processes(chat.aws, &[("MAX_GROUP_MEMBERS", "2")]);
    let again = chat.accepted("alice", create).await;
    assert_eq!((&again["groupId"], &again["seq"], &again["duplicate"]), (&json!(group), &json!(1), &json!(true)));
}

#[tokio::test]
async fn a_stored_entry_is_acknowledged_although_the_group_can_not_be_read() {
    let chat = Chat::start().await;
    let create =
        json!({ "action": "createGroup", "name": "Climbing", "members": ["bob"], "clientMessageId": "create" });
    let first = chat.accepted("alice", create.clone()).await;
    receivers(&chat);
    let chat = Chat::processes(chat.aws, &[]);
    chat.aws.dynamodb.inject(|call| match (call.is_on("MembersTable"), call.operation.as_str()) {
        (true, "Query") => Outcome::Fail(400, "AccessDeniedException"),
        _ => Outcome::Forward,
    });
    let second = chat.accepted("alice", create).await;
    assert_eq!((&second["groupId"], &second["duplicate"]), (&first["groupId"], &json!(true)));
    assert_eq!(receivers(&chat), [] as [&str; 0]);
}

#[tokio::test]
async fn a_repeated_change_shows_its_message_only_to_those_who_may_read_it() {
    let edit =
        |group: &str, content: &str| json!({ "action": "editMessage", "groupId": group, "seq": 2, "content": content });
    for (history, is_shown) in [("all", true), ("joined", false)] {
        let chat = Chat::start().await;
        let group = chat.group_with(&["bob"], json!({ "history": history })).await;
        chat.send("alice", &group, "1").await;
        let react = json!({
            "action": "react", "groupId": group, "seq": 2, "reaction": "👍", "on": true, "clientMessageId": "r", "lastSeq": 2,
        });
        chat.accepted("bob", react.clone()).await;
        chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
        chat.accepted("alice", edit(&group, "2")).await;
        let again = chat.accepted("bob", react.clone()).await;
        assert_eq!(
            (&again["duplicate"], &again["changed"]["content"]),
            (&json!(true), &json!("2")),
            "what bob may read"
        );
        chat.change("alice", &group, json!({ "add": ["bob"] })).await;
        chat.accepted("alice", edit(&group, "3")).await;
        let again = chat.accepted("bob", react).await;
        let content = again["changed"].get("content");
        assert_eq!((&again["duplicate"], content), (&json!(true), is_shown.then_some(&json!("3"))), "{history}");
    }
}
