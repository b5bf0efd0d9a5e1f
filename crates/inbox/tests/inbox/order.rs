//! The order of an inbox over all of its pages, while messages arrive.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::chat::{Chat, HOUR, NOW, peers, walk};

/// The newest message of each conversation, as time and peer. The inbox shows the largest first.
type Newest = BTreeMap<String, i64>;

/// What happens at one page of a walk.
#[derive(Debug, Clone)]
struct Step {
    /// The peers that write before the page is read, each some minutes after the one before.
    before: Vec<(usize, i64)>,
    /// The peers that write while the page is read.
    during: Vec<usize>,
}

const PEERS: usize = 12;

fn step() -> impl Strategy<Value = Step> {
    let before = proptest::collection::vec((0..PEERS, 0..25_i64), 0..4);
    let during = proptest::collection::vec(0..PEERS, 0..3);
    (before, during).prop_map(|(before, during)| Step { before, during })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_page_has_the_newest_conversations_after_the_page_before(
        history in proptest::collection::vec((0..PEERS, 0..25_i64), 0..30),
        steps in proptest::collection::vec(step(), 1..8),
        limit in 1..6_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(history, steps, limit));
    }
}

async fn play(history: Vec<(usize, i64)>, steps: Vec<Step>, limit: usize) {
    let (chat, mut newest, mut time) = (Chat::start().await, Newest::new(), NOW);
    write(&chat, &mut newest, &mut time, history).await;
    let mut start: Option<(i64, String)> = None;
    let mut key = Value::Null;
    for step in steps.into_iter().chain(std::iter::repeat(Step { before: Vec::new(), during: Vec::new() })) {
        write(&chat, &mut newest, &mut time, step.before).await;
        time += 1;
        let during: BTreeSet<String> = step.during.into_iter().map(peer).collect();
        let sends = join_all(during.iter().map(|peer| chat.send(peer, "alice", "during", time)));
        let (page, _) = tokio::join!(chat.page_at("alice", json!({ "limit": limit, "startKey": key }), time), sends);
        let shown: Vec<_> = page["value"]["conversations"].as_array().unwrap().iter().map(place).collect();
        key = page["value"]["lastEvaluatedKey"].clone();

        assert!(shown.is_sorted_by(|one, next| one > next), "the newest first, each once: {shown:?}");
        assert!(start.as_ref().is_none_or(|start| shown.iter().all(|place| place < start)), "{shown:?} {start:?}");
        // A peer that writes at the same time counts before or after its message.
        let (moving, resting): (Vec<_>, Vec<_>) = shown.iter().partition(|(_, peer)| during.contains(peer));
        for (created_at, peer) in moving {
            assert!(*created_at == time || newest.get(peer) == Some(created_at), "{peer} {created_at}");
        }
        let follows = |place: &(i64, String)| start.as_ref().is_none_or(|start| place < start);
        let mut expected: Vec<_> = newest.iter().map(|(peer, time)| (*time, peer.clone())).filter(follows).collect();
        expected.sort_by_key(|place| Reverse(place.clone()));
        expected.retain(|(_, peer)| !during.contains(peer));
        if !key.is_null() {
            assert_eq!(shown.len(), limit);
            expected.truncate(resting.len());
        }
        assert!(resting.into_iter().eq(&expected), "{shown:?} instead of {expected:?}, beside {during:?}");
        // A first page can miss a peer that writes at the same time only if the peer had no message
        // before, or one that is older than the whole page.
        if start.is_none() {
            for missing in during.iter().filter(|peer| shown.iter().all(|(_, shown)| shown != *peer)) {
                let before = newest.get(missing).map(|time| (*time, missing.clone()));
                let is_older = !key.is_null() && before.as_ref() < shown.last();
                assert!(before.is_none() || is_older, "{before:?} {shown:?}");
            }
        }
        newest.extend(during.into_iter().map(|peer| (peer, time)));
        if key.is_null() {
            break;
        }
        start = shown.last().cloned();
    }
}

async fn write(chat: &Chat, newest: &mut Newest, time: &mut i64, messages: Vec<(usize, i64)>) {
    for (number, minutes) in messages {
        *time += minutes * 60_000 + 1;
        chat.send(&peer(number), "alice", "Hi", *time).await;
        newest.insert(peer(number), *time);
    }
}

/// The names are not in the order of the numbers.
fn peer(number: usize) -> String {
    format!("peer{:02}", number * 7 % PEERS)
}

fn place(conversation: &Value) -> (i64, String) {
    let created_at = conversation["lastMessage"]["createdAt"].as_i64().unwrap();
    (created_at, conversation["peerId"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_newest_come_first_up_to_200_conversations_in_an_hour_and_none_is_missing_beyond() {
    let chat = Chat::start().await;
    // The order of the ids is neither that of the messages nor its reverse.
    let peer = |number: i64| format!("peer{:03}", number * 83 % 211);
    chat.send("old", "alice", "Hi", NOW - HOUR).await;
    for number in 0..200 {
        chat.send(&peer(number), "alice", "Hi", NOW + number).await;
    }
    let newest_first: Vec<_> = (0..200).rev().map(peer).chain(["old".to_owned()]).collect();
    for limit in [7, 100] {
        let pages = walk(&chat, "alice", limit).await;
        assert_eq!(pages.iter().flat_map(peers).collect::<Vec<_>>(), newest_first, "limit {limit}");
        assert_eq!(pages.len(), 201_usize.div_ceil(limit));
    }

    // One conversation more in that hour, while a walk is under way: the rest shows the hour again, and none is missing.
    let first = chat.page("alice", json!({ "limit": 100 })).await;
    for number in 200..211 {
        chat.send(&peer(number), "alice", "Hi", NOW + number).await;
    }
    let mut shown: Vec<_> = peers(&first).into_iter().map(str::to_owned).collect();
    let mut key = first["value"]["lastEvaluatedKey"].clone();
    while !key.is_null() {
        let page = chat.page("alice", json!({ "limit": 100, "startKey": key })).await;
        let times: Vec<_> = page["value"]["conversations"].as_array().unwrap().iter().map(place).collect();
        assert!(times.is_sorted_by(|one, next| one > next), "on a page, the newest come first");
        shown.extend(peers(&page).into_iter().map(str::to_owned));
        key = page["value"]["lastEvaluatedKey"].clone();
    }
    assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), 212);

    // A new walk shows each of them once.
    for limit in [7, 100] {
        let pages = walk(&chat, "alice", limit).await;
        let mut shown: Vec<_> = pages.iter().flat_map(peers).collect();
        assert_eq!(shown.last(), Some(&"old"), "the hours are in order");
        assert_eq!(pages.len(), 212_usize.div_ceil(limit));
        shown.sort_unstable();
        shown.dedup();
        assert_eq!(shown.len(), 212, "limit {limit}");
    }
}
