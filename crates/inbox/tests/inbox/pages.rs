//! Pages: their order, their costs, and that they fit a frame.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Call, Outcome};
use tokio::sync::Notify;

use crate::people::{HOUR, NOW, People, peers, walk};

/// What was asked of DynamoDB; what the SDK asked again, on a busy machine, once.
fn calls(people: &People) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for call in people.aws.dynamodb.take_calls() {
        if calls.iter().all(|known| known.body != call.body) {
            calls.push(call);
        }
    }
    calls
}

#[tokio::test]
async fn a_page_takes_two_steps_whatever_is_on_it() {
    let people = People::meet().await;
    for number in 0..60 {
        people.say(&format!("peer{number:02}"), "alice", "Hi", NOW).await;
    }
    // With a further one, which tells whether more follow; two marks each, a hundred in one call.
    for (limit, looks, batches, units) in [(1, 2, 1, 7.0), (10, 11, 1, 34.0), (49, 50, 1, 151.0), (50, 51, 2, 154.0)] {
        people.aws.dynamodb.take_calls();
        let held: Arc<Mutex<Vec<Arc<Notify>>>> = Arc::default();
        let hold = held.clone();
        people.aws.dynamodb.inject(move |call| {
            if call.operation == "Query" && call.body["TableName"] == "ConversationsTable" {
                return Outcome::Forward;
            }
            let released = Arc::new(Notify::new());
            hold.lock().unwrap().push(released.clone());
            Outcome::Hold(released)
        });
        // All of the second step are on their way before any is answered, or this would wait for ever.
        let release = async {
            let wire = &people.aws.dynamodb;
            tokio::join!(wire.wait_for_calls("Query", 1 + looks), wire.wait_for_calls("BatchGetItem", batches));
            people.aws.dynamodb.inject(|_| Outcome::Forward);
            held.lock().unwrap().iter().for_each(|released| released.notify_one());
        };
        let (page, ()) = tokio::join!(people.page("alice", json!({ "limit": limit })), release);
        assert_eq!(peers(&page).len(), limit);
        assert!(page["value"]["lastEvaluatedKey"].is_object());
        let calls = calls(&people);
        assert_eq!(calls.len(), 1 + looks + batches);
        assert_eq!(people.aws.read_units(&calls), units, "limit {limit}");
    }
}

#[tokio::test]
async fn the_newest_hours_are_on_the_first_page_and_every_conversation_on_one() {
    let people = People::meet().await;
    // Peers are numbered against the order of their messages, four an hour.
    for number in 0..40 {
        people.say(&format!("peer{:02}", 99 - number), "alice", "Hi", NOW + number * HOUR / 4).await;
    }
    for limit in [1, 3, 7, 39, 40, 41, 100] {
        let pages = walk(&people, "alice", limit).await;
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
    // An old one comes back by a new message.
    people.say("alice", "peer99", "Long time!", NOW + 11 * HOUR).await;
    assert_eq!(peers(&people.page("alice", json!({ "limit": 2 })).await), ["peer99", "peer60"]);
}

#[tokio::test]
async fn the_first_page_of_10_000_conversations_costs_what_any_page_does() {
    let people = People::meet().await;
    // One an hour, the last 60 by real messages; ids as long as a UUID.
    let peer = |number: i64| format!("{number:036}");
    let entry = |number: i64| {
        let entry = format!("at:{:010}:{}", NOW / HOUR - number, peer(number));
        json!({ "userId": { "S": "alice" }, "entry": { "S": entry }, "peerId": { "S": peer(number) } })
    };
    people.aws.put_all("ConversationsTable", &(60..10_000).map(entry).collect::<Vec<_>>());
    for number in 0..60 {
        people.say(&peer(number), "alice", "Hi", NOW - number * HOUR).await;
    }
    people.aws.dynamodb.take_calls();
    let page = people.page("alice", json!({})).await;
    assert_eq!(peers(&page), (0..50).map(peer).collect::<Vec<_>>());
    let calls = calls(&people);
    assert_eq!((calls.len(), people.aws.read_units(&calls)), (54, 155.0));
}

#[tokio::test]
async fn a_page_is_cut_to_what_fits_a_frame_and_loses_nothing() {
    let widest = "\"".repeat(120);
    for (content, count) in [("x".repeat(16_000), 5), ("\u{1}".repeat(3_800), 5), ("é".repeat(300), 60)] {
        let people = People::meet().await;
        for number in 0..count {
            people.say(&format!("{widest}{number}"), &widest, &content, NOW + number).await;
        }
        let (mut seen, mut key) = (0, Value::Null);
        loop {
            let page = people.page(&widest, json!({ "limit": 100, "ref": "\u{1}".repeat(64), "startKey": key })).await;
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
