//! `load`: load test of the release build. Clients exchange messages through the local system, and
//! every message is checked.

mod groups;
mod held;
mod pushes;
mod typing;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use clap::Parser;
use futures_util::future::join_all;
use serde_json::json;
use support::{ChatClient, Local, Message, without_limits};
use ws_local::functions::FunctionOptions;

use held::{Held, Known};
use pushes::Pushes;
use typing::Typists;

/// Load test of the local system. Pairs of clients exchange messages. Each client sends its next
/// message when the previous one is acknowledged. Fails if a message is lost, reordered or stored
/// twice. Prints throughput, latency and the number of repeated pushes.
#[derive(Parser)]
struct Arguments {
    /// Number of pairs of clients.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Number of messages that each client sends.
    #[arg(long, default_value_t = 25)]
    messages: usize,
    /// A folder with the output of `cargo lambda build --release`, instead of a build of the sources.
    #[arg(long)]
    prebuilt: Option<PathBuf>,
    /// What a client says about the conversation when it sends.
    #[arg(long, value_enum, default_value_t = Known::Position)]
    known: Known,
    /// Number of further clients that are typing. The messages are then exchanged three times: without, with and without
    /// them.
    #[arg(long, default_value_t = 0)]
    typing: usize,
    /// Number of groups of 50 members. The messages are then sent in these groups, and not between pairs.
    #[arg(long, default_value_t = 0)]
    groups: usize,
}

#[tokio::main]
async fn main() {
    let Arguments { pairs, messages, prebuilt, known, typing, groups } = Arguments::parse();
    let chat = Local::start_with(|options| {
        without_limits(options);
        options.functions = FunctionOptions { release: true, prebuilt, ..FunctionOptions::default() };
    })
    .await;
    if groups > 0 {
        groups::run(&chat, groups).await;
        return chat.stop().await;
    }
    let load = Load { pairs, messages, known };
    let none = Typists::connect(&chat, 0).await;
    load.run(&chat, "user", &none).await;
    if typing > 0 {
        let typists = Typists::connect(&chat, typing).await;
        println!("with {typing} clients that are typing:");
        let with = load.run(&chat, "user-beside-typists", &typists).await;
        let pushes = typists.drain().await;
        assert!(pushes > 0, "typing is pushed");
        println!("{pushes} pushes of typing; without them:");
        // The first run had cold starts.
        let without = load.run(&chat, "user-after-typists", &none).await;
        let (with, without) = (median(with), median(without));
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!("send to push: median {with:.1?} with typing, {without:.1?} without: {ratio:.2} times as long");
    }
    chat.stop().await;
}

/// What the clients do.
struct Load {
    pairs: usize,
    messages: usize,
    known: Known,
}

impl Load {
    /// Connects new clients, which exchange their messages. Returns the times from send to push.
    async fn run(&self, chat: &Local, name: &str, typists: &Typists) -> Vec<Duration> {
        let &Self { pairs, messages, known } = self;
        let clients = connect(chat, name, pairs).await;

        let start = Instant::now();
        let exchanges = clients.iter().flat_map(|[one, other]| {
            [(one.clone(), other.user.clone()), (other.clone(), one.user.clone())]
                .map(|(client, peer)| tokio::spawn(exchange(client, peer, messages, known, start)))
        });
        let results: Vec<_> = tokio::select! {
            results = join_all(exchanges) => results.into_iter().map(Result::unwrap).collect(),
            () = typists.keep_typing() => unreachable!("typing never ends"),
        };
        let elapsed = start.elapsed();

        join_all(results.iter().map(|result| result.check(messages))).await;
        let (clients, count) = (2 * pairs, 2 * pairs * messages);
        let rate = count as f64 / elapsed.as_secs_f64();
        println!("{count} messages between {clients} clients in {elapsed:.1?}: {rate:.0} messages/s");
        let push_times: Vec<_> = results.iter().flat_map(|result| &result.push_times).copied().collect();
        println!("{} pushes were repeated", results.iter().map(|result| result.repeats).sum::<usize>());
        println!("send to push: {}", percentiles(&push_times));
        println!("send to sent: {}", percentiles(results.iter().flat_map(|result| &result.reply_times)));
        push_times
    }
}

/// Connects one pair at a time, because connecting all at once would measure cold starts.
async fn connect(chat: &Local, name: &str, pairs: usize) -> Vec<[Arc<ChatClient>; 2]> {
    let mut clients = Vec::new();
    for number in 0..pairs {
        let (one, other) = (format!("{name}-{number}-a"), format!("{name}-{number}-b"));
        let (one, other) = tokio::join!(chat.connect(&one), chat.connect(&other));
        clients.push([Arc::new(one), Arc::new(other)]);
    }
    clients
}

/// Measurements and messages of one client.
struct Exchange {
    client: Arc<ChatClient>,
    peer: String,
    /// From the peer's send to the push.
    push_times: Vec<Duration>,
    /// From the client's own send to the reply.
    reply_times: Vec<Duration>,
    pushed: Vec<Message>,
    /// Number of repeated pushes.
    repeats: usize,
}

/// Sends all messages of one client and receives all messages of its peer.
async fn exchange(client: Arc<ChatClient>, peer: String, messages: usize, known: Known, start: Instant) -> Exchange {
    let held = Mutex::new(Held::default());
    let held = || held.lock().expect("nothing panics while it holds this");
    let send = async {
        let mut times = Vec::new();
        for number in 0..messages {
            let sent_at = Instant::now();
            let content = (sent_at - start).as_micros().to_string();
            let mut more = held().as_known(known);
            more["clientMessageId"] = json!(number.to_string());
            let sent = client.send(&peer, &content, more).await.unwrap();
            times.push(sent_at.elapsed());
            held().add(sent.seq, sent.position);
        }
        times
    };
    let receive = async {
        let (mut times, mut pushed, mut pushes) = (Vec::new(), Vec::new(), Pushes::default());
        while pushed.len() < messages {
            let frame = client.next_frame().await;
            let Some(message) = pushes.add(&frame) else { continue };
            let message: Message = serde_json::from_value(message.clone()).unwrap();
            held().add(message.seq, frame["position"].as_str().map(str::to_owned));
            let sent_at = Duration::from_micros(message.content.parse().unwrap());
            times.push(start.elapsed() - sent_at);
            pushed.push(message);
        }
        (times, pushed, pushes)
    };
    let (reply_times, (push_times, pushed, mut pushes)) = tokio::join!(send, receive);
    while let Some(frame) = client.buffered_frame().await {
        assert_eq!(pushes.add(&frame), None, "no more messages are pushed than were sent");
    }
    Exchange { client, peer, push_times, reply_times, pushed, repeats: pushes.repeats }
}

impl Exchange {
    async fn check(&self, messages: usize) {
        let stored = self.client.catch_up(&self.peer, 0).await;
        let seqs: Vec<_> = stored.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (1..=2 * messages as u64).collect::<Vec<_>>(), "no gap, and no message is stored twice");
        let from_peer: Vec<_> = stored.into_iter().filter(|message| message.sender_id == self.peer).collect();
        assert_eq!(self.pushed.len(), messages, "each message is pushed");
        // Pushes arrive in order, because the peer sends its next message only after the previous
        // one is pushed and acknowledged.
        assert_eq!(self.pushed, from_peer, "the pushed messages are the stored ones, in the same order");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[(times.len() - 1) / 2]
}

fn percentiles<'a>(times: impl IntoIterator<Item = &'a Duration>) -> String {
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort();
    let percentile = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("median {:.1?}, p99 {:.1?}", percentile(50), percentile(99))
}
