//! Inboxes, filled by the real routes, with real tables and a wire that disturbs calls.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

mod people;

use std::sync::{Arc, Mutex};

use people::{HOUR, NOW, People, walk};
use serde_json::{Value, json};
use testkit::{Event, Fate, ask, broken_frames};
use tokio::sync::Notify;

fn peers(page: &Value) -> Vec<&str> {
    let conversations = page["value"]["conversations"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    conversations.iter().map(|conversation| conversation["peerId"].as_str().unwrap()).collect()
}

/// What is unread with each.
fn unread(page: &Value) -> Vec<(&str, u64)> {
    let conversations = page["value"]["conversations"].as_array().unwrap();
    peers(page).into_iter().zip(conversations.iter().map(|it| it["unread"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn who_was_never_there_finds_every_conversation_begun_with_them() {
    let people = People::meet().await;
    people.say("alice", "bob", "Hello, Bob!", NOW).await;
    let last = people.say("alice", "bob", "Are you there?", NOW + 1).await;
    people.say("carol", "bob", "Hi", NOW + 2).await;

    let page = ask(&people.inbox, inbox::handle, Event::of("inbox").from("bob")).await;

    assert_eq!((&page["type"], &page["ref"]), (&json!("conversations"), &json!("4")));
    assert_eq!(page["value"].get("lastEvaluatedKey"), None);
    assert_eq!(peers(&page), ["carol", "alice"]);
    let message = json!({
        "messageId": last["value"]["messageId"],
        "conversationId": "dm:5:alice:bob",
        "seq": 2,
        "senderId": "alice",
        "recipientId": "bob",
        "content": "Are you there?",
        "createdAt": NOW + 1,
    });
    let with_alice = json!({
        "conversationId": "dm:5:alice:bob",
        "peerId": "alice",
        "lastMessage": message,
        "readSeq": 0,
        "peerReadSeq": 2,
        "unread": 2,
    });
    assert_eq!(page["value"]["conversations"][1], with_alice);
    let of_alice = people.page("alice", json!({})).await;
    let with_bob = json!({
        "conversationId": "dm:5:alice:bob",
        "peerId": "bob",
        "lastMessage": message,
        "readSeq": 2,
        "peerReadSeq": 0,
        "unread": 0,
    });
    assert_eq!(of_alice["value"]["conversations"], json!([with_bob]));
    assert_eq!(people.page("nobody", json!({})).await["value"], json!({ "conversations": [] }));
}

#[tokio::test]
async fn ones_own_messages_and_what_one_marked_are_read() {
    let people = People::meet().await;
    for content in ["1", "2", "3"] {
        people.say("alice", "bob", content, NOW).await;
    }
    assert_eq!(unread(&people.page("bob", json!({})).await), [("alice", 3)]);
    people.mark("bob", "alice", 2).await;
    assert_eq!(unread(&people.page("bob", json!({})).await), [("alice", 1)]);
    // Who answers has read what was there.
    people.say("bob", "alice", "4", NOW).await;
    assert_eq!(unread(&people.page("bob", json!({})).await), [("alice", 0)]);
    assert_eq!(unread(&people.page("alice", json!({})).await), [("bob", 1)]);
    people.say("alice", "bob", "5", NOW).await;
    people.say("alice", "bob", "6", NOW).await;
    let page = people.page("bob", json!({})).await;
    let conversation = &page["value"]["conversations"][0];
    assert_eq!((&conversation["readSeq"], &conversation["peerReadSeq"]), (&json!(4), &json!(6)));
    assert_eq!(conversation["unread"], 2);

    people.say("bob", "bob", "A note", NOW + 1).await;
    assert_eq!(unread(&people.page("bob", json!({})).await), [("bob", 0), ("alice", 2)]);
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
        people.aws.dynamodb.disturb(move |call| {
            if call.operation == "Query" && call.body["TableName"] == "ConversationsTable" {
                return Fate::Forward;
            }
            let released = Arc::new(Notify::new());
            hold.lock().unwrap().push(released.clone());
            Fate::Hold(released)
        });
        // All of the second step are on their way before any is answered, or this would wait for ever.
        let release = async {
            let wire = &people.aws.dynamodb;
            tokio::join!(wire.saw("Query", 1 + looks), wire.saw("BatchGetItem", batches));
            people.aws.dynamodb.disturb(|_| Fate::Forward);
            held.lock().unwrap().iter().for_each(|released| released.notify_one());
        };
        let (page, ()) = tokio::join!(people.page("alice", json!({ "limit": limit })), release);
        assert_eq!(peers(&page).len(), limit);
        assert!(page["value"]["lastEvaluatedKey"].is_object());
        let calls = people.aws.dynamodb.take_calls();
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

#[tokio::test]
async fn entries_without_their_message_show_nothing_and_promise_nothing() {
    let people = People::meet().await;
    for number in 0..3 {
        people.say(&format!("peer{number}"), "alice", "Hi", NOW).await;
    }
    // What functions leave that die before the message, after it, or between two entries.
    let hour = |hours: i64| format!("at:{:010}", NOW / HOUR + hours);
    for (entry, peer) in [
        (format!("{}:peer1", hour(1)), "peer1"),
        (format!("{}:peer2", hour(-1)), "peer2"),
        (format!("{}:nobody", hour(0)), "nobody"),
        (format!("{}:nobody", hour(-2)), "nobody"),
        ("at:0000000001:peer0".to_owned(), "peer0"),
    ] {
        let row = json!({ "userId": { "S": "alice" }, "entry": { "S": entry }, "peerId": { "S": peer } });
        people.aws.put("ConversationsTable", &row);
    }
    for limit in [1, 2, 3, 4, 8] {
        let pages = walk_later(&people, limit).await;
        let all: Vec<_> = pages.iter().flat_map(peers).collect();
        assert_eq!(all, ["peer2", "peer1", "peer0"], "limit {limit}");
        assert_eq!(pages.len(), 3_usize.div_ceil(limit), "no key without a page");
    }
}

/// A walk an hour after, when nothing is on the move any more.
async fn walk_later(people: &People, limit: usize) -> Vec<Value> {
    people::walk_at(people, "alice", limit, NOW + HOUR).await
}

#[tokio::test]
async fn a_conversation_that_moves_while_it_is_read_is_there() {
    let people = People::meet().await;
    people.say("bob", "alice", "1", NOW - 5 * HOUR).await;
    let released = Arc::new(Notify::new());
    let hold = released.clone();
    let mut held = false;
    people.aws.dynamodb.disturb(move |call| {
        let look = call.operation == "Query" && call.body["TableName"] == "MessagesTable" && !held;
        held |= look;
        if look { Fate::Hold(hold.clone()) } else { Fate::Forward }
    });
    let move_on = async {
        people.aws.dynamodb.saw("Query", 2).await;
        people.say("bob", "alice", "2", NOW).await;
        released.notify_one();
    };
    people.aws.dynamodb.take_calls();
    let (page, ()) = tokio::join!(people.page("alice", json!({})), move_on);
    assert_eq!(unread(&page), [("bob", 2)]);
    assert_eq!(unread(&people.page("alice", json!({})).await), [("bob", 2)]);
}

#[tokio::test]
async fn what_was_said_before_there_were_inboxes_is_listed_with_the_next_message_and_counts_as_read() {
    for (sender, recipient) in [("alice", "bob"), ("bob", "alice")] {
        let people = People::meet().await;
        for seq in 1..=3 {
            people.aws.put_message(seq, "alice", "bob", "Hi");
        }
        assert_eq!(peers(&people.page("bob", json!({})).await), [""; 0]);
        people.say(sender, recipient, "New", NOW).await;
        assert_eq!(unread(&people.page(sender, json!({})).await), [(recipient, 0)]);
        assert_eq!(unread(&people.page(recipient, json!({})).await), [(sender, 1)]);
    }
}

#[tokio::test]
async fn entries_that_are_lost_come_back_with_the_first_message_of_another_hour() {
    let people = People::meet().await;
    people.say("alice", "bob", "1", NOW).await;
    people.mark("bob", "alice", 1).await;
    people.aws.clear("ConversationsTable");
    people.say("alice", "bob", "2", NOW + 1).await;
    assert_eq!(peers(&people.page("bob", json!({})).await), [""; 0], "nobody pays for looking");
    people.say("alice", "bob", "3", NOW + HOUR).await;
    // The mark is gone with the rest: too much is unread, until the user reads or writes.
    assert_eq!(unread(&people.page("bob", json!({})).await), [("alice", 3)]);
    assert_eq!(people.mark("bob", "alice", 3).await["value"]["seq"], 3);
    assert_eq!(unread(&people.page("bob", json!({})).await), [("alice", 0)]);
}

#[tokio::test]
async fn nobody_finds_conversations_of_others() {
    let people = People::meet().await;
    people.say("alice", "bob", "secret", NOW).await;
    people.say("alice", "mallory", "for you", NOW).await;
    let of_alice = people.page("alice", json!({ "limit": 1 })).await["value"]["lastEvaluatedKey"].clone();
    assert!(of_alice.is_object());
    for frame in [
        json!({}),
        json!({ "userId": "alice", "targetId": "alice", "conversationId": "dm:5:alice:bob" }),
        json!({ "startKey": of_alice }),
        json!({ "startKey": { "listed": u32::MAX, "peerId": "alice" } }),
        json!({ "startKey": { "listed": u32::MAX, "peerId": "alice", "userId": "alice", "entry": "at:9:bob" } }),
        json!({ "startKey": { "listed": 0, "peerId": "bob" } }),
    ] {
        let page = people.page("mallory", frame.clone()).await;
        assert_eq!(page["type"], "conversations", "{frame}");
        assert!(!page.to_string().contains("secret") && !page.to_string().contains("bob"), "{page}");
    }
    // Names that look like the inside of an id, or of an entry.
    for name in ["dm:5:alice:bob", "5:alice:bob", "at:", "read:bob", "at:0000498204:bob"] {
        let page = people.page(name, json!({})).await;
        assert_eq!(page["value"], json!({ "conversations": [] }), "{name}");
        people.say(name, "alice", "Hi", NOW).await;
        let page = people.page(name, json!({})).await;
        assert_eq!(peers(&page), ["alice"], "{name}");
        assert_eq!(page["value"]["conversations"][0]["lastMessage"]["content"], "Hi");
    }
}

#[tokio::test]
async fn what_dynamodb_leaves_for_another_call_is_asked_again() {
    let people = People::meet().await;
    people.say("bob", "alice", "1", NOW).await;
    people.mark("alice", "bob", 1).await;
    let mut asked = 0;
    people.aws.dynamodb.disturb(move |call| {
        asked += usize::from(call.operation == "BatchGetItem");
        if call.operation == "BatchGetItem" && asked == 1 {
            Fate::Answer(200, json!({ "Responses": {}, "UnprocessedKeys": call.body["RequestItems"] }))
        } else {
            Fate::Forward
        }
    });
    people.aws.dynamodb.take_calls();
    assert_eq!(unread(&people.page("alice", json!({})).await), [("bob", 0)]);
    assert_eq!(people.aws.dynamodb.take_counts()["BatchGetItem"], 2);
    // For ever: it gives up in time.
    people.aws.dynamodb.disturb(|call| match call.operation.as_str() {
        "BatchGetItem" => Fate::Answer(200, json!({ "Responses": {}, "UnprocessedKeys": call.body["RequestItems"] })),
        _ => Fate::Forward,
    });
    let event = Event::of("inbox").within(1_500);
    assert_eq!(ask(&people.inbox, inbox::handle, event).await["code"], "unavailable");
}

#[tokio::test]
async fn it_refuses_what_is_not_a_request_for_a_page_without_a_call() {
    let people = People::meet().await;
    let mut frames = broken_frames();
    // Nothing is wrong with it but the action, which the gateway reads, and would not have brought it here.
    frames.retain(|(frame, _)| frame != "{\"action\":\"\\ud800\"}");
    let bad = [
        json!({ "limit": 0 }),
        json!({ "limit": -1 }),
        json!({ "limit": 1.5 }),
        json!({ "limit": 1e300 }),
        json!({ "limit": "10" }),
        json!({ "limit": [] }),
        json!({ "startKey": "1" }),
        json!({ "startKey": 1 }),
        json!({ "startKey": {} }),
        json!({ "startKey": { "listed": 1 } }),
        json!({ "startKey": { "peerId": "bob" } }),
        json!({ "startKey": { "listed": -1, "peerId": "bob" } }),
        json!({ "startKey": { "listed": 1.5, "peerId": "bob" } }),
        json!({ "startKey": { "listed": 1_u64 << 32, "peerId": "bob" } }),
        json!({ "startKey": { "listed": "1", "peerId": "bob" } }),
        json!({ "startKey": { "listed": 1, "peerId": "" } }),
        json!({ "startKey": { "listed": 1, "peerId": "b\0b" } }),
        json!({ "startKey": { "listed": 1, "peerId": "x".repeat(129) } }),
        json!({ "startKey": { "conversationId": "dm:5:alice:bob", "seq": 1 } }),
    ];
    frames.extend(bad.map(|frame| (frame.to_string(), "bad_request")));
    for (frame, code) in frames {
        let answer = ask(&people.inbox, inbox::handle, Event::of("inbox").saying_text(&frame)).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame:.200} {answer}");
        assert!(answer["message"].as_str().unwrap().len() < 400, "{answer}");
    }
    for event in [
        Event::of("inbox").without("/requestContext/authorizer"),
        Event::of("inbox").set("/requestContext/authorizer/userId", json!("")),
    ] {
        assert_eq!(ask(&people.inbox, inbox::handle, event).await["code"], "unauthenticated");
    }
    assert_eq!(people.aws.dynamodb.take_calls().len(), 0);
}

#[tokio::test]
async fn a_table_that_fails_is_told_without_internals() {
    let people = People::meet().await;
    people.say("bob", "alice", "1", NOW).await;
    for table in ["ConversationsTable", "MessagesTable"] {
        for (status, error, code) in [
            (400, "ProvisionedThroughputExceededException", "unavailable"),
            (500, "InternalServerError", "unavailable"),
            (400, "AccessDeniedException", "internal"),
        ] {
            people.aws.dynamodb.disturb(move |call| {
                if call.body.to_string().contains(table) { Fate::Fail(status, error) } else { Fate::Forward }
            });
            let answer = ask(&people.inbox, inbox::handle, Event::of("inbox")).await;
            assert_eq!((&answer["code"], &answer["ref"]), (&json!(code), &json!("4")));
            assert!(!answer.to_string().contains("Exception"), "{answer}");
        }
    }
    for name in ["MESSAGES_TABLE", "CONVERSATIONS_TABLE"] {
        let error = people.aws.try_provide::<inbox::Chat>(&[(name, "")]).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
