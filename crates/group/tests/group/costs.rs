//! Calls, their depth and their units, by the size of the group.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{Chat, HOUR, NOW, message, with};

/// Users beside alice.
fn others(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user-{number:03}")).collect()
}

/// A group of this size in new processes that have handled one message of it; with the newest position.
async fn known_group(size: usize) -> (Chat, String, Value) {
    let chat = Chat::start().await;
    let others = others(size - 1);
    let first: Vec<_> = others.iter().take(48).map(String::as_str).collect();
    let group = chat.group(&first).await;
    for part in others.get(48..).unwrap_or_default().chunks(48) {
        chat.change("alice", &group, json!({ "add": part })).await;
    }
    let position = chat.accepted("alice", message(&group, "warm")).await["position"].clone();
    chat.aws.dynamodb.take_calls();
    (chat, group, position)
}

/// The calls since the last count, by operation. A put that takes more than 25 ms makes the log read the same connections again;
/// that does not count.
fn counted(chat: &Chat) -> BTreeMap<String, usize> {
    let (mut counted, mut reads) = (BTreeMap::new(), BTreeSet::new());
    for call in chat.aws.dynamodb.take_calls() {
        if call.operation != "BatchGetItem" || reads.insert(call.body.to_string()) {
            *counted.entry(call.operation).or_default() += 1;
        }
    }
    counted
}

fn counts(calls: &[(&str, usize)]) -> BTreeMap<String, usize> {
    calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_message_costs_two_calls_a_read_position_and_a_read_of_connections_for_each_hundred_members() {
    for (size, reads) in [(2, 1), (10, 1), (50, 1), (100, 1), (101, 2), (250, 3)] {
        let (chat, group, position) = known_group(size).await;
        let expected = [("BatchGetItem", reads), ("PutItem", 1), ("UpdateItem", 1)];
        let sent = chat.accepted("alice", with(message(&group, "x"), json!({ "position": position }))).await;
        assert_eq!(counted(&chat), counts(&expected), "{size} members, with position");
        chat.accepted("alice", with(message(&group, "x"), json!({ "lastSeq": sent["seq"] }))).await;
        let looked = [&expected[..], &[("Query", 1)]].concat();
        assert_eq!(counted(&chat), counts(&looked), "{size} members, with lastSeq");
    }
}

#[tokio::test]
async fn a_process_that_does_not_know_the_group_reads_it_with_the_senders_membership() {
    let (chat, group, position) = known_group(50).await;
    let chat = Chat::processes(chat.aws, &[]);
    chat.accepted("alice", with(message(&group, "x"), json!({ "position": position }))).await;
    let expected = [("BatchGetItem", 1), ("GetItem", 1), ("PutItem", 1), ("Query", 1), ("UpdateItem", 1)];
    assert_eq!(counted(&chat), counts(&expected));
}

#[tokio::test]
async fn the_first_message_of_an_hour_moves_the_inbox_entries_in_batches() {
    let (chat, group, position) = known_group(60).await;
    let frame = with(message(&group, "x"), json!({ "position": position }));
    chat.request_at("alice", &frame, NOW + HOUR).await;
    let expected = [("BatchGetItem", 1), ("BatchWriteItem", 6), ("PutItem", 1), ("UpdateItem", 1)];
    assert_eq!(counted(&chat), counts(&expected), "three batches before, three after");
}

#[tokio::test]
async fn the_other_actions() {
    let (chat, group, position) = known_group(10).await;
    for (frame, expected) in [
        (json!({ "action": "getMessages" }), &[("GetItem", 1), ("Query", 1)][..]),
        (
            json!({ "action": "markRead", "seq": 2, "position": position }),
            &[("BatchGetItem", 1), ("GetItem", 1), ("Query", 1), ("UpdateItem", 1)],
        ),
        (
            json!({ "action": "react", "seq": 2, "reaction": "x", "on": true }),
            &[("BatchGetItem", 1), ("GetItem", 2), ("Query", 2), ("TransactWriteItems", 1), ("UpdateItem", 1)],
        ),
        (
            json!({ "action": "changeGroup", "add": ["carol"] }),
            &[("BatchGetItem", 1), ("Query", 1), ("TransactWriteItems", 1), ("UpdateItem", 1)],
        ),
        (json!({ "action": "getGroup" }), &[("BatchGetItem", 1), ("GetItem", 1)]),
        (json!({ "action": "typing" }), &[("BatchGetItem", 1), ("GetItem", 1), ("Query", 1)]),
        (json!({ "action": "getPresence" }), &[("BatchGetItem", 2), ("GetItem", 1)]),
    ] {
        chat.aws.dynamodb.take_calls();
        let reply = chat.request("alice", &with(frame.clone(), json!({ "groupId": group }))).await;
        assert_ne!(reply["type"], "error", "{frame} {reply}");
        assert_eq!(counted(&chat), counts(expected), "{frame}");
    }
    chat.aws.dynamodb.take_calls();
    chat.group(&["bob", "carol"]).await;
    let expected = [("BatchGetItem", 1), ("TransactWriteItems", 1), ("UpdateItem", 1)];
    assert_eq!(counted(&chat), counts(&expected));
}

/// A direct conversation reads nothing about groups.
#[tokio::test]
async fn a_direct_message_pays_nothing_for_groups() {
    let (chat, ..) = known_group(3).await;
    let frame = json!({ "action": "sendMessage", "recipientId": "bob", "content": "x", "lastSeq": 0 });
    let sent = chat.accepted("alice", frame).await;
    chat.aws.dynamodb.take_calls();
    let position = json!({ "position": sent["position"] });
    for (frame, expected) in [
        (
            json!({ "action": "sendMessage", "recipientId": "bob", "content": "x" }),
            &[("BatchGetItem", 1), ("PutItem", 1)][..],
        ),
        (json!({ "action": "getMessages", "targetId": "bob" }), &[("Query", 1)]),
        (json!({ "action": "markRead", "targetId": "bob", "seq": 1 }), &[("BatchGetItem", 1), ("UpdateItem", 1)]),
    ] {
        let frame = if frame["action"] == "getMessages" { frame } else { with(frame, position.clone()) };
        chat.accepted("alice", frame.clone()).await;
        let calls = chat.aws.dynamodb.take_calls();
        assert!(calls.iter().all(|call| !call.is_on("MembersTable")), "{frame}");
        let mut counted = BTreeMap::new();
        calls.into_iter().for_each(|call| *counted.entry(call.operation).or_default() += 1);
        assert_eq!(counted, counts(expected), "{frame}");
    }
    let row = chat.aws.rows("MessagesTable").into_iter().find(|row| row["recipientId"]["S"] == "bob").unwrap();
    let state: Vec<_> = row["tally"]["M"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(state, ["listed", "recipientAllowance", "recipientSeq", "senderAllowance"]);
}
