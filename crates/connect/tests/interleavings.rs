//! Connections of one user that open, close and are found gone at the same time, with the real routes.

use std::{
    cell::Cell,
    collections::BTreeSet,
    pin::Pin,
    sync::{Arc, Mutex},
};

use chat_core::lambda;
use futures_util::future::join_all;
use proptest::{prelude::*, sample::Index};
use serde_json::json;
use support::{FakeAws, Fixture, Outcome, invoke};
use tokio::{runtime::Runtime, sync::Notify};

/// The time of `events/connect.json`, in milliseconds since the Unix epoch.
const NOW: i64 = 1_793_535_556_857;
/// Old enough for a 410 to mean that the connection is gone.
const AN_HOUR_AGO: i64 = NOW - 3_600_000;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// It is open before, and stays open.
    Stays,
    /// It is opened.
    Opens,
    /// It is open before, and is closed.
    Closes,
    /// It is stored before, and a push finds it gone.
    IsGone,
    /// It is opened, closed and found gone, in any order.
    Flickers,
}

impl Fate {
    const ALL: [Self; 5] = [Self::Stays, Self::Opens, Self::Closes, Self::IsGone, Self::Flickers];
}

type Event<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

struct Routes {
    connect: connect::Context,
    disconnect: disconnect::Context,
    send: send::Context,
}

impl Routes {
    fn new(aws: &FakeAws, max_connections: &str) -> Self {
        let connect = aws.try_context(&[("MAX_CONNECTIONS", max_connections)]).unwrap();
        Self { connect, disconnect: aws.context(), send: aws.context() }
    }

    async fn connect(&self, id: &str) {
        let event = Fixture::named("connect").user("alice").connection(id);
        let event = event.set("/requestContext/connectedAt", json!(AN_HOUR_AGO));
        let handled = lambda::handle_event(&self.connect, event.lambda(), connect::handle).await;
        assert_eq!(serde_json::to_value(handled).unwrap()["statusCode"], 200);
    }

    async fn disconnect(&self, id: &str) {
        let event = Fixture::named("disconnect").user("alice").connection(id);
        invoke(&self.disconnect, disconnect::handle, event).await;
    }

    /// A message to alice, which finds the connections that are gone.
    async fn push(&self) {
        let event = Fixture::named("send").user("bob").frame(&json!({ "recipientId": "alice", "content": "Hi" }));
        assert_eq!(invoke(&self.send, send::handle, event).await["type"], "sent");
    }
}

/// Runs all events at once. Their calls for connections take effect one after the other, in an order that `picks` selects.
async fn interleave(aws: &FakeAws, events: Vec<Event<'_>>, picks: &[Index]) {
    let (held, changed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let (calls, arriving) = (held.clone(), changed.clone());
    aws.dynamodb.inject(move |call| {
        if !call.is_on("ClientsTable") {
            return Outcome::Forward;
        }
        let released = Arc::new(Notify::new());
        calls.lock().unwrap().push(released.clone());
        arriving.notify_one();
        Outcome::Hold(released)
    });
    let running = Cell::new(events.len());
    let events = join_all(events.into_iter().map(async |event| {
        event.await;
        running.set(running.get() - 1);
        changed.notify_one();
    }));
    let release = async {
        let mut picks = picks.iter().cycle();
        while running.get() > 0 {
            // Each event waits for one call at a time. An event that still runs will make its next call, or end.
            if held.lock().unwrap().len() < running.get() {
                changed.notified().await;
                continue;
            }
            let mut held = held.lock().unwrap();
            let next = picks.next().unwrap().index(held.len());
            held.swap_remove(next).notify_one();
        }
    };
    tokio::join!(events, release);
    aws.dynamodb.inject(|_| Outcome::Forward);
}

/// The events of a connection, each delivered once or twice.
fn events<'a>(routes: &'a Routes, id: &'a str, fate: Fate, times: usize) -> Vec<Event<'a>> {
    let mut events: Vec<Event<'a>> = Vec::new();
    for _ in 0..times {
        if matches!(fate, Fate::Opens | Fate::Flickers) {
            events.push(Box::pin(routes.connect(id)));
        }
        if matches!(fate, Fate::Closes | Fate::Flickers) {
            events.push(Box::pin(routes.disconnect(id)));
        }
    }
    events
}

async fn check(fates: &[(Fate, usize)], pushes: usize, picks: &[Index]) {
    let aws = FakeAws::start().await;
    let routes = Routes::new(&aws, "100");
    let connections: Vec<_> =
        fates.iter().enumerate().map(|(number, (fate, times))| (format!("{number}="), *fate, *times)).collect();
    aws.put_connection("bob", "bob", AN_HOUR_AGO);
    for (id, fate, _) in &connections {
        if matches!(fate, Fate::Stays | Fate::Closes | Fate::IsGone) {
            aws.put_connection("alice", id, AN_HOUR_AGO);
        }
        if matches!(fate, Fate::IsGone | Fate::Flickers) {
            aws.connections.answer(id, &[410]);
        }
    }
    let mut all: Vec<Event<'_>> = (0..pushes).map(|_| Box::pin(routes.push()) as Event<'_>).collect();
    all.extend(connections.iter().flat_map(|(id, fate, times)| events(&routes, id, *fate, *times)));

    interleave(&aws, all, picks).await;

    let stored: BTreeSet<_> = aws.stored_connections().into_iter().map(|(_, id)| id).collect();
    assert!(stored.contains("bob"), "another user's connection");
    for (id, fate, _) in &connections {
        let is_stored = stored.contains(id);
        match fate {
            Fate::Stays | Fate::Opens => assert!(is_stored, "{id} is open and was removed: {stored:?}"),
            Fate::Closes | Fate::IsGone => assert!(!is_stored, "{id} has ended and is stored: {stored:?}"),
            // The last one of its events decides.
            Fate::Flickers => {}
        }
    }
}

#[test]
fn no_event_of_a_connection_removes_another_one() {
    let runtime = Runtime::new().unwrap();
    let fates = prop::collection::vec((prop::sample::select(Fate::ALL.to_vec()), 1_usize..3), 2..7);
    let picks = prop::collection::vec(any::<Index>(), 32);
    proptest!(support::strategies::cases(64), |(fates in fates, pushes in 1_usize..3, picks in picks)| {
        runtime.block_on(check(&fates, pushes, &picks));
    });
}

/// One of alice's devices connects again and again. Its earlier connection is closed before its next one opens, at the same
/// time, or after it, and each event of every second round is delivered twice. Returns the last connection.
async fn live(routes: &Routes, device: usize, rounds: usize) -> String {
    let twice = async |first: Event<'_>, second: Event<'_>, round: usize| {
        first.await;
        if round.is_multiple_of(2) {
            second.await;
        }
    };
    let mut open: Option<String> = None;
    for round in 0..rounds {
        let new = format!("{device}-{round}=");
        let connect = twice(Box::pin(routes.connect(&new)), Box::pin(routes.connect(&new)), round);
        let disconnect = async {
            if let Some(old) = &open {
                twice(Box::pin(routes.disconnect(old)), Box::pin(routes.disconnect(old)), round).await;
            }
        };
        match (device + round) % 3 {
            0 => {
                disconnect.await;
                connect.await;
            }
            1 => {
                tokio::join!(connect, disconnect);
            }
            _ => {
                connect.await;
                disconnect.await;
            }
        }
        open = Some(new);
    }
    open.unwrap()
}

#[tokio::test]
async fn after_a_storm_of_twenty_devices_the_item_has_exactly_the_living_connections() {
    const DEVICES: usize = 20;
    // With a connect and a disconnect each, and every second event delivered twice, these are about 3,000 events.
    const ROUNDS: usize = 50;
    let aws = FakeAws::start().await;
    let routes = Routes::new(&aws, "100");
    let last = join_all((0..DEVICES).map(|device| live(&routes, device, ROUNDS))).await;
    // The devices with an odd number disconnect in the end.
    let (living, ended): (Vec<_>, Vec<_>) = last.into_iter().enumerate().partition(|(device, _)| device % 2 == 0);
    join_all(ended.iter().map(|(_, id)| routes.disconnect(id))).await;

    let mut living: Vec<_> = living.into_iter().map(|(_, id)| ("alice".to_owned(), id)).collect();
    living.sort();
    assert_eq!(aws.stored_connections(), living);
    assert_eq!(aws.connections.take_closed().len(), 0);
    assert!(aws.dynamodb.take_counts()["UpdateItem"] > 2_000);
}
