//! Rising load on one conversation: runs the real `send` route with the template's tables and a
//! simulated clock. No user is connected, so nothing is pushed.

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use anyhow::ensure;
use chat_core::configuration::{Configuration, FromConfiguration};
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Fixture, invoke};
use tokio::{
    runtime,
    time::{Instant, sleep_until},
};

use crate::simulated_clock::SimulatedDynamoDb;

/// Number of messages in a round.
const MESSAGES: usize = 200;
/// Minimum number of messages per sender in [`Load::Senders`].
const MIN_MESSAGES_PER_SENDER: usize = 2;
/// A deadline far in the future. Deadlines use the system clock, not the simulated clock.
const NO_DEADLINE_MS: u64 = 1_000_000_000;

/// Load on the conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// This number of senders. Each waits for the acknowledgement before it sends the next message.
    Senders(usize),
    /// This number of messages per second, arriving at random times.
    Rate(f64),
}

/// Result of one round.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The load.
    pub load: Load,
    /// Messages stored per second.
    pub stored: f64,
    /// Puts per message.
    pub puts: f64,
    /// Milliseconds from event to reply: median, 99th percentile and maximum.
    pub latencies: [f64; 3],
}

/// Runs each round on empty tables.
///
/// # Errors
/// If a message is lost, is stored twice or leaves a gap in the sequence numbers.
pub fn measure(rounds: &[Load]) -> anyhow::Result<Vec<Row>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    fastrand::seed(1);
    rounds.iter().map(|load| runtime.block_on(run_round(*load))).collect()
}

async fn run_round(load: Load) -> anyhow::Result<Row> {
    let tables = SimulatedDynamoDb::new();
    let aws = tables.config().await;
    // Sets limits that the load does not reach, and disables the second read of the connections.
    let configuration = Configuration::new(variable, aws);
    let context = send::Context::from_configuration(&configuration)?.with_fast_put(Duration::MAX);
    let began = Instant::now();
    let mut latencies: Vec<Duration> = match load {
        Load::Senders(count) => {
            let each = MIN_MESSAGES_PER_SENDER.max(MESSAGES / count);
            let all = join_all((0..count).map(|sender| send_sequentially(&context, sender, each))).await;
            all.into_iter().flatten().collect()
        }
        Load::Rate(rate) => {
            let (mut at, newest) = (began, Cell::new(0));
            let arrivals: Vec<_> = std::iter::repeat_with(|| {
                // Independent senders: the pauses between messages are exponentially distributed.
                at += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
                at
            })
            .take(MESSAGES)
            .collect();
            let arrivals = arrivals.into_iter().enumerate();
            join_all(arrivals.map(async |(number, at)| {
                sleep_until(at).await;
                let (seq, took) = send_message(&context, number, &format!("{number}"), newest.get()).await;
                newest.set(newest.get().max(seq));
                took
            }))
            .await
        }
    };
    let took = began.elapsed();
    check_stored(&tables, latencies.len())?;
    latencies.sort();
    let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    Ok(Row {
        load,
        stored: latencies.len() as f64 / took.as_secs_f64(),
        puts: tables.message_puts() as f64 / latencies.len() as f64,
        latencies: [percentile(50), percentile(99), percentile(100)],
    })
}

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "MESSAGES_TABLE" => "MessagesTable",
        "CONVERSATIONS_TABLE" => "ConversationsTable",
        "CLIENTS_TABLE" => "ClientsTable",
        "CONNECTIONS_ENDPOINT" => "http://nowhere",
        "MESSAGE_RATE" => "1000",
        "MESSAGE_BURST" => "100000",
        _ => return None,
    };
    Some(value.to_owned())
}

/// Sends messages, each after the acknowledgement of the previous one, and returns the latency of each.
async fn send_sequentially(context: &send::Context, sender: usize, messages: usize) -> Vec<Duration> {
    let (mut latencies, mut newest) = (Vec::new(), 0);
    for number in 0..messages {
        let (seq, took) = send_message(context, sender, &format!("{sender} {number}"), newest).await;
        latencies.push(took);
        newest = seq;
    }
    latencies
}

/// Sends one message and returns its sequence number and latency.
async fn send_message(context: &send::Context, sender: usize, text: &str, newest: u64) -> (u64, Duration) {
    let (user, peer) = if sender.is_multiple_of(2) { ("alice", "bob") } else { ("bob", "alice") };
    let frame = json!({ "recipientId": peer, "content": text, "clientMessageId": text, "lastSeq": newest });
    let event = Fixture::named("send").user(user).frame(&frame).timeout_ms(NO_DEADLINE_MS);
    let began = Instant::now();
    let sent: Value = invoke(context, send::handle, event).await;
    (sent["value"]["seq"].as_u64().unwrap_or_else(|| panic!("{sent}")), began.elapsed())
}

/// Checks that each message is stored once and that the sequence numbers have no gap.
fn check_stored(tables: &SimulatedDynamoDb, count: usize) -> anyhow::Result<()> {
    let rows = support::call(&tables.database, "Scan", json!({ "TableName": "MessagesTable" }))?;
    let rows = rows["Items"].as_array().cloned().unwrap_or_default();
    let texts: BTreeSet<_> = rows.iter().filter_map(|row| row["content"]["S"].as_str()).collect();
    let seqs: BTreeSet<usize> = rows.iter().filter_map(|row| row["seq"]["N"].as_str()?.parse().ok()).collect();
    ensure!(
        seqs.into_iter().eq(1..=count) && texts.len() == count,
        "a message was lost, was stored twice or left a gap"
    );
    Ok(())
}
