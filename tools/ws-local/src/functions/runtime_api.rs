//! The Lambda Runtime API (2018-06-01) of one process.
//!
//! Each process has a listener of its own. So it is told a plain `HOST:PORT`, as on Lambda (`lambda_runtime` takes a
//! path only behind an `http://` that Lambda doesn't write), and who calls is known without asking.

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

/// The longest answer that Lambda takes, in bytes (the figure that its own error message names).
const LONGEST_ANSWER: usize = 6_291_556;

/// What a process says on its Runtime API.
#[derive(Debug)]
pub(super) enum Call {
    /// It wants an event, and waits for it.
    Next(oneshot::Sender<Handout>),
    /// It answers the event with this id.
    Answer(String, Bytes),
    /// It failed on the event with this id: an error as JSON.
    Failure(String, String),
    /// It can't start: an error as JSON.
    InitFailure(String),
}

/// An event on its way to a process.
#[derive(Debug, Clone)]
pub(super) struct Handout {
    pub(super) request_id: String,
    pub(super) function_arn: String,
    pub(super) trace_id: String,
    pub(super) deadline: SystemTime,
    pub(super) event: Bytes,
}

/// One process's Runtime API, served until it is dropped.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    /// What the process finds in `AWS_LAMBDA_RUNTIME_API`.
    pub(super) address: SocketAddr,
    /// In the order in which the process made them.
    pub(super) calls: mpsc::UnboundedReceiver<Call>,
    server: AbortHandle,
}

type Calls = State<mpsc::UnboundedSender<Call>>;

impl RuntimeApi {
    /// Listens on a free port of this machine only.
    pub(super) fn serve() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
            // Only costs time where it can't be had.
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
    let (sender, handout) = oneshot::channel();
    let asked = calls.send(Call::Next(sender));
    match handout.await {
        Ok(handout) if asked.is_ok() => handout.into_response(),
        // The process is on its way out: nobody keeps a place for it any more.
        _ => StatusCode::GONE.into_response(),
    }
}

async fn response(State(calls): Calls, Path(id): Path<String>, body: Bytes) -> StatusCode {
    if body.len() > LONGEST_ANSWER {
        let error = serde_json::json!({
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": format!(
                "Response payload size ({} bytes) exceeded maximum allowed payload size ({LONGEST_ANSWER} bytes).",
                body.len()
            ),
        });
        take(&calls, Call::Failure(id, error.to_string()));
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    take(&calls, Call::Answer(id, body))
}

async fn error(State(calls): Calls, Path(id): Path<String>, body: Bytes) -> StatusCode {
    take(&calls, Call::Failure(id, text(&body)))
}

async fn init_error(State(calls): Calls, body: Bytes) -> StatusCode {
    take(&calls, Call::InitFailure(text(&body)))
}

fn take(calls: &mpsc::UnboundedSender<Call>, call: Call) -> StatusCode {
    match calls.send(call) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::GONE,
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

impl IntoResponse for Handout {
    fn into_response(self) -> Response {
        let deadline = since_1970(self.deadline).as_millis();
        let headers = [
            (name("content-type"), "application/json".to_owned()),
            (name("lambda-runtime-aws-request-id"), self.request_id),
            (name("lambda-runtime-invoked-function-arn"), self.function_arn),
            (name("lambda-runtime-deadline-ms"), deadline.to_string()),
            (name("lambda-runtime-trace-id"), self.trace_id),
        ];
        (headers, self.event).into_response()
    }
}

/// A trace id as X-Ray makes them, which no other has.
pub(super) fn fresh_trace_id() -> String {
    let noise = Uuid::new_v4().simple().to_string();
    format!("Root=1-{:08x}-{};Sampled=0", since_1970(SystemTime::now()).as_secs(), &noise[..24])
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

const fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}
