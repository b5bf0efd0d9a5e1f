//! Pushes to many connections, some of which never answer.

use std::time::Duration;

use chat_core::{
    Error, Reply, Request,
    model::time::Timestamp,
    push::{
        connections_api::{ConnectionsApi, PushTimeouts},
        fanout::Fanout,
    },
    store::connections::Connection,
};
use support::{FakeAws, Fixture, invoke};
use tokio::time::timeout;

/// Longer than any test, so that a silent connection keeps what it holds.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the test may take on a slow machine.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

fn connection(id: String) -> Connection {
    Connection::new("bob".to_owned().try_into().unwrap(), id, Timestamp::default(), None)
}

/// A route that pushes to silent connections first, and to fast ones after them.
async fn push_to_all(fanout: &Fanout, request: Request) -> Result<Reply, Error> {
    // More of them than calls are started at once.
    let silent = (0..70).map(|number| connection(format!("silent-{number}")));
    let fast = (0..130).map(|number| connection(format!("fast-{number}")));
    fanout.push(&request, r#"{"type":"message"}"#, silent.chain(fast).collect()).await;
    Ok(Reply::Nothing)
}

#[tokio::test]
async fn silent_connections_delay_no_other() {
    let aws = FakeAws::start().await;
    (0..70).for_each(|number| aws.connections.silence(&format!("silent-{number}")));
    let api = aws.context::<ConnectionsApi>().with_timeouts(PushTimeouts { attempt: FOREVER, total: FOREVER });
    let fanout = Fanout::new(aws.context(), api);
    let event = Fixture::named("send").timeout_ms(FOREVER.as_millis() as u64);
    tokio::select! {
        _ = invoke(&fanout, push_to_all, event) => panic!("the pushes to silent connections can't have ended"),
        reached = timeout(TEST_TIMEOUT, aws.connections.saw(130)) => reached.expect("the fast connections wait for no other"),
    }
    assert!(aws.connections.take_receivers().iter().all(|receiver| receiver.starts_with("fast-")));
}
