//! Delivery to many connections, some of which never answer.

use std::time::Duration;

use chat_core::clients::Connection;
use support::FakeAws;
use tokio::time::timeout;

/// What a silent connection gets: no test lasts so long, so a place that it holds stays held.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the test may take: machines are slow, but not for ever.
const PATIENCE: Duration = Duration::from_secs(60);

fn connection(id: String) -> Connection {
    Connection::new("bob".to_owned().try_into().unwrap(), id, 0, None)
}

#[tokio::test]
async fn silent_connections_hold_up_nobody() {
    let aws = FakeAws::start().await;
    // More of them than are begun at once, and first in the line.
    let silent: Vec<_> = (0..70).map(|number| connection(format!("silent-{number}"))).collect();
    silent.iter().for_each(|silent| aws.connections.silence(&silent.connection_id));
    let fast = (0..130).map(|number| connection(format!("fast-{number}")));
    let all = silent.into_iter().chain(fast).collect();
    let delivery = aws.patient_delivery(FOR_EVER);
    tokio::select! {
        _ = delivery.deliver(r#"{"type":"message"}"#, all, 0) => panic!("the silent ones can't have ended"),
        reached = timeout(PATIENCE, aws.connections.wait_for_pushes(130)) => reached.expect("the fast ones wait for nobody"),
    }
    assert!(aws.connections.take_receivers().iter().all(|receiver| receiver.starts_with("fast-")));
}
