//! Entries that are left over, lost, or moving.

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Fixture, Outcome, invoke};
use tokio::sync::Notify;

use crate::chat::{Chat, HOUR, NOW, peers, unread, walk_at};

#[tokio::test]
async fn entries_without_their_message_are_ignored_and_cause_no_further_page() {
    let chat = Chat::start().await;
    for number in 0..3 {
        chat.send(&format!("peer{number}"), "alice", "Hi", NOW).await;
    }
    // The entries that a function leaves if it ends before the message, after it, or between two entries.
    let hour = |hours: i64| format!("at:{:010}", NOW / HOUR + hours);
    for (entry, peer) in [
        (format!("{}:peer1", hour(1)), "peer1"),
        (format!("{}:peer2", hour(-1)), "peer2"),
        (format!("{}:nobody", hour(0)), "nobody"),
        (format!("{}:nobody", hour(-2)), "nobody"),
        ("at:0000000001:peer0".to_owned(), "peer0"),
    ] {
        let row = json!({ "userId": { "S": "alice" }, "entry": { "S": entry }, "peerId": { "S": peer } });
        chat.aws.put("ConversationsTable", &row);
    }
    for limit in [1, 2, 3, 4, 8] {
        let pages = walk_later(&chat, limit).await;
        let all: Vec<_> = pages.iter().flat_map(peers).collect();
        assert_eq!(all, ["peer2", "peer1", "peer0"], "limit {limit}");
        assert_eq!(pages.len(), 3_usize.div_ceil(limit), "a key only if a page follows");
    }
}

/// All pages an hour later, when no conversation can be moving.
async fn walk_later(chat: &Chat, limit: usize) -> Vec<Value> {
    walk_at(chat, "alice", limit, NOW + HOUR).await
}

#[tokio::test]
async fn a_send_that_fails_half_way_corrupts_nothing_and_the_next_one_repairs_the_inbox() {
    // The entries, then the message; in a new conversation, and in one that moves to another hour.
    for (before, failed_put) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
        let chat = Chat::start().await;
        for _ in 0..before {
            chat.send("alice", "bob", "before", NOW - HOUR).await;
        }
        let mut puts = 0;
        chat.aws.dynamodb.inject(move |call| {
            let is_put = ["PutItem", "BatchWriteItem"].contains(&call.operation.as_str());
            puts += usize::from(is_put);
            if is_put && puts >= failed_put { Outcome::Fail(400, "AccessDeniedException") } else { Outcome::Forward }
        });
        let frame = json!({ "recipientId": "bob", "content": "Hi", "clientMessageId": "1", "lastSeq": before });
        assert_eq!(chat.try_send_frame("alice", frame.clone(), NOW).await["code"], "internal");
        chat.aws.dynamodb.inject(|_| Outcome::Forward);
        for (user, peer, count) in [("bob", "alice", before), ("alice", "bob", 0)] {
            let page = chat.page(user, json!({})).await;
            assert_eq!(unread(&page), vec![(peer, count); before as usize], "{before} {failed_put}");
        }
        chat.send_frame("alice", frame, NOW + 2 * HOUR).await;
        for (user, peer, count) in [("bob", "alice", before + 1), ("alice", "bob", 0)] {
            let page = chat.page(user, json!({})).await;
            assert_eq!(unread(&page), [(peer, count)], "{before} {failed_put}");
        }
    }
}

#[tokio::test]
async fn a_conversation_that_moves_while_it_is_read_is_listed() {
    let chat = Chat::start().await;
    chat.send("bob", "alice", "1", NOW - 5 * HOUR).await;
    let released = Arc::new(Notify::new());
    let hold = released.clone();
    let mut held = false;
    chat.aws.dynamodb.inject(move |call| {
        let is_read = call.operation == "Query" && call.body["TableName"] == "MessagesTable" && !held;
        held |= is_read;
        if is_read { Outcome::Hold(hold.clone()) } else { Outcome::Forward }
    });
    let move_on = async {
        chat.aws.dynamodb.wait_for_calls("Query", 2).await;
        chat.send("bob", "alice", "2", NOW).await;
        released.notify_one();
    };
    chat.aws.dynamodb.take_calls();
    let (page, ()) = tokio::join!(chat.page("alice", json!({})), move_on);
    assert_eq!(unread(&page), [("bob", 2)]);
    assert_eq!(unread(&chat.page("alice", json!({})).await), [("bob", 2)]);
}

#[tokio::test]
async fn lost_entries_are_written_again_with_the_first_message_of_another_hour() {
    let chat = Chat::start().await;
    chat.send("alice", "bob", "1", NOW).await;
    chat.mark_read("bob", "alice", 1).await;
    chat.aws.clear("ConversationsTable");
    chat.send("alice", "bob", "2", NOW + 1).await;
    assert_eq!(peers(&chat.page("bob", json!({})).await), [""; 0], "no extra read looks for lost entries");
    chat.send("alice", "bob", "3", NOW + HOUR).await;
    // The read position is lost, too: the unread count is too high until the user marks or writes.
    assert_eq!(unread(&chat.page("bob", json!({})).await), [("alice", 3)]);
    assert_eq!(chat.mark_read("bob", "alice", 3).await["value"]["seq"], 3);
    assert_eq!(unread(&chat.page("bob", json!({})).await), [("alice", 0)]);
}

#[tokio::test]
async fn keys_that_dynamodb_leaves_unprocessed_are_requested_again() {
    let chat = Chat::start().await;
    chat.send("bob", "alice", "1", NOW).await;
    chat.mark_read("alice", "bob", 1).await;
    let mut batches = 0;
    chat.aws.dynamodb.inject(move |call| {
        batches += usize::from(call.operation == "BatchGetItem");
        if call.operation == "BatchGetItem" && batches == 1 {
            Outcome::Respond(200, json!({ "Responses": {}, "UnprocessedKeys": call.body["RequestItems"] }))
        } else {
            Outcome::Forward
        }
    });
    chat.aws.dynamodb.take_calls();
    assert_eq!(unread(&chat.page("alice", json!({})).await), [("bob", 0)]);
    assert_eq!(chat.aws.dynamodb.take_counts()["BatchGetItem"], 2);
    // If DynamoDB never processes the keys, the request times out.
    chat.aws.dynamodb.inject(|call| match call.operation.as_str() {
        "BatchGetItem" => {
            Outcome::Respond(200, json!({ "Responses": {}, "UnprocessedKeys": call.body["RequestItems"] }))
        }
        _ => Outcome::Forward,
    });
    let event = Fixture::named("inbox").timeout_ms(1_500);
    assert_eq!(invoke(&chat.inbox, inbox::handle, event).await["code"], "unavailable");
}
