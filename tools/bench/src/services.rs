//! DynamoDB and `@connections` endpoints for the functions, metered and with a configurable latency.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dynoxide::Database;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::AbortHandle,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    meter::{AwsCall, Meter, MeteredStream},
    tls::CertificateAuthority,
};

/// DynamoDB and `@connections`, each on a free port of the loopback interface.
pub struct AwsServices {
    /// Records the calls to both services.
    pub meter: Arc<Meter>,
    /// Value for `AWS_ENDPOINT_URL_DYNAMODB`.
    pub dynamodb: String,
    /// Value for `CONNECTIONS_ENDPOINT`.
    pub connections: String,
    shared: Arc<Shared>,
}

impl AwsServices {
    /// Starts both services with these tables, over TLS if `authority` is given. With TLS, as on
    /// AWS, DynamoDB offers only HTTP/1.1; `@connections` also offers HTTP/2 unless the authority
    /// disables it.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(database: Database, authority: Option<&CertificateAuthority>) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            database,
            meter: Arc::default(),
            delay_micros: AtomicU64::new(0),
            hanging: Mutex::default(),
            open: Mutex::default(),
        });
        let acceptor = |protocols: &[&str]| authority.map(|authority| authority.acceptor(protocols)).transpose();
        let dynamodb = serve(shared.clone(), acceptor(&["http/1.1"])?).await?;
        let protocols: &[_] =
            if authority.is_some_and(|authority| authority.http2) { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let gateway = serve(shared.clone(), acceptor(protocols)?).await?;
        Ok(Self { meter: shared.meter.clone(), dynamodb, connections: format!("{gateway}/prod"), shared })
    }

    /// Closes every connection, as AWS does with idle connections.
    pub fn close_connections(&self) {
        self.shared.open().drain(..).for_each(|connection| connection.abort());
    }

    /// Never answers later pushes to connections whose encoded id ends with one of these texts.
    pub fn hang(&self, connections: &[&str]) {
        let mut hanging = self.shared.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        *hanging = connections.iter().map(|&connection| connection.to_owned()).collect();
    }

    /// Delays every later call by this time.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.delay_micros.store(delay.as_micros() as u64, Ordering::Relaxed);
    }
}

struct Shared {
    database: Database,
    open: Mutex<Vec<AbortHandle>>,
    meter: Arc<Meter>,
    delay_micros: AtomicU64,
    /// The ends of the paths whose calls are never answered.
    hanging: Mutex<Vec<String>>,
}

async fn serve(shared: Arc<Shared>, acceptor: Option<TlsAcceptor>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (shared, acceptor) = (shared.clone(), acceptor.clone());
            // If this fails, the measured times are longer, but still correct.
            let _ = stream.set_nodelay(true);
            let stream = MeteredStream { stream, meter: shared.meter.clone() };
            let open = shared.clone();
            let connection = tokio::spawn(async move {
                match acceptor {
                    // Ignore a failed handshake: the function reports it. Some handshakes are
                    // cancelled, because a call uses whichever connection is ready first, possibly
                    // one released by another call.
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve_connection(stream, shared).await;
                        }
                    }
                    None => serve_connection(stream, shared).await,
                }
            });
            open.open().push(connection.abort_handle());
        }
    });
    Ok(url)
}

async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| respond(shared.clone(), request));
    // Ignore errors: the function reports a broken connection.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let began = Instant::now();
    let delay = Duration::from_micros(shared.delay_micros.load(Ordering::Relaxed));
    if !delay.is_zero() {
        sleep(delay).await;
    }
    if shared.hangs(head.uri.path()) {
        std::future::pending::<()>().await;
    }
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let result = match target.and_then(|target| target.rsplit('.').next()) {
        Some(operation) => shared.dynamodb(operation, &body),
        None => CallResult {
            status: 200,
            body: String::new(),
            operation: format!("{} connection", head.method),
            units: 0.0,
        },
    };
    let is_write =
        ["PutItem", "BatchWriteItem", "UpdateItem", "TransactWriteItems"].contains(&result.operation.as_str());
    let (read_units, write_units) = if is_write { (0.0, result.units) } else { (result.units, 0.0) };
    shared.meter.record(AwsCall { operation: result.operation, began, ended: Instant::now(), read_units, write_units });
    let response = Response::builder().status(result.status).header("content-type", "application/x-amz-json-1.0");
    Ok(response.body(result.body.into()).unwrap_or_else(|_: hyper::http::Error| unreachable!("the parts are valid")))
}

struct CallResult {
    operation: String,
    status: u16,
    body: String,
    units: f64,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call with this path is never answered.
    fn hangs(&self, path: &str) -> bool {
        let hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        hanging.iter().any(|end| path.ends_with(end.as_str()))
    }

    /// Carries out a DynamoDB call. Returns the response and the units that AWS would bill.
    fn dynamodb(&self, operation: &str, request: &[u8]) -> CallResult {
        let mut request: Value = serde_json::from_slice(request).unwrap_or_default();
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let operation = operation.to_owned();
        match support::call(&self.database, &operation, request) {
            Ok(mut response) => {
                let consumed = response.as_object_mut().and_then(|response| response.remove("ConsumedCapacity"));
                let consumed = consumed.unwrap_or_default();
                let tables = consumed.as_array().cloned().unwrap_or_else(|| vec![consumed]);
                let units = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
                CallResult { operation, status: 200, body: response.to_string(), units }
            }
            // AWS bills a failed conditional put as a write. No measured action has one.
            Err(error) => CallResult { operation, status: 400, body: error.to_json(), units: 0.0 },
        }
    }
}
