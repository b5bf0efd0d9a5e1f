//! Fan-out to many connections, some of which never respond.

use std::time::{Duration, Instant};

use chat_core::{
    Request,
    model::time::Timestamp,
    protocol::{metrics::MetricsRecorder, request::Origin},
    push::{
        connections_api::{ConnectionsApi, PushTimeouts},
        fanout::Fanout,
    },
    store::connections::Connection,
};
use support::FakeAws;
use tokio::time::timeout;

/// Time-out of a push to a silent connection: longer than any test, so that it keeps what it holds.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);
/// Time-out of the test on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn connection(id: String) -> Connection {
    Connection::new("bob".to_owned().try_into().unwrap(), id, Timestamp::from_millis(0), None, None)
}

fn request() -> Request {
    let now = Timestamp::from_millis(0);
    Request {
        user: "alice".to_owned().try_into().unwrap(),
        origin: Origin::Connection,
        connection_id: "alice".to_owned(),
        connected_at: now,
        token_expires_at: None,
        client: None,
        received_at: now,
        deadline: Instant::now() + FOREVER,
        subprotocols: Vec::new(),
        frame: String::new(),
        metrics: MetricsRecorder::new(now),
    }
}

#[tokio::test]
async fn silent_connections_do_not_delay_others() {
    let aws = FakeAws::start().await;
    // More silent connections than calls start at once, and before all others.
    let silent: Vec<_> = (0..70).map(|number| connection(format!("silent-{number}"))).collect();
    silent.iter().for_each(|silent| aws.connections.silence(&silent.connection_id));
    let fast = (0..130).map(|number| connection(format!("fast-{number}")));
    let all = silent.into_iter().chain(fast).collect();
    let timeouts = PushTimeouts { attempt: FOREVER, total: FOREVER };
    let fanout = Fanout::new(aws.context(), aws.context::<ConnectionsApi>().with_timeouts(timeouts));
    let request = request();
    tokio::select! {
        _ = fanout.push(&request, r#"{"type":"message"}"#, all) => panic!("pushes to silent connections can't end"),
        reached = timeout(PATIENCE, aws.connections.wait_for_pushes(130)) => reached.expect("pushes to fast connections do not wait"),
    }
    assert!(aws.connections.take_receivers().iter().all(|receiver| receiver.starts_with("fast-")));
}
