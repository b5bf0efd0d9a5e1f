//! What is left behind, lost, or on the move.

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Fixture, Outcome, invoke};
use tokio::sync::Notify;

use crate::people::{HOUR, NOW, People, peers, unread, walk_at};

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
    walk_at(people, "alice", limit, NOW + HOUR).await
}

#[tokio::test]
async fn a_send_that_dies_half_way_shows_nothing_wrong_and_the_next_one_repairs() {
    // The two entries, then the message; in a new conversation, and in one that comes into another hour.
    for (before, died_at) in [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)] {
        let people = People::meet().await;
        for _ in 0..before {
            people.say("alice", "bob", "before", NOW - HOUR).await;
        }
        let mut puts = 0;
        people.aws.dynamodb.inject(move |call| {
            puts += usize::from(call.operation == "PutItem");
            if call.operation == "PutItem" && puts >= died_at {
                Outcome::Fail(400, "AccessDeniedException")
            } else {
                Outcome::Forward
            }
        });
        let frame = json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": "1", "lastSeq": before });
        assert_eq!(people.try_to_send("alice", frame.clone(), NOW).await["code"], "internal");
        people.aws.dynamodb.inject(|_| Outcome::Forward);
        for (user, peer, count) in [("bob", "alice", before), ("alice", "bob", 0)] {
            let page = people.page(user, json!({})).await;
            assert_eq!(unread(&page), vec![(peer, count); before as usize], "{before} {died_at}");
        }
        people.send("alice", frame, NOW + 2 * HOUR).await;
        for (user, peer, count) in [("bob", "alice", before + 1), ("alice", "bob", 0)] {
            let page = people.page(user, json!({})).await;
            assert_eq!(unread(&page), [(peer, count)], "{before} {died_at}");
        }
    }
}

#[tokio::test]
async fn a_conversation_that_moves_while_it_is_read_is_there() {
    let people = People::meet().await;
    people.say("bob", "alice", "1", NOW - 5 * HOUR).await;
    let released = Arc::new(Notify::new());
    let hold = released.clone();
    let mut held = false;
    people.aws.dynamodb.inject(move |call| {
        let look = call.operation == "Query" && call.body["TableName"] == "MessagesTable" && !held;
        held |= look;
        if look { Outcome::Hold(hold.clone()) } else { Outcome::Forward }
    });
    let move_on = async {
        people.aws.dynamodb.wait_for_calls("Query", 2).await;
        people.say("bob", "alice", "2", NOW).await;
        released.notify_one();
    };
    people.aws.dynamodb.take_calls();
    let (page, ()) = tokio::join!(people.page("alice", json!({})), move_on);
    assert_eq!(unread(&page), [("bob", 2)]);
    assert_eq!(unread(&people.page("alice", json!({})).await), [("bob", 2)]);
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
async fn what_dynamodb_leaves_for_another_call_is_asked_again() {
    let people = People::meet().await;
    people.say("bob", "alice", "1", NOW).await;
    people.mark("alice", "bob", 1).await;
    let mut asked = 0;
    people.aws.dynamodb.inject(move |call| {
        asked += usize::from(call.operation == "BatchGetItem");
        if call.operation == "BatchGetItem" && asked == 1 {
            Outcome::Respond(200, json!({ "Responses": {}, "UnprocessedKeys": call.body["RequestItems"] }))
        } else {
            Outcome::Forward
        }
    });
    people.aws.dynamodb.take_calls();
    assert_eq!(unread(&people.page("alice", json!({})).await), [("bob", 0)]);
    assert_eq!(people.aws.dynamodb.take_counts()["BatchGetItem"], 2);
    // For ever: it gives up in time.
    people.aws.dynamodb.inject(|call| match call.operation.as_str() {
        "BatchGetItem" => {
            Outcome::Respond(200, json!({ "Responses": {}, "UnprocessedKeys": call.body["RequestItems"] }))
        }
        _ => Outcome::Forward,
    });
    let event = Fixture::named("inbox").timeout_ms(1_500);
    assert_eq!(invoke(&people.inbox, inbox::handle, event).await["code"], "unavailable");
}
