//! Pages: order, cost, and length.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Call, Outcome};
use tokio::sync::Notify;

use crate::chat::{Chat, HOUR, NOW, peers, walk};

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
    let chat = Chat::start().await;
    for number in 0..60 {
        chat.send(&format!("peer{number:02}"), "alice", "Hi", NOW).await;
    }
    // One more conversation than the limit, and two read positions each, a hundred per call.
    for (limit, reads, batches, units) in [(1, 2, 1, 7.0), (10, 11, 1, 34.0), (49, 50, 1, 151.0), (50, 51, 2, 154.0)] {
        chat.aws.dynamodb.take_calls();
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
        // If the calls of the second round were not concurrent, nothing would release the first, and the test would never end.
        let release = async {
            let proxy = &chat.aws.dynamodb;
            tokio::join!(proxy.wait_for_calls("Query", 1 + reads), proxy.wait_for_calls("BatchGetItem", batches));
            chat.aws.dynamodb.inject(|_| Outcome::Forward);
            held.lock().unwrap().iter().for_each(|released| released.notify_one());
        };
        let (page, ()) = tokio::join!(chat.page("alice", json!({ "limit": limit })), release);
        assert_eq!(peers(&page).len(), limit);
        assert!(page["value"]["lastEvaluatedKey"].is_object());
        let calls = calls(&chat);
        assert_eq!(calls.len(), 1 + reads + batches);
        assert_eq!(chat.aws.read_units(&calls), units, "limit {limit}");
    }
}

#[tokio::test]
async fn the_newest_hours_come_first_and_every_conversation_is_on_one_page() {
    let chat = Chat::start().await;
    // The order of the ids is the reverse of the order of the messages. Four messages an hour.
    for number in 0..40 {
        chat.send(&format!("peer{:02}", 99 - number), "alice", "Hi", NOW + number * HOUR / 4).await;
    }
    for limit in [1, 3, 7, 39, 40, 41, 100] {
        let pages = walk(&chat, "alice", limit).await;
        let times = |page: &Value| -> Vec<i64> {
            let conversations = page["value"]["conversations"].as_array().unwrap();
            conversations.iter().map(|it| it["lastMessage"]["createdAt"].as_i64().unwrap()).collect()
        };
        let hours: Vec<_> = pages.iter().flat_map(|page| times(page).into_iter().map(|time| time / HOUR)).collect();
        assert!(hours.is_sorted_by(|one, next| one >= next), "limit {limit}: {hours:?}");
        assert!(pages.iter().all(|page| times(page).is_sorted_by(|one, next| one > next)), "limit {limit}");
        let mut all: Vec<_> = pages.iter().flat_map(peers).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), hours.len(), pages.len()), (40, 40, 40_usize.div_ceil(limit)), "limit {limit}");
    }
    // A new message moves an old conversation to the front.
    chat.send("alice", "peer99", "Long time!", NOW + 11 * HOUR).await;
    assert_eq!(peers(&chat.page("alice", json!({ "limit": 2 })).await), ["peer99", "peer60"]);
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
    assert_eq!((calls.len(), chat.aws.read_units(&calls)), (54, 155.0));
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
