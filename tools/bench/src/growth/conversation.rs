//! One conversation, ever busier: the real `send` on the real tables, in a time of its own. Nobody is connected, so
//! nothing is pushed.

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use anyhow::ensure;
use chat_core::{
    configuration::{Configuration, FromConfiguration},
    model::rate_limit::RateLimit,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Fixture, invoke};
use tokio::{
    runtime,
    time::{Instant, sleep_until},
};

use crate::timeless::Tables;

/// How many messages each round has.
const MESSAGES: usize = 200;
/// Of a sender that says one when the one before is acknowledged: at least so many.
const MESSAGES_EACH: usize = 2;
/// A function's time counts by the machine's clock, which means nothing here.
const NO_END_MS: u64 = 1_000_000_000;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Writers {
    /// So many, each of whom waits until one message is acknowledged before the next.
    AtOnce(usize),
    /// As many as it takes for so many messages a second, which come at random.
    Rate(f64),
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Who wrote.
    pub writers: Writers,
    /// How many messages a second were stored.
    pub stored: f64,
    /// How often each was put.
    pub puts: f64,
    /// Milliseconds from event to answer: the median, 99 of 100, and all.
    pub waits: [f64; 3],
}

/// Does it all, each round in a fresh table.
///
/// # Errors
/// Where a message was lost, doubled, or left a hole.
pub fn rows(rounds: &[Writers]) -> anyhow::Result<Vec<Row>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    fastrand::seed(1);
    rounds.iter().map(|writers| runtime.block_on(round(*writers))).collect()
}

async fn round(writers: Writers) -> anyhow::Result<Row> {
    let tables = Tables::new();
    let aws = tables.config().await;
    let configuration = Configuration::new(variable, aws);
    let chat = send::Context::from_configuration(&configuration)?.with_fast_put(Duration::MAX);
    let began = Instant::now();
    let mut waits: Vec<Duration> = match writers {
        Writers::AtOnce(count) => {
            let each = MESSAGES_EACH.max(MESSAGES / count);
            let all = join_all((0..count).map(|writer| converse(&chat, writer, each))).await;
            all.into_iter().flatten().collect()
        }
        Writers::Rate(rate) => {
            let (mut at, newest) = (began, Cell::new(0));
            let arrivals: Vec<_> = std::iter::repeat_with(|| {
                // As independent senders come: the pauses are exponentially distributed.
                at += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
                at
            })
            .take(MESSAGES)
            .collect();
            let arrivals = arrivals.into_iter().enumerate();
            join_all(arrivals.map(async |(number, at)| {
                sleep_until(at).await;
                let (seq, took) = say(&chat, number, &format!("{number}"), newest.get()).await;
                newest.set(newest.get().max(seq));
                took
            }))
            .await
        }
    };
    let took = began.elapsed();
    check(&tables, waits.len())?;
    waits.sort();
    let wait = |part: usize| waits[(waits.len() - 1) * part / 100].as_secs_f64() * 1_000.0;
    Ok(Row {
        writers,
        stored: waits.len() as f64 / took.as_secs_f64(),
        puts: tables.puts() as f64 / waits.len() as f64,
        waits: [wait(50), wait(99), wait(100)],
    })
}

/// The variables of `send`, with the highest rate limit.
fn variable(name: &str) -> Option<String> {
    let value = match name {
        "CLIENTS_TABLE" => "ClientsTable",
        "MESSAGES_TABLE" => "MessagesTable",
        "CONVERSATIONS_TABLE" => "ConversationsTable",
        "CONNECTIONS_ENDPOINT" => "http://nowhere",
        "MESSAGE_RATE" => return Some(RateLimit::MAX_PER_SECOND.to_string()),
        "MESSAGE_BURST" => return Some(RateLimit::MAX_BURST.to_string()),
        _ => return None,
    };
    Some(value.to_owned())
}

/// Says messages, the next one when the one before is acknowledged; how long each took.
async fn converse(chat: &send::Context, writer: usize, messages: usize) -> Vec<Duration> {
    let (mut waits, mut newest) = (Vec::new(), 0);
    for number in 0..messages {
        let (seq, took) = say(chat, writer, &format!("{writer} {number}"), newest).await;
        waits.push(took);
        newest = seq;
    }
    waits
}

/// Says one message; the number that it got, and how long that took.
async fn say(chat: &send::Context, writer: usize, text: &str, newest: u64) -> (u64, Duration) {
    let (user, peer) = if writer.is_multiple_of(2) { ("alice", "bob") } else { ("bob", "alice") };
    let frame = json!({ "recipientId": peer, "content": text, "clientMessageId": text, "lastSeq": newest });
    let event = Fixture::named("send").user(user).frame(&frame).timeout_ms(NO_END_MS);
    let began = Instant::now();
    let sent: Value = invoke(chat, send::handle, event).await;
    (sent["value"]["seq"].as_u64().unwrap_or_else(|| panic!("{sent}")), began.elapsed())
}

/// All are stored, each once, without a hole.
fn check(tables: &Tables, count: usize) -> anyhow::Result<()> {
    let rows = support::call(&tables.database, "Scan", json!({ "TableName": "MessagesTable" }))?;
    let rows = rows["Items"].as_array().cloned().unwrap_or_default();
    let texts: BTreeSet<_> = rows.iter().filter_map(|row| row["content"]["S"].as_str()).collect();
    let seqs: BTreeSet<usize> = rows.iter().filter_map(|row| row["seq"]["N"].as_str()?.parse().ok()).collect();
    ensure!(seqs.into_iter().eq(1..=count) && texts.len() == count, "a message was lost or doubled, or left a hole");
    Ok(())
}
