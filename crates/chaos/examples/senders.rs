//! How many messages one conversation takes, by how many senders at once: `make senders`.
//!
//! The real `send` works on the real table, but in a time of its own, in which a call to DynamoDB takes 5 to 10 ms and
//! all else nothing. So the figures are those of the algorithm, and the same on every machine. Nobody is connected, so
//! nothing is pushed.

#![allow(clippy::unwrap_used, reason = "a program for developers, in which a panic is the answer")]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use chat_core::{
    clients::Clients,
    conversations::Conversations,
    delivery::Delivery,
    messages::Messages,
    rate_limit::{RateLimit, RateLimiter},
};
use dynoxide::{Database, errors::DynoxideError};
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Event, ask};
use tokio::time::{Instant, sleep};

/// How many messages each sender has at least, and all together.
const MESSAGES: (usize, usize) = (4, 200);
/// What one way to DynamoDB takes, in microseconds; a call takes two.
const WAY: std::ops::RangeInclusive<u64> = 2_500..=5_000;
/// A function's time counts by the machine's clock, which means nothing here.
const NO_END_MS: u64 = 1_000_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tokio::time::pause();
    fastrand::seed(1);
    println!("senders  messages  a second  puts each  median       p99   longest");
    for senders in [1, 10, 25, 50, 75, 100] {
        println!("{}", round(senders).await);
    }
}

async fn round(senders: usize) -> String {
    let table = Table { database: testkit::tables(), puts: Arc::default() };
    let aws = table.config().await;
    let chat = (
        Messages::new(&aws, "MessagesTable".to_owned()),
        Conversations::new(&aws, "ConversationsTable".to_owned()),
        Clients::new(&aws, "ClientsTable".to_owned()),
        Delivery::new(&aws, "http://nowhere".to_owned()),
        RateLimiter::new(RateLimit::new(RateLimit::MAX_PER_SECOND, RateLimit::MAX_BURST)),
    );
    let each = MESSAGES.0.max(MESSAGES.1 / senders);
    let count = each * senders;
    let began = Instant::now();
    let all = join_all((0..senders).map(|sender| talk(&chat, sender, each))).await;
    let took = began.elapsed();

    let scan = serde_json::from_value(json!({ "TableName": "MessagesTable" })).unwrap();
    let rows = serde_json::to_value(table.database.scan(scan).unwrap()).unwrap();
    let rows = rows["Items"].as_array().unwrap();
    let texts: BTreeSet<_> = rows.iter().map(|row| row["content"]["S"].as_str().unwrap()).collect();
    let seqs: BTreeSet<usize> = rows.iter().map(|row| row["seq"]["N"].as_str().unwrap().parse().unwrap()).collect();
    assert!(seqs.into_iter().eq(1..=count) && texts.len() == count, "all are stored, each once, without a hole");
    let mut waits: Vec<_> = all.into_iter().flatten().collect();
    waits.sort();
    let wait = |part: usize| format!("{:.0} ms", waits[(waits.len() - 1) * part / 100].as_secs_f64() * 1_000.0);
    format!(
        "{senders:7}  {count:8}  {:8.0}  {:9.2}  {:>8}  {:>8}  {:>8}",
        count as f64 / took.as_secs_f64(),
        table.puts.load(Ordering::Relaxed) as f64 / count as f64,
        wait(50),
        wait(99),
        wait(100),
    )
}

/// Says its messages, the next one when the one before is acknowledged; how long each took.
async fn talk(chat: &send::Chat, sender: usize, messages: usize) -> Vec<Duration> {
    let (user, peer) = if sender.is_multiple_of(2) { ("alice", "bob") } else { ("bob", "alice") };
    let (mut waits, mut last_seq) = (Vec::new(), 0);
    for number in 0..messages {
        let id = format!("{sender} {number}");
        let frame = json!({ "recipientId": peer, "content": id, "clientMessageId": id, "lastSeq": last_seq });
        let event = Event::of("send").from(user).saying(&frame).within(NO_END_MS);
        let began = Instant::now();
        let route = async |chat: &send::Chat, request| send::handle_with(chat, request, Duration::MAX).await;
        let sent: Value = ask(chat, route, event).await;
        waits.push(began.elapsed());
        last_seq = sent["value"]["seq"].as_u64().unwrap_or_else(|| panic!("{sent}"));
    }
    waits
}

/// The tables, at the other end of a way that takes time.
#[derive(Clone)]
struct Table {
    database: Database,
    puts: Arc<AtomicUsize>,
}

impl Table {
    async fn config(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.clone())
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .region(Region::from_static("eu-west-1"))
            .endpoint_url("http://dynamodb")
            .load()
            .await
    }

    fn answer(&self, operation: &str, body: Value) -> Result<Value, DynoxideError> {
        // Of messages; the first one of a conversation is put into inboxes, too.
        let is_message = operation == "PutItem" && body["TableName"] == "MessagesTable";
        self.puts.fetch_add(usize::from(is_message), Ordering::Relaxed);
        testkit::call(&self.database, operation, body)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

impl HttpConnector for Table {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let table = self.clone();
        HttpConnectorFuture::new(async move {
            let operation = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
            let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            sleep(Duration::from_micros(fastrand::u64(WAY))).await;
            let (status, body) = match table.answer(operation.unwrap(), body) {
                Ok(answer) => (200, answer.to_string()),
                Err(error) => (400, error.to_json()),
            };
            sleep(Duration::from_micros(fastrand::u64(WAY))).await;
            Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body)))
        })
    }
}

impl HttpClient for Table {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
