//! Random histories of concurrent sends, repeats and read positions, compared with a model.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::chat::{Chat, NOW, walk};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dm:3:bob:carol"];

/// An operation of one device.
#[derive(Debug, Clone)]
enum Operation {
    /// Sends a message; another one with the same name is a repeat.
    Send { from: usize, to: usize, name: u8 },
    /// Marks a part of a conversation as read, in tenths; more than ten is beyond the newest message.
    Read { user: usize, peer: usize, tenths: u64 },
}

fn operation() -> impl Strategy<Value = Operation> {
    let who = 0..NAMES.len();
    prop_oneof![
        3 => (who.clone(), who.clone(), 0..12_u8).prop_map(|(from, to, name)| Operation::Send { from, to, name }),
        2 => (who.clone(), who, 0..13_u64).prop_map(|(user, peer, tenths)| Operation::Read { user, peer, tenths }),
    ]
}

/// Steps of concurrent operations, each with its minutes after the step before.
fn history() -> impl Strategy<Value = Vec<(i64, Vec<Operation>)>> {
    proptest::collection::vec((0..90_i64, proptest::collection::vec(operation(), 1..5)), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_user_finds_every_conversation_with_the_right_counts(history in history(), limit in 1..5_usize) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(history, limit));
    }
}

async fn play(history: Vec<(i64, Vec<Operation>)>, limit: usize) {
    let chat = Chat::start().await;
    let mut marks: HashMap<(&str, &str), u64> = HashMap::new();
    let mut time = NOW;
    for (step, (minutes, operations)) in history.into_iter().enumerate() {
        time += minutes * 60_000;
        let sizes = sizes(&chat);
        // Functions take different times, so the messages of a conversation are not in the order of the clock.
        let times = (0..).map(|nth| time - nth * 20 * 60_000);
        let done = operations.into_iter().zip(times).map(|(operation, time)| perform(&chat, operation, &sizes, time));
        for (reader, seq) in join_all(done).await.into_iter().flatten() {
            let mark = marks.entry(reader).or_default();
            *mark = seq.max(*mark);
        }
        check(&chat, NAMES[step % NAMES.len()], &marks, limit).await;
    }
    for user in NAMES {
        check(&chat, user, &marks, limit).await;
    }
}

/// Performs an operation. Returns a read position that must be stored: reader, peer and sequence number.
async fn perform(
    chat: &Chat,
    operation: Operation,
    sizes: &HashMap<String, u64>,
    time: i64,
) -> Option<((&'static str, &'static str), u64)> {
    match operation {
        Operation::Send { from, to, name } => {
            let frame =
                json!({ "recipientId": NAMES[to], "content": "Hi", "clientMessageId": name.to_string(), "lastSeq": 0 });
            chat.send_frame(NAMES[from], frame, time).await;
            None
        }
        Operation::Read { user, peer, tenths } => {
            let (user, peer) = (NAMES[user], NAMES[peer]);
            let size = sizes.get(&conversation(user, peer)).copied().unwrap_or_default();
            let seq = if tenths > 10 { size + 100 * tenths } else { size * tenths / 10 };
            let answer = chat.mark_read(user, peer, seq).await;
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

/// Sender and time of each stored message, by conversation and sequence number.
fn stored(chat: &Chat) -> HashMap<String, BTreeMap<u64, (String, i64)>> {
    let mut stored: HashMap<String, BTreeMap<u64, (String, i64)>> = HashMap::new();
    for row in chat.aws.rows("MessagesTable") {
        let number = |name: &str| row[name]["N"].as_str().unwrap().parse::<i64>().unwrap();
        let message = (row["senderId"]["S"].as_str().unwrap().to_owned(), number("createdAt"));
        let conversation = row["conversationId"]["S"].as_str().unwrap().to_owned();
        stored.entry(conversation).or_default().insert(number("seq") as u64, message);
    }
    stored
}

fn sizes(chat: &Chat) -> HashMap<String, u64> {
    stored(chat).into_iter().map(|(conversation, messages)| (conversation, messages.len() as u64)).collect()
}

/// Checks that the inbox shows what a count over all messages and read positions yields.
async fn check(chat: &Chat, user: &str, marks: &HashMap<(&str, &str), u64>, limit: usize) {
    let stored = stored(chat);
    let pages = walk(chat, user, limit).await;
    let shown: Vec<&Value> = pages.iter().flat_map(|page| page["value"]["conversations"].as_array().unwrap()).collect();
    let expected: Vec<_> = NAMES.iter().filter(|peer| stored.contains_key(&conversation(user, peer))).collect();
    assert_eq!(shown.len(), expected.len(), "{user}: each conversation once: {shown:?}");
    assert_eq!(pages.len(), expected.len().div_ceil(limit).max(1), "{user}: a key only if a page follows");
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
    let times = shown.iter().map(|summary| summary["lastMessage"]["createdAt"].as_i64().unwrap());
    assert!(times.is_sorted_by(|one, next| one >= next), "{user}: the newest messages come first");
    for messages in stored.values() {
        assert!(messages.values().is_sorted_by_key(|(_, created_at)| created_at), "no time goes back");
    }
}
