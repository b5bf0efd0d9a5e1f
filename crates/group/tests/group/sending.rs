//! Sending to a group: cached members, lost slots, positions, the rate of a group.

use serde_json::{Value, json};
use support::Call;

use crate::{Chat, NOT_A_MEMBER, NOW, hold_next, message, receivers, with};

fn is_message_put(call: &Call) -> bool {
    call.operation == "PutItem" && call.body["TableName"] == "MessagesTable"
}

#[tokio::test]
async fn a_sender_who_is_removed_before_the_put_takes_effect_is_refused() {
    for known in [json!({}), json!({ "lastSeq": 1 }), json!({ "position": null })] {
        let chat = Chat::start().await;
        let group = chat.group(&["bob"]).await;
        let position = chat.page("bob", &group, json!({})).await["position"].clone();
        let known = if known.get("position").is_some() { json!({ "position": position }) } else { known };
        chat.send("bob", &group, "so that the process knows the group").await;
        chat.aws.dynamodb.take_calls();
        let released = hold_next(&chat, is_message_put);
        let remove = async {
            chat.aws.dynamodb.wait_for_calls("PutItem", 1).await;
            chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
            receivers(&chat);
            released.notify_one();
        };
        let frame = with(message(&group, "too late"), known);
        let (reply, ()) = tokio::join!(chat.request("bob", &frame), remove);
        assert_eq!((&reply["code"], &reply["message"]), (&json!("forbidden"), &json!(NOT_A_MEMBER)), "{frame}");
        assert_eq!(chat.aws.rows("MessagesTable").len(), 3);
        assert_eq!(receivers(&chat), [] as [&str; 0]);
    }
}

/// The entry that takes the slot uses up the rate of the group. A user who is not a member any more must not learn that.
#[tokio::test]
async fn a_sender_who_is_removed_at_the_rate_limit_before_the_put_takes_effect_is_refused() {
    let chat = Chat::start_with(&[("GROUP_RATE", "1")]).await;
    let group = chat.group(&["bob"]).await;
    for content in ["2", "3", "4"] {
        chat.send("bob", &group, content).await;
    }
    chat.aws.dynamodb.take_calls();
    let released = hold_next(&chat, is_message_put);
    let remove = async {
        chat.aws.dynamodb.wait_for_calls("PutItem", 1).await;
        chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
        released.notify_one();
    };
    let frame = message(&group, "too late");
    let (reply, ()) = tokio::join!(chat.request("bob", &frame), remove);
    assert_eq!((&reply["code"], &reply["message"]), (&json!("forbidden"), &json!(NOT_A_MEMBER)));
    assert_eq!(chat.request("alice", &message(&group, "too many")).await["code"], "rate_limited");
}

#[tokio::test]
async fn a_member_who_is_added_before_the_put_takes_effect_gets_the_message() {
    let chat = Chat::start().await;
    let group = chat.group(&["bob"]).await;
    chat.aws.dynamodb.take_calls();
    let released = hold_next(&chat, is_message_put);
    let add = async {
        chat.aws.dynamodb.wait_for_calls("PutItem", 1).await;
        chat.change("alice", &group, json!({ "add": ["carol"] })).await;
        receivers(&chat);
        released.notify_one();
    };
    let frame = message(&group, "hello");
    let (reply, ()) = tokio::join!(chat.request("bob", &frame), add);
    assert_eq!(reply["value"]["seq"], 3);
    assert_eq!(receivers(&chat), ["alice", "carol"]);
}

/// Another process has changed the group since this one read it.
#[tokio::test]
async fn a_process_notices_that_the_group_has_changed() {
    for with_position in [false, true] {
        let chat = Chat::start().await;
        let group = chat.group(&["bob", "carol"]).await;
        let other: send::Context = chat.aws.context();
        let send = async |frame: &Value| {
            let event = support::Fixture::named("send").user("bob").frame(frame);
            support::invoke(&other, send::handle, event).await
        };
        assert_eq!(send(&message(&group, "1")).await["type"], "sent");
        chat.change("alice", &group, json!({ "remove": ["carol"], "add": ["dave"] })).await;
        let position = chat.page("bob", &group, json!({})).await["position"].clone();
        receivers(&chat);
        let known = if with_position { json!({ "position": position }) } else { json!({ "lastSeq": 3 }) };
        assert_eq!(send(&with(message(&group, "2"), known)).await["value"]["seq"], 4);
        assert_eq!(receivers(&chat), ["alice", "dave"]);
    }
}

#[tokio::test]
async fn the_members_of_a_group_share_its_rate() {
    let chat = Chat::start_with(&[("GROUP_RATE", "1")]).await;
    let group = chat.group(&["bob"]).await;
    let mut accepted = 0;
    for number in 0..10 {
        let user = ["alice", "bob"][number % 2];
        let reply: Value = chat.request(user, &message(&group, "x")).await;
        accepted += usize::from(reply["type"] == "sent");
        if reply["type"] == "error" {
            assert_eq!((&reply["code"], reply["retryAfter"].as_u64() > Some(0)), (&json!("rate_limited"), true));
        }
    }
    assert_eq!(accepted, 4, "a burst of five, with the creation of the group");
    chat.accepted("alice", json!({ "action": "sendMessage", "recipientId": "bob", "content": "direct" })).await;
}

#[tokio::test]
async fn a_member_who_floods_the_group_can_be_removed_and_silenced_nevertheless() {
    let chat = Chat::start_with(&[("GROUP_RATE", "1")]).await;
    let group = chat.group(&["bob", "carol"]).await;
    while chat.request("bob", &message(&group, "flood")).await["type"] == "sent" {}
    assert_eq!(chat.request("alice", &message(&group, "x")).await["code"], "rate_limited");
    let delete = json!({ "action": "deleteMessage", "groupId": group, "seq": 2 });
    assert_eq!(chat.request("bob", &delete).await["code"], "rate_limited");
    assert_eq!(chat.request("carol", &delete).await["code"], "rate_limited");
    chat.accepted("alice", delete).await;
    chat.change("alice", &group, json!({ "posting": "admins" })).await;
    chat.change("alice", &group, json!({ "remove": ["bob"] })).await;
    // None of it has changed when the others can send again.
    assert_eq!(chat.request("alice", &message(&group, "x")).await["code"], "rate_limited");
    let later = chat.request_at("alice", &message(&group, "x"), NOW + 1_000).await;
    assert_eq!(later["type"], "sent", "{later}");
}

/// 500 connections, of which three never answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_reaches_every_connection_of_a_large_group_although_some_hang() {
    let chat = Chat::start().await;
    let members: Vec<_> = (0..249).map(|number| format!("user-{number:03}")).collect();
    let names: Vec<_> = members.iter().map(String::as_str).collect();
    let group = chat.group(&names[..48]).await;
    for part in names[48..].chunks(48) {
        chat.change("alice", &group, json!({ "add": part })).await;
    }
    for user in names.iter().chain(&["alice"]) {
        for device in 1..=2 {
            chat.aws.put_connection(user, &format!("{user}-{device}"), crate::NOW - 120_000);
        }
    }
    let hanging = ["user-000-1", "user-100-2", "user-248-1"];
    for connection in hanging {
        chat.aws.connections.silence(connection);
    }
    receivers(&chat);
    let sent = async { chat.accepted("alice", message(&group, "to all")).await };
    // `alice` itself sends; her first connection has her name, as those of bob, carol and dave have, who are not members.
    let pushed = chat.aws.connections.wait_for_pushes(500 - hanging.len());
    let (sent, ()) = tokio::join!(sent, pushed);
    assert_eq!(sent["seq"], 7);
    let reached = receivers(&chat);
    let expected = names.iter().chain(&["alice"]).flat_map(|user| [format!("{user}-1"), format!("{user}-2")]);
    let mut expected: Vec<_> = expected.filter(|connection| !hanging.contains(&connection.as_str())).collect();
    expected.sort();
    assert_eq!(reached, expected);
}
