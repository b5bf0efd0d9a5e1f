//! A device that misses pushes catches up to exactly what a fresh one loads.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use support::strategies::cases;

use crate::{Chat, delete, edit, react};

/// One request of a user.
#[derive(Debug, Clone)]
enum Step {
    Send(bool),
    Edit(bool, Index),
    Delete(bool, Index),
    React(bool, Index, &'static str, bool),
    /// The device takes in pushes that it has not seen, the one that the index chooses first; then those after it are lost.
    Hear(Index),
    /// The device loads a page of older messages.
    Older,
    /// The device catches up.
    CatchUp,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        6 => any::<bool>().prop_map(Step::Send),
        3 => (any::<bool>(), index()).prop_map(|(alice, pick)| Step::Edit(alice, pick)),
        1 => (any::<bool>(), index()).prop_map(|(alice, pick)| Step::Delete(alice, pick)),
        3 => (any::<bool>(), index(), prop_oneof![Just("👍"), Just("👀")], any::<bool>())
            .prop_map(|(alice, pick, text, on)| Step::React(alice, pick, text, on)),
        6 => index().prop_map(Step::Hear),
        1 => Just(Step::Older),
        1 => Just(Step::CatchUp),
    ]
}

/// A device that follows the rules of docs/protocol.md, and nothing more.
#[derive(Default)]
struct Device {
    /// The entries `low` to `high`, and those that arrived ahead of them.
    entries: BTreeMap<u64, Value>,
    /// The newest versions of messages that it does not hold.
    aside: BTreeMap<u64, Value>,
    low: u64,
    high: u64,
}

fn seq_of(entry: &Value) -> u64 {
    entry["seq"].as_u64().unwrap()
}

fn version_of(message: &Value) -> u64 {
    message["version"].as_u64().unwrap_or(0)
}

impl Device {
    fn take_entry(&mut self, entry: &Value) {
        let seq = seq_of(entry);
        let newer = self.aside.remove(&seq).filter(|aside| version_of(aside) > version_of(entry));
        let entry = newer.as_ref().unwrap_or(entry);
        let held = self.entries.entry(seq).or_insert_with(|| entry.clone());
        if version_of(entry) > version_of(held) {
            *held = entry.clone();
        }
        while self.entries.contains_key(&(self.high + 1)) {
            self.high += 1;
        }
    }

    fn take_changed(&mut self, message: &Value) {
        let seq = seq_of(message);
        let place = match self.entries.get_mut(&seq) {
            Some(held) => held,
            None => self.aside.entry(seq).or_insert_with(|| message.clone()),
        };
        if version_of(message) > version_of(place) {
            *place = message.clone();
        }
    }

    fn take_page(&mut self, page: &Value) {
        for entry in page["messages"].as_array().unwrap() {
            self.take_entry(entry);
        }
        for message in page["changed"].as_array().into_iter().flatten() {
            self.take_changed(message);
        }
    }

    async fn older(&mut self, chat: &Chat, limit: usize) {
        if self.low > 1 {
            let cursor = json!({ "conversationId": "dm:5:alice:bob", "seq": self.low });
            let page = chat.page("bob", json!({ "startKey": cursor, "limit": limit })).await;
            self.low -= page["messages"].as_array().unwrap().len() as u64;
            self.take_page(&page);
        }
    }

    async fn catch_up(&mut self, chat: &Chat, limit: usize) {
        loop {
            let page = chat.page("bob", json!({ "after": self.high, "limit": limit })).await;
            assert!(page.to_string().len() < 30_000);
            self.take_page(&page);
            if page.get("lastEvaluatedKey").is_none() {
                return;
            }
        }
    }

    /// What the device shows.
    fn messages(&self) -> Vec<&Value> {
        self.entries.values().filter(|entry| entry.get("kind").is_none()).collect()
    }
}

async fn play(steps: &[Step], first: usize, limit: usize) {
    let chat = Chat::start().await;
    for number in 0..first {
        chat.send(if number % 2 == 0 { "alice" } else { "bob" }, &format!("before {number}")).await;
    }
    let newest = chat.page("bob", json!({ "limit": limit })).await;
    let held = newest["messages"].as_array().unwrap().len() as u64;
    let first = first as u64;
    let mut device = Device { low: first + 1 - held, high: first, ..Device::default() };
    device.take_page(&newest);
    chat.aws.connections.take_pushes();
    let mut pushes = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let user = |is_alice: &bool| if *is_alice { "alice" } else { "bob" };
        let pick = |index: &Index| index.index(chat.aws.rows("MessagesTable").len()) as u64 + 1;
        let frame = match step {
            Step::Send(alice) => {
                let recipient = crate::peer_of(user(alice));
                json!({ "action": "sendMessage", "recipientId": recipient, "content": format!("message {number}") })
            }
            Step::Edit(alice, index) => edit(user(alice), pick(index), &format!("edit {number}")),
            Step::Delete(alice, index) => delete(user(alice), pick(index)),
            Step::React(alice, index, text, on) => react(user(alice), pick(index), text, *on),
            Step::Hear(index) => {
                if !pushes.is_empty() {
                    let push: Value = pushes.remove(index.index(pushes.len()));
                    device.take_entry(&push["value"]);
                    if let Some(changed) = push.get("changed") {
                        device.take_changed(changed);
                    }
                }
                // Half of what comes late never comes.
                if number % 4 == 0 {
                    pushes.clear();
                }
                continue;
            }
            Step::Older => {
                device.older(&chat, limit).await;
                continue;
            }
            Step::CatchUp => {
                device.catch_up(&chat, limit).await;
                continue;
            }
        };
        let is_alice =
            matches!(step, Step::Send(true) | Step::Edit(true, _) | Step::Delete(true, _) | Step::React(true, ..));
        let reply = chat.request(if is_alice { "alice" } else { "bob" }, &frame).await;
        // A message of the other user, a deleted one, or an entry that is no message.
        assert!(reply["type"] == "sent" || ["forbidden", "bad_request"].contains(&reply["code"].as_str().unwrap()));
        let heard = chat.aws.connections.take_pushes().into_iter().filter(|push| push.connection_id == "bob-2");
        pushes.extend(heard.map(|push| push.frame));
    }
    device.catch_up(&chat, limit).await;
    while device.low > 1 {
        device.older(&chat, limit).await;
    }

    let mut fresh = Device { low: 1, ..Device::default() };
    fresh.catch_up(&chat, 100).await;
    assert_eq!(device.messages(), fresh.messages());
    // The same from the other end, which has no `changed`.
    let (mut backward, mut range) = (Device::default(), json!({ "limit": limit }));
    loop {
        let page = chat.page("bob", range.clone()).await;
        assert_eq!(page.get("changed"), None);
        backward.take_page(&page);
        match page.get("lastEvaluatedKey") {
            Some(key) => range["startKey"] = key.clone(),
            None => break,
        }
    }
    assert_eq!(backward.messages(), fresh.messages());
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn a_device_that_misses_pushes_catches_up_to_what_a_fresh_one_loads(
        steps in proptest::collection::vec(step(), 1..40),
        first in 1..9_usize,
        limit in 1..8_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(&steps, first, limit));
    }
}

#[tokio::test]
async fn pages_with_the_longest_changed_messages_fit_a_frame_and_omit_none() {
    let chat = Chat::start().await;
    let long = "\u{1}".repeat(3_900);
    for _ in 0..3 {
        chat.send("alice", &long).await;
    }
    for seq in [1, 2, 3] {
        for number in 0..5 {
            let reaction = format!("{}{number}", "\u{1}".repeat(60));
            chat.request("bob", &react("bob", seq, &reaction, true)).await;
        }
    }
    let (mut after, mut changed) = (3, BTreeMap::new());
    loop {
        let page = chat.page("bob", json!({ "after": after })).await;
        assert!(page.to_string().len() < 29_800, "{}", page.to_string().len());
        for entry in page["messages"].as_array().unwrap() {
            assert_eq!(seq_of(entry), after + 1);
            after += 1;
        }
        changed.extend(page["changed"].as_array().unwrap().iter().map(|message| (seq_of(message), message.clone())));
        if page.get("lastEvaluatedKey").is_none() {
            break;
        }
    }
    assert_eq!(after, chat.aws.rows("MessagesTable").len() as u64);
    for seq in [1, 2, 3] {
        assert_eq!(changed[&seq], chat.message(seq).await);
    }
}
