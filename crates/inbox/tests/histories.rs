//! Random histories of sends, repeats and receipts of several devices at once, against a model that counts.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

mod people;

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use people::{HOUR, NOW, People, walk};
use proptest::prelude::*;
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dm:3:bob:carol"];

/// What one device does.
#[derive(Debug, Clone)]
enum Act {
    /// Says something, named so that another act with the same name is a repeat.
    Say { from: usize, to: usize, name: u8 },
    /// Has read a conversation up to a part of it, in tenths; more than ten is beyond the newest message.
    Read { user: usize, peer: usize, tenths: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..NAMES.len();
    prop_oneof![
        3 => (who.clone(), who.clone(), 0..12_u8).prop_map(|(from, to, name)| Act::Say { from, to, name }),
        2 => (who.clone(), who, 0..13_u64).prop_map(|(user, peer, tenths)| Act::Read { user, peer, tenths }),
    ]
}

/// Steps of acts that run at once, each so many minutes after the step before.
fn history() -> impl Strategy<Value = Vec<(i64, Vec<Act>)>> {
    proptest::collection::vec((0..90_i64, proptest::collection::vec(act(), 1..5)), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_finds_every_conversation_with_the_right_counts(history in history(), limit in 1..5_usize) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(history, limit));
    }
}

async fn play(history: Vec<(i64, Vec<Act>)>, limit: usize) {
    let people = People::meet().await;
    let mut marks: HashMap<(&str, &str), u64> = HashMap::new();
    let mut moment = NOW;
    for (step, (minutes, acts)) in history.into_iter().enumerate() {
        moment += minutes * 60_000;
        let sizes = sizes(&people);
        // Functions need different times, and so the messages of a conversation do not come in the order of the clock.
        let moments = (0..).map(|nth| moment - nth * 20 * 60_000);
        let done = acts.into_iter().zip(moments).map(|(act, moment)| perform(&people, act, &sizes, moment));
        for (reader, seq) in join_all(done).await.into_iter().flatten() {
            let mark = marks.entry(reader).or_default();
            *mark = seq.max(*mark);
        }
        check(&people, NAMES[step % NAMES.len()], &marks, limit).await;
    }
    for user in NAMES {
        check(&people, user, &marks, limit).await;
    }
}

/// Does it; where it is a receipt that must be stored, gives whose it is and up to where.
async fn perform(
    people: &People,
    act: Act,
    sizes: &HashMap<String, u64>,
    moment: i64,
) -> Option<((&'static str, &'static str), u64)> {
    match act {
        Act::Say { from, to, name } => {
            let frame =
                json!({ "recipientId": NAMES[to], "content": "Hi", "clientMessageId": name.to_string(), "lastSeq": 0 });
            people.send(NAMES[from], frame, moment).await;
            None
        }
        Act::Read { user, peer, tenths } => {
            let (user, peer) = (NAMES[user], NAMES[peer]);
            let size = sizes.get(&conversation(user, peer)).copied().unwrap_or_default();
            let seq = if tenths > 10 { size + 100 * tenths } else { size * tenths / 10 };
            let answer = people.mark(user, peer, seq).await;
            if seq == 0 || seq > size {
                assert_eq!(answer["code"], "bad_request", "{seq} of {size}");
                return None;
            }
            assert!(answer["value"]["seq"].as_u64().unwrap() >= seq, "{answer}");
            Some(((user, peer), seq))
        }
    }
}

fn conversation(one: &str, other: &str) -> String {
    let (smaller, larger) = if one <= other { (one, other) } else { (other, one) };
    format!("dm:{}:{smaller}:{larger}", smaller.len())
}

/// The messages as they are stored, by conversation and number, without what the rows say beyond the message itself.
fn stored(people: &People) -> HashMap<String, BTreeMap<u64, (String, i64)>> {
    let mut stored: HashMap<String, BTreeMap<u64, (String, i64)>> = HashMap::new();
    for row in people.aws.rows("MessagesTable") {
        let number = |name: &str| row[name]["N"].as_str().unwrap().parse::<i64>().unwrap();
        let message = (row["senderId"]["S"].as_str().unwrap().to_owned(), number("createdAt"));
        let conversation = row["conversationId"]["S"].as_str().unwrap().to_owned();
        stored.entry(conversation).or_default().insert(number("seq") as u64, message);
    }
    stored
}

fn sizes(people: &People) -> HashMap<String, u64> {
    stored(people).into_iter().map(|(conversation, messages)| (conversation, messages.len() as u64)).collect()
}

/// What the user sees is what a count over all messages and receipts gives.
async fn check(people: &People, user: &str, marks: &HashMap<(&str, &str), u64>, limit: usize) {
    let stored = stored(people);
    let pages = walk(people, user, limit).await;
    let shown: Vec<&Value> = pages.iter().flat_map(|page| page["value"]["conversations"].as_array().unwrap()).collect();
    let expected: Vec<_> = NAMES.iter().filter(|peer| stored.contains_key(&conversation(user, peer))).collect();
    assert_eq!(shown.len(), expected.len(), "{user}: each once, and no other: {shown:?}");
    assert_eq!(pages.len(), expected.len().div_ceil(limit).max(1), "{user}: no key without a page");
    for peer in expected {
        let messages = &stored[&conversation(user, peer)];
        let summary = shown.iter().find(|summary| summary["peerId"] == **peer).unwrap();
        let read_by = |reader: &str, other: &str| {
            let own = messages.iter().filter(|(_, (sender, _))| sender == reader).map(|(seq, _)| *seq).max();
            own.unwrap_or_default().max(marks.get(&(reader, other)).copied().unwrap_or_default())
        };
        let read = read_by(user, peer);
        let unread = messages.range(read + 1..).filter(|(_, (sender, _))| sender != user).count();
        let (newest, (sender, created_at)) = messages.last_key_value().unwrap();
        let last = &summary["lastMessage"];
        assert_eq!((&last["seq"], &last["senderId"]), (&json!(newest), &json!(sender)));
        assert_eq!(last["createdAt"], *created_at);
        assert_eq!(
            (&summary["readSeq"], &summary["peerReadSeq"], &summary["unread"]),
            (&json!(read), &json!(read_by(peer, user)), &json!(unread)),
            "{user} with {peer}"
        );
    }
    let hour = |summary: &Value| {
        let messages = &stored[summary["conversationId"].as_str().unwrap()];
        messages.values().map(|(_, created_at)| created_at / HOUR).max()
    };
    let hours: Vec<_> = shown.iter().map(|summary| hour(summary)).collect();
    assert!(hours.is_sorted_by(|one, next| one >= next), "{user}: the newest hours first: {hours:?}");
}
