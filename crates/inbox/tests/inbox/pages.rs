//! Pages: order, cost, and length.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Call, Outcome};
use tokio::sync::Notify;

use crate::chat::{Chat, HOUR, NOW, peers};

/// The calls to DynamoDB, without those that the SDK repeated on a busy machine.
fn calls(chat: &Chat) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for call in chat.aws.dynamodb.take_calls() {
        if calls.iter().all(|known| known.body != call.body) {
            calls.push(call);
        }
    }
    calls
}

#[tokio::test]
async fn a_page_takes_two_rounds_of_calls() {
    // One more conversation than the limit, and two read positions each, a hundred per call.
    let an_hour_each = [(1, 2, 1, 7.0), (10, 11, 1, 34.0), (49, 50, 1, 151.0), (50, 51, 2, 154.0)];
    // All conversations of the hour, so that the newest of them can be found.
    let in_one_hour = [(1, 60, 2, 181.0), (10, 60, 2, 181.0), (59, 60, 2, 181.0)];
    for (apart, costs) in [(HOUR, &an_hour_each[..]), (1, &in_one_hour[..])] {
        let chat = Chat::start().await;
        for number in 0..60 {
            chat.send(&format!("peer{number:02}"), "alice", "Hi", NOW + number * apart).await;
        }
        for &(limit, reads, batches, units) in costs {
            chat.aws.dynamodb.take_calls();
            let page = page_of_two_rounds(&chat, limit, reads, batches).await;
            assert_eq!(peers(&page), (0..60).rev().map(|n| format!("peer{n:02}")).take(limit).collect::<Vec<_>>());
            assert!(page["value"]["lastEvaluatedKey"].is_object());
            let calls = calls(&chat);
            assert_eq!(calls.len(), 1 + reads + batches);
            assert_eq!(chat.aws.read_units(&calls), units, "limit {limit}");
        }
    }
}

/// A page whose calls after the first are held until all of them have begun. If they were not concurrent, nothing would
/// release them, and the test would never end.
async fn page_of_two_rounds(chat: &Chat, limit: usize, reads: usize, batches: usize) -> Value {
    let held: Arc<Mutex<Vec<Arc<Notify>>>> = Arc::default();
    let hold = held.clone();
    chat.aws.dynamodb.inject(move |call| {
        if call.operation == "Query" && call.body["TableName"] == "ConversationsTable" {
            return Outcome::Forward;
        }
        let released = Arc::new(Notify::new());
        hold.lock().unwrap().push(released.clone());
        Outcome::Hold(released)
    });
    let release = async {
        let proxy = &chat.aws.dynamodb;
        tokio::join!(proxy.wait_for_calls("Query", 1 + reads), proxy.wait_for_calls("BatchGetItem", batches));
        chat.aws.dynamodb.inject(|_| Outcome::Forward);
        held.lock().unwrap().iter().for_each(|released| released.notify_one());
    };
    tokio::join!(chat.page("alice", json!({ "limit": limit })), release).0
}

#[tokio::test]
async fn the_first_page_of_10_000_conversations_costs_as_much_as_any_page() {
    let chat = Chat::start().await;
    // One conversation an hour, the newest 60 with real messages; ids as long as a UUID.
    let peer = |number: i64| format!("{number:036}");
    let entry = |number: i64| {
        let entry = format!("at:{:010}:{}", NOW / HOUR - number, peer(number));
        json!({ "userId": { "S": "alice" }, "entry": { "S": entry }, "peerId": { "S": peer(number) } })
    };
    chat.aws.put_all("ConversationsTable", &(60..10_000).map(entry).collect::<Vec<_>>());
    for number in 0..60 {
        chat.send(&peer(number), "alice", "Hi", NOW - number * HOUR).await;
    }
    chat.aws.dynamodb.take_calls();
    let page = chat.page("alice", json!({})).await;
    assert_eq!(peers(&page), (0..50).map(peer).collect::<Vec<_>>());
    let calls = calls(&chat);
    assert_eq!((calls.len(), chat.aws.read_units(&calls)), (54, 159.0));
}

#[tokio::test]
async fn pages_fit_a_frame_and_omit_no_entry() {
    let widest = "\"".repeat(120);
    for (content, count) in [("x".repeat(16_000), 5), ("\u{1}".repeat(3_800), 5), ("é".repeat(300), 60)] {
        let chat = Chat::start().await;
        for number in 0..count {
            chat.send(&format!("{widest}{number}"), &widest, &content, NOW + number).await;
        }
        let (mut seen, mut key) = (0, Value::Null);
        loop {
            let page = chat.page(&widest, json!({ "limit": 100, "ref": "\u{1}".repeat(64), "startKey": key })).await;
            assert!(page.to_string().len() <= 30_000, "{}", page.to_string().len());
            assert!(!peers(&page).is_empty());
            seen += peers(&page).len();
            key = page["value"]["lastEvaluatedKey"].clone();
            if key.is_null() {
                break;
            }
        }
        assert_eq!(seen as i64, count);
    }
}
