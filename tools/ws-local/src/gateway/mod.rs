//! API Gateway's WebSocket API on one machine, for any stack: sockets at `/STAGE`, `@connections` below it, the keys of
//! an issuer of tokens, and a folder of static files at `/`.
//!
//! A request for a socket passes [`handshake`] (throttles, `authorizer`, the `$connect` function) and becomes a
//! [`connection`], whose life is [`socket`]: it reads messages, which [`message`] routes, and writes what
//! [`management`] and the replies of functions put into its outbox. What functions get to see is in [`events`].

mod answer;
mod authorizer;
mod clock;
mod connection;
mod end;
mod events;
mod handshake;
mod id;
mod invocation;
mod limits;
mod management;
mod message;
mod opening;
mod policy;
mod record;
mod refusal;
mod selection;
mod socket;
mod writer;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Instant, SystemTime},
};

use axum::{
    Json, Router,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
    serve::ListenerExt,
};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

use self::{connection::Connections, limits::Bucket, selection::Selection};
pub use self::{
    limits::{Limits, Rate},
    record::{Record, Recorder},
};
use crate::{invoke::Invoke, issuer::Issuer, template::Stack};

/// A gateway that serves. Dropping it ends it at once; [`Gateway::stop`] ends it in good order.
pub struct Gateway {
    core: Arc<Core>,
    server: JoinHandle<()>,
}

/// How a gateway differs from an AWS account's.
pub struct Options {
    /// What it allows.
    pub limits: Limits,
    /// Files that it serves at `/`, for browsers to ask anew each time.
    pub web: Option<PathBuf>,
    /// The folder with the key of an issuer of tokens, whose public half is served at [`JWKS_PATH`].
    pub issuer: Option<PathBuf>,
    /// Who is told of every event.
    pub recorder: Recorder,
}

/// Where issuers publish their keys.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";

impl Default for Options {
    /// AWS's limits, no files, no issuer, and nobody is told.
    fn default() -> Self {
        Self { limits: Limits::default(), web: None, issuer: None, recorder: Arc::new(|_| {}) }
    }
}

/// Why a gateway didn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The API's `RouteSelectionExpression` isn't `$request.body.` and a path.
    #[error("the route selection expression `{0}` is not like `$request.body.action`")]
    Selection(String),
    /// The listener has no address.
    #[error("the gateway's listener has no address")]
    Listener(#[from] std::io::Error),
}

impl Gateway {
    /// Serves `stack`'s API on `listener`, calling its functions through `invoke`. Has to be called within a tokio
    /// runtime.
    pub fn start(
        listener: TcpListener,
        stack: &Stack,
        invoke: Arc<dyn Invoke>,
        options: Options,
    ) -> Result<Self, StartError> {
        let Options { limits, web, issuer, recorder } = options;
        let expression = &stack.api.route_selection_expression;
        let selection = Selection::parse(expression).ok_or_else(|| StartError::Selection(expression.clone()))?;
        let core = Arc::new(Core {
            stack: stack.clone(),
            selection,
            invoke,
            recorder,
            address: listener.local_addr()?,
            connections: Connections::default(),
            new_connections: Bucket::new(limits.connections),
            requests: Bucket::new(limits.requests),
            limits,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            abandoned: CancellationToken::new(),
        });
        let router = router(&core, web, issuer).into_make_service_with_connect_info::<SocketAddr>();
        let closing = core.closing.clone();
        let listener = listener.tap_io(|stream| {
            // Frames are small and somebody waits for each. A socket that refuses is as good, only slower.
            let _ = stream.set_nodelay(true);
        });
        let server = axum::serve(listener, router).with_graceful_shutdown(closing.cancelled_owned());
        let server = tokio::spawn(async {
            // It has no error of its own: accepting goes on until it is told to end.
            let _ = server.await;
        });
        Ok(Self { core, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.core.address
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.core.connections.count()
    }

    /// Closes every connection with 1001, runs the `$disconnect`s, and waits for what still runs, but not for longer
    /// than [`Limits::stopping`].
    pub async fn stop(mut self) {
        let core = Arc::clone(&self.core);
        core.closing.cancel();
        core.tasks.close();
        let limit = core.limits.stopping;
        let ended = timeout(limit, async {
            core.tasks.wait().await;
            // An error says that it panicked; then it is as ended as can be.
            let _ = (&mut self.server).await;
        });
        if ended.await.is_err() {
            core.abandoned.cancel();
            core.tasks.wait().await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.core.closing.cancel();
        self.core.abandoned.cancel();
        self.server.abort();
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// What every part of one gateway shares.
struct Core {
    stack: Stack,
    selection: Selection,
    invoke: Arc<dyn Invoke>,
    recorder: Recorder,
    limits: Limits,
    address: SocketAddr,
    connections: Connections,
    new_connections: Bucket,
    requests: Bucket,
    tasks: TaskTracker,
    /// No more connections, and those that are open close.
    closing: CancellationToken,
    /// No more waiting for anything.
    abandoned: CancellationToken,
}

impl Core {
    /// Runs a task until it ends or the gateway gives up on it.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let abandoned = self.abandoned.clone();
        self.tasks.spawn(async move { abandoned.run_until_cancelled(task).await });
    }

    /// Tells the recorder of an event that is done.
    fn record(&self, connection: &str, route: &str, status: u16, started: Instant, detail: Option<String>) {
        (self.recorder)(Record {
            at: SystemTime::now(),
            connection: connection.to_owned(),
            route: route.to_owned(),
            status,
            duration: started.elapsed(),
            detail,
        });
    }
}

/// The paths of the one port.
fn router(core: &Arc<Core>, web: Option<PathBuf>, issuer: Option<PathBuf>) -> Router {
    let files = match web {
        Some(folder) => Router::new()
            .fallback_service(ServeDir::new(folder))
            .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))),
        None => Router::new(),
    };
    let files = match issuer {
        Some(folder) => files.route(JWKS_PATH, routing::get(async move || jwks(&folder))),
        None => files,
    };
    let stage = &core.stack.api.stage;
    let connections = routing::post(management::post).get(management::get).delete(management::delete);
    files
        .route(&format!("/{stage}"), routing::get(handshake::upgrade))
        .route(&format!("/{stage}/@connections/{{id}}"), connections)
        .with_state(Arc::clone(core))
}

/// The issuer's public keys, read anew each time: its file may be deleted, and a new key made, at any time.
fn jwks(folder: &Path) -> Response {
    match Issuer::open(folder) {
        Ok(issuer) => Json(issuer.jwks()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}
