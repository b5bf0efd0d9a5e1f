//! Random interleavings of several clients and processes that send, edit, delete and react with the real functions, checked
//! against what every interleaving must give: no gap, no duplicate, one answer for each entry, and messages that are what a
//! fold of the log makes of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use futures_util::future::join_all;
use proptest::{
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};
use support::{FakeAws, Fixture, Outcome, invoke, strategies::cases};
use tokio::sync::Notify;

use crate::fold;

/// Two devices of each user. The number is the index of the client.
const CLIENTS: [(&str, &str); 4] = [("alice", "bob"), ("alice", "bob"), ("bob", "alice"), ("bob", "alice")];
/// Before and after a change of the key; processes with either run at the same time.
const KEYS: [&str; 2] = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"];

/// What a client says about the conversation.
#[derive(Debug, Clone, Copy)]
enum Says {
    Nothing,
    LastSeq,
    /// The position of the newest message that it holds without a gap, if it has one.
    Position,
    /// The position of an earlier message.
    OldPosition(u8),
    /// A position with one bit changed.
    Forged(u8),
    /// A position of another conversation.
    Foreign,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// With an answer.
    Answered,
    /// The answer is lost on its way to the client.
    AnswerLost,
    /// The response to a call of the function is lost, and the SDK repeats the call.
    ResponseLost(u8),
    /// The function is killed while it waits for this call, which takes effect later.
    Killed(u8),
}

/// What a client does. The numbers choose among the entries that it knows.
#[derive(Debug, Clone, Copy)]
enum What {
    Message,
    Edit(u8),
    Delete(u8),
    React(u8, &'static str, bool),
}

/// One entry of a client.
#[derive(Debug, Clone)]
struct Send {
    what: What,
    says: Says,
    /// Of the attempts before the last one, which is answered. Each with the key of its process.
    attempts: Vec<(Fate, usize)>,
    catches_up: bool,
}

fn send_plan() -> impl Strategy<Value = Send> {
    let says = prop_oneof![
        1 => Just(Says::Nothing),
        1 => Just(Says::LastSeq),
        4 => Just(Says::Position),
        2 => any::<u8>().prop_map(Says::OldPosition),
        1 => any::<u8>().prop_map(Says::Forged),
        1 => Just(Says::Foreign),
    ];
    let fate = prop_oneof![
        2 => Just(Fate::Answered),
        2 => Just(Fate::AnswerLost),
        1 => (0..3_u8).prop_map(Fate::ResponseLost),
        3 => (0..4_u8).prop_map(Fate::Killed),
    ];
    let attempts = proptest::collection::vec((fate, 0..2_usize), 1..3);
    let what = prop_oneof![
        4 => Just(What::Message),
        2 => any::<u8>().prop_map(What::Edit),
        1 => any::<u8>().prop_map(What::Delete),
        3 => (any::<u8>(), select(vec!["👍", "👀"]), any::<bool>()).prop_map(|(pick, text, on)| What::React(pick, text, on)),
    ];
    (what, says, attempts, any::<bool>()).prop_map(|(what, says, attempts, catches_up)| Send {
        what,
        says,
        attempts,
        catches_up,
    })
}

/// The calls that wait to take effect, one for each client at most, and those of killed functions.
#[derive(Default)]
struct Calls {
    waiting: BTreeMap<usize, Arc<Notify>>,
    orphans: Vec<Arc<Notify>>,
    /// The fate of the client's current attempt, and the number of its calls so far.
    attempts: HashMap<usize, (Fate, u8)>,
}

struct World {
    aws: FakeAws,
    calls: Arc<Mutex<Calls>>,
    changed: Arc<Notify>,
    killed: Vec<Notify>,
    foreign: Value,
}

/// A client and what it holds.
struct Client<'w> {
    world: &'w World,
    number: usize,
    sends: [send::Context; 2],
    edits: [edit::Context; 2],
    histories: [history::Context; 2],
    high: u64,
    /// The entries that the client knows, messages and others.
    known: Vec<u64>,
    /// By sequence number.
    positions: BTreeMap<u64, Value>,
}

impl World {
    async fn start() -> Self {
        let aws = FakeAws::start().await;
        let to_carol = json!({ "recipientId": "carol", "content": "Hi" });
        let context: send::Context = aws.try_context(&[("POSITION_KEY", KEYS[0])]).unwrap();
        let mut foreign = Value::Null;
        for _ in 0..3 {
            let event = Fixture::named("send").user("alice").frame(&to_carol);
            foreign = invoke(&context, send::handle, event).await["value"]["position"].clone();
        }
        let killed = CLIENTS.iter().map(|_| Notify::new()).collect();
        Self { aws, calls: Arc::default(), changed: Arc::default(), killed, foreign }
    }

    /// Holds each call for a message until the scheduler lets it take effect.
    fn hold_calls(&self) {
        let (calls, changed) = (self.calls.clone(), self.changed.clone());
        self.aws.dynamodb.inject(move |call| {
            let Ok(client) = call.access_key.parse::<usize>() else { return Outcome::Forward };
            // Of the two reads that a change begins with, only one is held, because a client waits for one call at a time.
            if !(call.is_on("MessagesTable") || call.operation == "TransactWriteItems") || call.operation == "GetItem" {
                return Outcome::Forward;
            }
            let mut calls = calls.lock().unwrap();
            let (fate, count) = calls.attempts.get_mut(&client).unwrap();
            let number = *count;
            *count += 1;
            let loses = *fate == Fate::ResponseLost(number)
                && ["PutItem", "TransactWriteItems"].contains(&call.operation.as_str());
            if loses {
                return Outcome::LoseResponse;
            }
            let released = Arc::new(Notify::new());
            // A call that waited too long was given up by the SDK, and is repeated.
            let given_up = calls.waiting.insert(client, released.clone());
            calls.orphans.extend(given_up);
            changed.notify_one();
            Outcome::Hold(released)
        });
    }

    /// Lets the calls take effect one after the other, in an order that `picks` selects, until all clients are done.
    async fn schedule(&self, running: &Mutex<usize>, picks: &[Index]) {
        let mut picks = picks.iter().cycle();
        loop {
            let running = *running.lock().unwrap();
            let ready = {
                let mut calls = self.calls.lock().unwrap();
                // Each client that is not done waits for one call at a time.
                let ready = calls.waiting.len() >= running && calls.waiting.len() + calls.orphans.len() > 0;
                if ready {
                    self.release(&mut calls, picks.next().unwrap());
                }
                ready
            };
            if !ready {
                if running == 0 {
                    return;
                }
                self.changed.notified().await;
            }
        }
    }

    fn release(&self, calls: &mut Calls, pick: &Index) {
        let next = pick.index(calls.waiting.len() + calls.orphans.len());
        let Some(client) = calls.waiting.keys().nth(next).copied() else {
            let orphan = next - calls.waiting.len();
            return calls.orphans.swap_remove(orphan).notify_one();
        };
        let call = calls.waiting.remove(&client).unwrap();
        let (fate, count) = calls.attempts[&client];
        if fate == Fate::Killed(count - 1) {
            calls.orphans.push(call);
            self.killed[client].notify_one();
        } else {
            call.notify_one();
        }
    }
}

impl<'w> Client<'w> {
    fn new(world: &'w World, number: usize) -> Self {
        let limits = [("MESSAGE_RATE", "1000"), ("MESSAGE_BURST", "100000")];
        let name = number.to_string();
        let changes = |key| [&limits[..], &[("POSITION_KEY", key)]].concat();
        Self {
            world,
            number,
            sends: KEYS.map(|key| world.aws.context_of(&name, &changes(key))),
            edits: KEYS.map(|key| world.aws.context_of(&name, &changes(key))),
            histories: KEYS.map(|key| world.aws.context_of(&name, &changes(key))),
            high: 0,
            known: Vec::new(),
            positions: BTreeMap::new(),
        }
    }

    /// Sends each entry until it is answered. Returns each frame with its answers.
    async fn run(&mut self, sends: &[Send]) -> Vec<(Value, Vec<Value>)> {
        let mut all = Vec::new();
        for (index, send) in sends.iter().enumerate() {
            let frame = self.frame(&format!("{}-{index}", self.number), send.what, send.says);
            let last = [(Fate::Answered, index % 2)];
            let mut answers = Vec::new();
            for (fate, key) in send.attempts.iter().chain(&last) {
                let Some(answer) = self.attempt(&frame, *fate, *key).await else { continue };
                answers.push(answer.clone());
                if *fate == Fate::AnswerLost {
                    continue;
                }
                if answer["type"] == "sent" {
                    self.learn(answer["value"]["seq"].as_u64().unwrap(), &answer["value"]["position"]);
                }
                break;
            }
            all.push((frame, answers));
            if send.catches_up {
                self.catch_up(index % 2).await;
            }
        }
        all
    }

    fn frame(&self, id: &str, what: What, says: Says) -> Value {
        let peer = CLIENTS[self.number].1;
        // An entry that exists, and sometimes one that is not a message.
        let target = |pick: u8| self.known[usize::from(pick) % self.known.len()];
        let mut frame = match what {
            _ if self.known.is_empty() => json!({ "action": "sendMessage", "recipientId": peer, "content": id }),
            What::Message => json!({ "action": "sendMessage", "recipientId": peer, "content": id }),
            What::Edit(pick) => {
                json!({ "action": "editMessage", "targetId": peer, "seq": target(pick), "content": id })
            }
            What::Delete(pick) => json!({ "action": "deleteMessage", "targetId": peer, "seq": target(pick) }),
            What::React(pick, text, on) => {
                json!({ "action": "react", "targetId": peer, "seq": target(pick), "reaction": text, "on": on })
            }
        };
        frame["clientMessageId"] = json!(id);
        let held = || self.positions.range(..=self.high);
        match says {
            Says::Nothing => {}
            Says::LastSeq => frame["lastSeq"] = json!(self.high),
            Says::Position => match held().next_back() {
                Some((_, position)) => frame["position"] = position.clone(),
                None => frame["lastSeq"] = json!(self.high),
            },
            Says::OldPosition(pick) => {
                let positions: Vec<_> = held().collect();
                if let Some((_, position)) = positions.get(usize::from(pick) % positions.len().max(1)) {
                    frame["position"] = (*position).clone();
                }
            }
            Says::Forged(pick) => {
                if let Some((_, position)) = self.positions.last_key_value() {
                    frame["position"] = forged(position.as_str().unwrap(), pick.into()).into();
                }
            }
            Says::Foreign => frame["position"] = self.world.foreign.clone(),
        }
        frame
    }

    /// Returns the answer, unless the function is killed.
    async fn attempt(&self, frame: &Value, fate: Fate, key: usize) -> Option<Value> {
        self.begin(fate);
        let event = Fixture::named("send").user(CLIENTS[self.number].0).frame(frame).timeout_ms(120_000);
        let function = async {
            match frame["action"] == "sendMessage" {
                true => invoke(&self.sends[key], send::handle, event).await,
                false => invoke(&self.edits[key], edit::handle, event).await,
            }
        };
        tokio::select! {
            answer = function => Some(answer),
            () = self.world.killed[self.number].notified() => None,
        }
    }

    fn begin(&self, fate: Fate) {
        self.world.calls.lock().unwrap().attempts.insert(self.number, (fate, 0));
    }

    fn learn(&mut self, seq: u64, position: &Value) {
        if position.is_string() {
            self.positions.insert(seq, position.clone());
        }
        self.known.push(seq);
        if seq == self.high + 1 {
            self.high = seq;
        }
    }

    async fn catch_up(&mut self, key: usize) {
        self.begin(Fate::Answered);
        let (user, peer) = CLIENTS[self.number];
        let frame = json!({ "targetId": peer, "after": self.high, "limit": 100 });
        let event = Fixture::named("history").user(user).frame(&frame).timeout_ms(120_000);
        let page = invoke(&self.histories[key], history::handle, event).await;
        let messages = page["value"]["messages"].as_array().unwrap();
        for message in messages {
            self.learn(message["seq"].as_u64().unwrap(), &Value::Null);
        }
        if !messages.is_empty() {
            self.learn(self.high, &page["value"]["position"]);
        }
    }
}

/// The text with one bit of its meaning changed.
fn forged(position: &str, pick: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = position.as_bytes().to_vec();
    // Mostly the sequence number and the state, which a successful forgery would have to change.
    let at = pick % text.len();
    let value = ALPHABET.iter().position(|letter| *letter == text[at]).unwrap();
    text[at] = ALPHABET[value ^ (1 << (pick % 6))];
    String::from_utf8(text).unwrap()
}

async fn play(plan: &[Vec<Send>], picks: &[Index]) {
    let world = World::start().await;
    world.hold_calls();
    let running = Mutex::new(plan.len());
    let clients = join_all(plan.iter().enumerate().map(async |(number, sends)| {
        let answers = Client::new(&world, number).run(sends).await;
        *running.lock().unwrap() -= 1;
        world.changed.notify_one();
        answers
    }));
    let (answers, ()) = tokio::join!(clients, world.schedule(&running, picks));

    fold::check(&world.aws, answers.into_iter().flatten());
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn any_interleaving_gives_one_dense_order_in_which_each_entry_stands_once(
        plan in proptest::collection::vec(proptest::collection::vec(send_plan(), 1..5), 1..=CLIENTS.len()),
        picks in proptest::collection::vec(any::<Index>(), 40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(&plan, &picks));
    }
}
