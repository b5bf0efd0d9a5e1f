//! `GatewayState`: the state that all parts of one gateway share.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::Connections,
    limits::{Bucket, Limits},
    route_selection::RouteSelection,
};
use crate::{
    event::{Event, EventSink, RequestRecord},
    invoke::Invoke,
    template::Stack,
};

pub(super) struct GatewayState {
    pub(super) stack: Stack,
    pub(super) selection: RouteSelection,
    pub(super) invoke: Arc<dyn Invoke>,
    pub(super) events: EventSink,
    pub(super) limits: Limits,
    /// Address that the gateway listens on.
    pub(super) address: SocketAddr,
    pub(super) connections: Connections,
    pub(super) new_connections: Bucket,
    pub(super) requests: Bucket,
    pub(super) tasks: TaskTracker,
    /// Cancelled when the gateway stops: it accepts no more connections, and closes those that are open.
    pub(super) closing: CancellationToken,
    /// Cancelled when the gateway no longer waits for its tasks.
    pub(super) abandoned: CancellationToken,
}

/// Runs a task until it ends or the gateway abandons it.
pub(super) fn spawn(state: &GatewayState, task: impl Future<Output = ()> + Send + 'static) {
    let abandoned = state.abandoned.clone();
    state.tasks.spawn(async move { abandoned.run_until_cancelled(task).await });
}

/// Reports a request whose handling has just ended.
pub(super) fn record(
    state: &GatewayState,
    connection: &str,
    route: &str,
    status: u16,
    started: Instant,
    detail: Option<String>,
) {
    record_reply(state, connection, route, status, started, (None, detail));
}

/// As [`record`], with the code and the message of the reply.
pub(super) fn record_reply(
    state: &GatewayState,
    connection: &str,
    route: &str,
    status: u16,
    started: Instant,
    (code, detail): (Option<String>, Option<String>),
) {
    state.events.send(Event::Request(RequestRecord {
        at: SystemTime::now(),
        connection: connection.to_owned(),
        route: route.to_owned(),
        status,
        code,
        duration: started.elapsed(),
        detail,
    }));
}
