//! How many messages one conversation takes, by how many senders at once: `make senders`.
//!
//! The whole system, with the functions built as this program is; every call to DynamoDB takes 7.5 ms more, which is about
//! what it takes on AWS. What it prints: messages a second, puts for each message (counted on the wire), how often a
//! client had to send again, and how long it waited.

#![allow(clippy::unwrap_used, reason = "a program for developers, in which a panic is the answer")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chaos::{
    checker::conversation_id,
    link::{Link, Refusal},
    plan::Plan,
    world::{Options, World},
};
use futures_util::future::join_all;
use serde_json::json;

/// How many messages each round has at least.
const MESSAGES: usize = 400;
/// How many connections they share, at the most: each message is pushed to all but one of them.
const CONNECTIONS: usize = 10;
/// What DynamoDB takes for a call.
const LATENCY: Duration = Duration::from_micros(7_500);
/// How long a client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let world = World::start(Options { release: !cfg!(debug_assertions), processes: 100, latency: LATENCY }).await?;
    // The first messages start the processes.
    round(&world, 1, 100, 200).await;
    println!("senders  messages  a second  puts each  sends each  median      p99");
    for (number, senders) in [1, 10, 25, 50, 75, 100].into_iter().enumerate() {
        let messages = if senders == 1 { MESSAGES / 4 } else { MESSAGES };
        println!("{}", round(&world, number as u64 + 2, senders, messages).await);
    }
    world.stop().await;
    Ok(())
}

async fn round(world: &World, seed: u64, senders: usize, messages: usize) -> String {
    let storm = world.storm(Plan { rates: BTreeMap::new(), jitter: false, aged: false, ..Plan::new(seed) });
    let users = ["ann", "bob"].map(|name| format!("~{seed}~{name}"));
    let links = (0..senders.min(CONNECTIONS)).map(|number| {
        let (user, peer) = (&users[number % 2], &users[1 - number % 2]);
        let url = format!("{}?userId={user}", world.local.websocket());
        async move { (Arc::new(Link::open(&url, |_| ()).await.unwrap()), peer.clone()) }
    });
    let links = join_all(links).await;
    let began = Instant::now();
    let each = messages / senders;
    let tasks = (0..senders).map(|sender| {
        let (link, peer) = links[sender % links.len()].clone();
        tokio::spawn(async move { talk(&link, &peer, sender, each).await })
    });
    let all: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let took = began.elapsed();

    let count = each * senders;
    let rows = world.local.messages(&conversation_id(&users[0], &users[1])).await;
    assert!(rows.iter().zip(1_u64..).all(|(row, seq)| row["seq"] == seq), "dense");
    let texts: BTreeSet<_> = rows.iter().map(|row| row["content"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), texts.len()), (count, count), "all stored, each once");
    let mut waits: Vec<_> = all.iter().flat_map(|(waits, _)| waits.iter().copied()).collect();
    waits.sort();
    let sends: usize = all.iter().map(|(_, sends)| sends).sum();
    // One more than there were.
    let puts = storm.number("Put") - 1;
    let per_message = |number: f64| number / count as f64;
    let line = format!(
        "{senders:7}  {count:8}  {:8.0}  {:9.2}  {:10.2}  {:6.0} ms  {:6.0} ms",
        count as f64 / took.as_secs_f64(),
        per_message(puts as f64),
        per_message(sends as f64),
        waits[waits.len() / 2].as_secs_f64() * 1_000.0,
        waits[waits.len() * 99 / 100].as_secs_f64() * 1_000.0,
    );
    world.forget(&storm);
    line
}

/// Says its messages, one after the other; how long each took, and how often it was sent in all.
async fn talk(link: &Link, peer: &str, sender: usize, messages: usize) -> (Vec<Duration>, usize) {
    let (mut waits, mut sends, mut last_seq) = (Vec::new(), 0, 0);
    for number in 0..messages {
        let began = Instant::now();
        let id = format!("{sender} {number}");
        loop {
            sends += 1;
            let frame = json!({
                "action": "sendMessage", "recipientId": peer, "content": id, "clientMessageId": id, "lastSeq": last_seq,
            });
            match link.request(frame, PATIENCE, None).await {
                Ok(sent) => {
                    last_seq = sent["seq"].as_u64().unwrap();
                    break;
                }
                Err(Refusal::Passing(_) | Refusal::Timeout) => {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(50..250))).await;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        waits.push(began.elapsed());
    }
    (waits, sends)
}
