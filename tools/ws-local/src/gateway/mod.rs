//! `Gateway`: the WebSocket API of a stack. It serves WebSockets at `/STAGE`, `@connections` below
//! that path, the token issuer's public keys, and a folder of static files at `/`.
//!
//! [`handshake`] turns an upgrade request into a [`connection`]: it checks the throttles and
//! invokes the authorizer and the `$connect` function. [`socket`] then reads the client's messages,
//! and [`message`] routes them to functions. [`socket`] also sends the messages that [`management`]
//! and the functions' responses queue for the client. [`events`] builds the payloads for the
//! functions. All modules share one [`state`].

mod authorizer;
mod close;
mod connection;
mod events;
mod handshake;
mod id;
mod invocation;
mod limits;
mod management;
mod message;
mod policy;
mod proxy_response;
mod refusal;
mod route_selection;
mod socket;
mod state;
mod upgrade_request;
mod writer;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Json, Router,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
    serve::ListenerExt,
};
use futures_util::future::join_all;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

pub use self::limits::{Limits, Rate};
use self::{connection::Connections, limits::Bucket, route_selection::RouteSelection, state::GatewayState};
use crate::{event::EventSink, invoke::Invoke, issuer::Issuer, template::Stack};

/// The path of the token issuer's public keys.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";

/// A running gateway. Dropping it stops it at once; [`Gateway::stop`] closes its connections first.
pub struct Gateway {
    state: Arc<GatewayState>,
    server: JoinHandle<()>,
}

/// Options of a gateway that differ from API Gateway on AWS. The default has AWS's limits and
/// serves neither files nor keys.
#[derive(Debug, Default)]
pub struct GatewayOptions {
    /// The quotas.
    pub limits: Limits,
    /// The folder of the files served at `/`. Browsers must revalidate each file.
    pub web: Option<PathBuf>,
    /// Folder of the token issuer's key. Its public key is served at [`JWKS_PATH`].
    pub issuer: Option<PathBuf>,
    /// Receives an [`crate::event::Event::Request`] for every request.
    pub events: EventSink,
    /// Serves the same on these listeners, too.
    pub more_listeners: Vec<TcpListener>,
}

/// Why a gateway didn't start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The API's `RouteSelectionExpression` isn't `$request.body.` and a path.
    #[error("the route selection expression `{0}` is not like `$request.body.action`")]
    Selection(String),
    /// The listener has no address.
    #[error("the gateway's listener has no address")]
    Listener(#[from] std::io::Error),
}

impl Gateway {
    /// Serves `stack`'s API on `listener`, with the functions that `invoke` runs. Must be called within a tokio runtime.
    pub fn start(
        listener: TcpListener,
        stack: &Stack,
        invoke: Arc<dyn Invoke>,
        options: GatewayOptions,
    ) -> Result<Self, GatewayError> {
        let GatewayOptions { limits, web, issuer, events, more_listeners } = options;
        let expression = &stack.api.route_selection_expression;
        let selection = RouteSelection::parse(expression).ok_or_else(|| GatewayError::Selection(expression.clone()))?;
        let state = Arc::new(GatewayState {
            stack: stack.clone(),
            selection,
            invoke,
            events,
            address: listener.local_addr()?,
            connections: Connections::default(),
            new_connections: Bucket::new(limits.connections),
            requests: Bucket::new(limits.requests),
            limits,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            abandoned: CancellationToken::new(),
        });
        let router = router(&state, web, issuer).into_make_service_with_connect_info::<SocketAddr>();
        let servers = [listener].into_iter().chain(more_listeners).map(|listener| {
            let listener = listener.tap_io(|stream| {
                // Ignore errors: without the option, small frames are only slower.
                let _ = stream.set_nodelay(true);
            });
            let closing = state.closing.clone();
            axum::serve(listener, router.clone()).with_graceful_shutdown(closing.cancelled_owned()).into_future()
        });
        let servers = join_all(servers);
        let server = tokio::spawn(async {
            // `axum::serve` never returns an error: it accepts until it is cancelled.
            servers.await;
        });
        Ok(Self { state, server })
    }

    /// The first address that the gateway listens on.
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.state.connections.count()
    }

    /// Closes every connection with 1001, runs the `$disconnect` functions, and waits for running
    /// invocations, for at most [`Limits::stopping`].
    pub async fn stop(mut self) {
        let state = Arc::clone(&self.state);
        state.closing.cancel();
        state.tasks.close();
        let ended = timeout(state.limits.stopping, async {
            state.tasks.wait().await;
            // An error means that the server's task panicked, so it has ended too.
            let _ = (&mut self.server).await;
        });
        if ended.await.is_err() {
            state.abandoned.cancel();
            state.tasks.wait().await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.state.closing.cancel();
        self.state.abandoned.cancel();
        self.server.abort();
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address()).finish_non_exhaustive()
    }
}

fn router(state: &Arc<GatewayState>, web: Option<PathBuf>, issuer: Option<PathBuf>) -> Router {
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
    let stage = &state.stack.api.stage;
    let connections = routing::post(management::post).get(management::get).delete(management::delete);
    files
        .route(&format!("/{stage}"), routing::get(handshake::upgrade))
        .route(&format!("/{stage}/@connections/{{id}}"), connections)
        .with_state(Arc::clone(state))
}

/// The issuer's public keys. The key file is read for each request, because it may be deleted and
/// created again at any time.
fn jwks(folder: &Path) -> Response {
    match Issuer::open(folder) {
        Ok(issuer) => Json(issuer.jwks()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}
