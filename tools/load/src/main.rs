//! Many clients at once against the whole local system, with everything checked: nothing lost, doubled or out of order.
//!
//! `make load` runs it: 200 clients in pairs exchange 5,000 messages, each client its next one when the one before is
//! acknowledged.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Client, Local, without_limits};
use ws_local::functions::FunctionOptions;

const PAIRS: usize = 100;
const MESSAGES_EACH: usize = 25;

#[tokio::main]
async fn main() {
    let chat = Local::start_with(|options| {
        without_limits(options);
        options.functions = FunctionOptions { release: true, ..FunctionOptions::default() };
    })
    .await;
    // Everybody at once would be 200 cold starts; a few at a time is what a gateway sees.
    let mut clients = Vec::new();
    for number in 0..PAIRS {
        let (one, other) = (format!("user-{number}-a"), format!("user-{number}-b"));
        let (one, other) = tokio::join!(chat.connect(&one), chat.connect(&other));
        clients.push([one, other]);
    }

    let epoch = Instant::now();
    let tasks = clients.into_iter().flat_map(|[one, other]| {
        let (one, other) = (Arc::new(one), Arc::new(other));
        [(one.clone(), other.clone()), (other, one)]
            .map(|(me, peer)| tokio::spawn(converse(me, peer.user.clone(), epoch)))
    });
    let results: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let took = epoch.elapsed();

    let mut pushed = Vec::new();
    let mut acknowledged = Vec::new();
    for (client, peer, to_push, to_ack, seen) in results {
        let stored = client.catch_up(&peer, 0).await;
        let seqs: Vec<_> = stored.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=2 * MESSAGES_EACH as u64).collect::<Vec<_>>(), "dense, and nothing doubled");
        let from_peer: Vec<_> = stored.into_iter().filter(|message| message["senderId"] == peer.as_str()).collect();
        assert_eq!(seen.len(), MESSAGES_EACH, "each is pushed once");
        // The peer sends its next message when the one before is pushed and acknowledged.
        assert_eq!(seen, from_peer, "what was pushed is what is stored, in that order");
        pushed.extend(to_push);
        acknowledged.extend(to_ack);
    }
    let count = 2 * PAIRS * MESSAGES_EACH;
    println!(
        "{count} messages of {} clients in {took:.1?}: {:.0} a second",
        2 * PAIRS,
        count as f64 / took.as_secs_f64()
    );
    println!("from send to push: {}", quantiles(pushed));
    println!("from send to sent: {}", quantiles(acknowledged));
    chat.stop().await;
}

/// Sends every message and waits for every one of the peer's; gives the times that both took.
async fn converse(
    me: Arc<Client>,
    peer: String,
    epoch: Instant,
) -> (Arc<Client>, String, Vec<Duration>, Vec<Duration>, Vec<Value>) {
    let send = async {
        let mut times = Vec::new();
        for number in 0..MESSAGES_EACH {
            let began = Instant::now();
            let content = (began - epoch).as_micros().to_string();
            let more = json!({ "clientMessageId": number.to_string() });
            let sent = me.send(&peer, &content, more).await;
            assert_eq!(sent["type"], "sent", "{sent}");
            times.push(began.elapsed());
        }
        times
    };
    let receive = async {
        let (mut times, mut seen) = (Vec::new(), Vec::new());
        while seen.len() < MESSAGES_EACH {
            let message = me.next().await["value"].clone();
            let sent = Duration::from_micros(message["content"].as_str().unwrap().parse().unwrap());
            times.push(epoch.elapsed() - sent);
            seen.push(message);
        }
        (times, seen)
    };
    let (acknowledged, (pushed, seen)) = tokio::join!(send, receive);
    assert_eq!(me.already_there().await, None, "nothing is pushed twice");
    (me, peer, pushed, acknowledged, seen)
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    format!("median {:.1?}, p99 {:.1?}", at(50), at(99))
}
