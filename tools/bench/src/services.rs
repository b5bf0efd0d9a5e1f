//! The AWS that the functions call: DynamoDB and `@connections`, which take a settable time, and are metered.

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
    meter::{Call, Counted, Meter},
    tls::Authority,
};

/// Both services, each on a free port of this machine.
pub struct Services {
    /// What is seen of the calls.
    pub meter: Arc<Meter>,
    /// Where DynamoDB is.
    pub dynamodb: String,
    /// What `CONNECTIONS_ENDPOINT` is to be.
    pub connections: String,
    shared: Arc<Shared>,
}

impl Services {
    /// Starts both with these tables, encrypted where there is an authority. As on AWS, DynamoDB then speaks HTTP/1.1 and
    /// API Gateway also HTTP/2, unless the authority says otherwise.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start(database: Database, authority: Option<&Authority>) -> anyhow::Result<Self> {
        let shared =
            Arc::new(Shared { database, meter: Arc::default(), delay: AtomicU64::new(0), open: Mutex::default() });
        let acceptor = |protocols: &[&str]| authority.map(|authority| authority.acceptor(protocols)).transpose();
        let dynamodb = serve(shared.clone(), acceptor(&["http/1.1"])?).await?;
        let both: &[_] =
            if authority.is_some_and(|authority| authority.http2) { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let gateway = serve(shared.clone(), acceptor(both)?).await?;
        Ok(Self { meter: shared.meter.clone(), dynamodb, connections: format!("{gateway}/prod"), shared })
    }

    /// Closes every connection, as services do with those that say nothing for long.
    pub fn hang_up(&self) {
        self.shared.open().drain(..).for_each(|conversation| conversation.abort());
    }

    /// From now on every call takes so much longer.
    pub fn delay(&self, delay: Duration) {
        self.shared.delay.store(delay.as_micros() as u64, Ordering::Relaxed);
    }
}

struct Shared {
    database: Database,
    open: Mutex<Vec<AbortHandle>>,
    meter: Arc<Meter>,
    /// In microseconds.
    delay: AtomicU64,
}

async fn serve(shared: Arc<Shared>, acceptor: Option<TlsAcceptor>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (shared, acceptor) = (shared.clone(), acceptor.clone());
            // Only costs time where it can't be had.
            let _ = stream.set_nodelay(true);
            let stream = Counted { stream, meter: shared.meter.clone() };
            let open = shared.clone();
            let conversation = tokio::spawn(async move {
                match acceptor {
                    // One that fails is the function's to tell. It gives up some: a call takes whichever connection is ready
                    // first, a new one or one that another call has done with.
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            converse(stream, shared).await;
                        }
                    }
                    None => converse(stream, shared).await,
                }
            });
            open.open().push(conversation.abort_handle());
        }
    });
    Ok(url)
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let answer = service_fn(move |request| answer(shared.clone(), request));
    // Its end, good or bad, is the function's to see.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let began = Instant::now();
    let delay = Duration::from_micros(shared.delay.load(Ordering::Relaxed));
    if !delay.is_zero() {
        sleep(delay).await;
    }
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let answered = match target.and_then(|target| target.rsplit('.').next()) {
        Some(operation) => shared.dynamodb(operation, &body),
        None => {
            Answered { status: 200, body: String::new(), operation: format!("{} connection", head.method), units: 0.0 }
        }
    };
    let is_write = ["PutItem", "DeleteItem", "UpdateItem", "TransactWriteItems"].contains(&answered.operation.as_str());
    let (read_units, write_units) = if is_write { (0.0, answered.units) } else { (answered.units, 0.0) };
    shared.meter.note(Call { operation: answered.operation, began, ended: Instant::now(), read_units, write_units });
    let response = Response::builder().status(answered.status).header("content-type", "application/x-amz-json-1.0");
    Ok(response.body(answered.body.into()).unwrap_or_else(|_: hyper::http::Error| unreachable!("the parts are valid")))
}

struct Answered {
    operation: String,
    status: u16,
    body: String,
    units: f64,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What DynamoDB answers, and the units that it would bill.
    fn dynamodb(&self, operation: &str, request: &[u8]) -> Answered {
        let mut request: Value = serde_json::from_slice(request).unwrap_or_default();
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let operation = operation.to_owned();
        match support::call(&self.database, &operation, request) {
            Ok(mut answer) => {
                let consumed = answer.as_object_mut().and_then(|answer| answer.remove("ConsumedCapacity"));
                let consumed = consumed.unwrap_or_default();
                let tables = consumed.as_array().cloned().unwrap_or_else(|| vec![consumed]);
                let units = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
                Answered { operation, status: 200, body: answer.to_string(), units }
            }
            // A failed condition is billed as the write that it was to be; none of the actions has one.
            Err(error) => Answered { operation, status: 400, body: error.to_json(), units: 0.0 },
        }
    }
}
