//! `RuntimeApi`: the Lambda Runtime API (2018-06-01) of one process.
//!
//! Each process has its own listener. The address is therefore a plain `HOST:PORT`, as on Lambda,
//! and every call is known to come from that process. A shared listener with a path per process
//! would not work, because `lambda_runtime` accepts a path only after `http://`, and Lambda's
//! address has no scheme.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};
use uuid::Uuid;

/// The longest response that Lambda accepts, in bytes (the number in its own error message).
const MAX_RESPONSE: usize = 6_291_556;

/// One call of a process on its Runtime API.
#[derive(Debug)]
pub(super) enum RuntimeCall {
    /// The process asks for an invocation.
    Next(oneshot::Sender<Invocation>),
    /// The response to the invocation with this request id.
    Response(String, Bytes),
    /// The invocation with this request id failed, with this error (JSON).
    Failure(String, String),
    /// The process can't start, with this error (JSON).
    InitFailure(String),
}

/// One invocation, as a process gets it.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) function_arn: String,
    pub(super) trace_id: String,
    pub(super) deadline: SystemTime,
    pub(super) payload: Bytes,
}

/// The Runtime API server of one process. It stops when this value is dropped.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub(super) address: SocketAddr,
    /// Calls of the process, in order.
    pub(super) calls: mpsc::UnboundedReceiver<RuntimeCall>,
    server: AbortHandle,
}

type Calls = State<mpsc::UnboundedSender<RuntimeCall>>;

impl RuntimeApi {
    /// Serves on a free port of the loopback interface.
    pub(super) fn serve() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
            // Ignore errors: without the option, calls are only slower.
            let _ = stream.set_nodelay(true);
        });
        let (sender, calls) = mpsc::unbounded_channel();
        let api = Router::new()
            .route("/invocation/next", get(next))
            .route("/invocation/{id}/response", post(response))
            .route("/invocation/{id}/error", post(error))
            .route("/init/error", post(init_error))
            .layer(DefaultBodyLimit::disable())
            .with_state(sender);
        let server =
            tokio::spawn(async move { axum::serve(listener, Router::new().nest("/2018-06-01/runtime", api)).await });
        Ok(Self { address, calls, server: server.abort_handle() })
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(calls): Calls) -> Response {
    let (waiter, invocation) = oneshot::channel();
    let sent = calls.send(RuntimeCall::Next(waiter));
    match invocation.await {
        Ok(invocation) if sent.is_ok() => invocation.into_response(),
        // The sender was dropped, because the process is about to be killed.
        _ => StatusCode::GONE.into_response(),
    }
}

async fn response(State(calls): Calls, Path(id): Path<String>, body: Bytes) -> StatusCode {
    if body.len() > MAX_RESPONSE {
        let error = serde_json::json!({
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": format!(
                "Response payload size ({} bytes) exceeded maximum allowed payload size ({MAX_RESPONSE} bytes).",
                body.len()
            ),
        });
        forward(&calls, RuntimeCall::Failure(id, error.to_string()));
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    forward(&calls, RuntimeCall::Response(id, body))
}

async fn error(State(calls): Calls, Path(id): Path<String>, body: Bytes) -> StatusCode {
    forward(&calls, RuntimeCall::Failure(id, text(&body)))
}

async fn init_error(State(calls): Calls, body: Bytes) -> StatusCode {
    forward(&calls, RuntimeCall::InitFailure(text(&body)))
}

fn forward(calls: &mpsc::UnboundedSender<RuntimeCall>, call: RuntimeCall) -> StatusCode {
    match calls.send(call) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::GONE,
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

impl IntoResponse for Invocation {
    fn into_response(self) -> Response {
        let deadline = since_epoch(self.deadline).as_millis();
        let headers = [
            (name("content-type"), "application/json".to_owned()),
            (name("lambda-runtime-aws-request-id"), self.request_id),
            (name("lambda-runtime-invoked-function-arn"), self.function_arn),
            (name("lambda-runtime-deadline-ms"), deadline.to_string()),
            (name("lambda-runtime-trace-id"), self.trace_id),
        ];
        (headers, self.payload).into_response()
    }
}

/// A new, unique trace id in X-Ray's format.
pub(super) fn new_trace_id() -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("Root=1-{:08x}-{};Sampled=0", since_epoch(SystemTime::now()).as_secs(), &random[..24])
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

const fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}
