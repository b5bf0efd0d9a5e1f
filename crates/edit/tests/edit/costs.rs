//! Calls on the wire, and what a change costs.

use serde_json::{Value, json};
use support::Call;

use crate::{Chat, delete, edit, react, with};

/// The operations and tables of the calls in their order of arrival; those that run side by side are sorted.
fn names(calls: &[Call]) -> Vec<String> {
    let mut names: Vec<_> = calls
        .iter()
        .map(|call| {
            let table = ["MessagesTable", "ClientsTable", "ConversationsTable"].into_iter().find(|table| {
                call.is_on(table) || call.body["TransactItems"].to_string().contains(&format!("\"{table}\""))
            });
            format!("{} {}", call.operation, table.unwrap_or_default())
        })
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_change_takes_four_calls_and_four_write_units() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    let four = [
        "BatchGetItem ClientsTable",
        "GetItem MessagesTable",
        "Query MessagesTable",
        "TransactWriteItems MessagesTable",
    ];
    for frame in [
        with(edit("alice", 1, "2"), json!({ "clientMessageId": "e", "lastSeq": 1 })),
        with(react("alice", 1, "👍", true), json!({ "lastSeq": 2 })),
        delete("alice", 1),
    ] {
        chat.aws.dynamodb.take_calls();
        chat.accepted("alice", frame).await;
        let mut calls = chat.aws.dynamodb.take_calls();
        let clients = calls.iter().filter(|call| call.is_on("ClientsTable")).count();
        assert!((1..=2).contains(&clients), "read again after a transaction of more than 25 ms");
        calls.dedup_by_key(|call| call.operation.clone());
        let mut found = names(&calls);
        found.dedup();
        assert_eq!(found, four);
        // A transaction writes each item twice, and a unit is 1 KB.
        let transaction = calls.iter().find(|call| call.operation == "TransactWriteItems").unwrap();
        let items: Vec<_> = transaction.body["TransactItems"].as_array().unwrap().iter().collect();
        assert_eq!(items.len(), 2);
        assert!(items.iter().all(|item| item["Put"]["Item"].to_string().len() < 1_024), "{items:?}");
    }
}

#[tokio::test]
async fn a_repeat_takes_four_calls_and_no_write() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    let frame = with(edit("alice", 1, "2"), json!({ "clientMessageId": "e", "lastSeq": 1 }));
    chat.accepted("alice", frame.clone()).await;
    chat.aws.dynamodb.take_calls();
    assert_eq!(chat.accepted("alice", frame).await["duplicate"], true);
    let mut found = names(&chat.aws.dynamodb.take_calls());
    // The connections are read again if the other reads took more than 25 ms.
    if found.get(1) == found.first() {
        found.remove(0);
    }
    assert_eq!(
        found,
        ["BatchGetItem ClientsTable", "GetItem MessagesTable", "GetItem MessagesTable", "Query MessagesTable"]
    );
}

#[tokio::test]
async fn with_a_position_a_change_takes_three_calls() {
    let chat = Chat::start().await;
    let send = json!({ "action": "sendMessage", "recipientId": "bob", "content": "1" });
    let position = chat.accepted("alice", send).await["position"].clone();
    chat.aws.dynamodb.take_calls();
    chat.accepted("bob", with(react("bob", 1, "👍", true), json!({ "position": position }))).await;
    let mut found = names(&chat.aws.dynamodb.take_calls());
    found.dedup();
    assert_eq!(found, ["BatchGetItem ClientsTable", "GetItem MessagesTable", "TransactWriteItems MessagesTable"]);
}

/// The size of an item in DynamoDB, as far as names, texts and numbers go:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
fn size(value: &Value) -> usize {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "S" => value.as_str().unwrap().len(),
        "N" => value.as_str().unwrap().len().div_ceil(2) + 1,
        "M" => 3 + value.as_object().unwrap().iter().map(|(name, value)| 1 + name.len() + size(value)).sum::<usize>(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_state_grows_by_at_most_40_bytes_and_only_if_a_message_changes() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    for _ in 0..101 {
        chat.accepted("bob", react("bob", 1, "👍", true)).await;
    }
    chat.send("alice", "2").await;
    for (seq, counts) in [(1, 0), (101, 2), (102, 2), (103, 2)] {
        let mut state = chat.row(seq)["tally"].clone();
        let with_changes = size(&state);
        let names = ["changes", "theirChanges", "trailing"];
        let removed = names.into_iter().filter(|name| state["M"].as_object_mut().unwrap().remove(*name).is_some());
        assert_eq!(removed.count(), counts, "entry {seq}");
        let grown = with_changes - size(&state);
        assert!(grown <= 40, "{grown}");
    }
}

#[tokio::test]
async fn a_page_reads_the_changed_messages_with_one_call_and_only_if_there_are_any() {
    let chat = Chat::start().await;
    for _ in 0..3 {
        chat.send("alice", "x").await;
    }
    for seq in [1, 2, 1] {
        chat.accepted("bob", react("bob", seq, "👍", true)).await;
    }
    for (range, calls) in [
        (json!({}), vec!["Query MessagesTable"]),
        (json!({ "after": 0 }), vec!["Query MessagesTable"]),
        (json!({ "after": 1 }), vec!["BatchGetItem MessagesTable", "Query MessagesTable"]),
        (json!({ "after": 3 }), vec!["BatchGetItem MessagesTable", "Query MessagesTable"]),
    ] {
        chat.aws.dynamodb.take_calls();
        let page = chat.page("alice", range.clone()).await;
        assert_eq!(names(&chat.aws.dynamodb.take_calls()), calls, "{range}");
        let changed = page["changed"].as_array().map_or(0, Vec::len);
        assert_eq!(changed, [0, 0, 1, 2][usize::from(range["after"] == 1) * 2 + usize::from(range["after"] == 3) * 3]);
    }
}

#[tokio::test]
async fn an_inbox_row_whose_newest_entry_is_a_change_takes_a_call_more() {
    let chat = Chat::start().await;
    chat.send("alice", "1").await;
    let calls = async || {
        chat.aws.dynamodb.take_calls();
        chat.accepted("bob", json!({ "action": "getConversations" })).await;
        names(&chat.aws.dynamodb.take_calls())
    };
    let [positions, entries, newest] =
        ["BatchGetItem ConversationsTable", "Query ConversationsTable", "Query MessagesTable"];
    assert_eq!(calls().await, [positions, entries, newest]);
    chat.accepted("alice", edit("alice", 1, "2")).await;
    assert_eq!(calls().await, [positions, "BatchGetItem MessagesTable", entries, newest]);
}
