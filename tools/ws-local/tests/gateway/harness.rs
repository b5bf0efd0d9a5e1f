//! `TestGateway`: a gateway with closures as functions. It collects the events and request records.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use ws_local::{
    event::{Event, EventSink, RequestRecord},
    gateway::{Gateway, GatewayOptions, Limits},
    invoke::{Invoke, InvokeError, InvokeResult},
    template::{Api, Authorizer, Route, Stack},
};

use crate::wire::{Client, HttpResponse};

/// Longer than any step of a test takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `what`, and panics if it takes too long.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it never happened")
}

type BoxFuture = Pin<Box<dyn Future<Output = InvokeResult> + Send>>;
type Body = Box<dyn Fn(Value) -> BoxFuture + Send + Sync>;

/// Functions by name, each a closure. Every event that a function receives is sent to `seen`.
struct Functions {
    bodies: HashMap<String, Body>,
    seen: mpsc::UnboundedSender<(String, Value)>,
}

impl Invoke for Functions {
    fn invoke(&self, function: &str, event: Vec<u8>) -> BoxFuture {
        let event: Value = serde_json::from_slice(&event).unwrap();
        self.seen.send((function.to_owned(), event.clone())).ok();
        (self.bodies[function])(event)
    }
}

/// The response `{statusCode: 200}`.
pub(crate) fn ok() -> InvokeResult {
    respond(json!({"statusCode": 200}))
}

pub(crate) fn respond(value: Value) -> InvokeResult {
    Ok(value.to_string().into_bytes())
}

/// A response with a body for the client.
pub(crate) fn reply(body: &str) -> InvokeResult {
    respond(json!({"statusCode": 200, "body": body}))
}

pub(crate) fn fail(message: &str) -> InvokeResult {
    Err(InvokeError::Failed(json!({"errorType": "E", "errorMessage": message}).to_string()))
}

/// A function body that waits for `go` before it returns.
pub(crate) fn after(
    go: &Arc<Notify>,
    result: fn() -> InvokeResult,
) -> impl Fn(Value) -> BoxFuture + Send + Sync + 'static {
    let go = Arc::clone(go);
    move |_| {
        let go = Arc::clone(&go);
        Box::pin(async move {
            go.notified().await;
            result()
        })
    }
}

/// A stack without routes.
pub(crate) fn stack() -> Stack {
    let api = Api {
        logical_id: "Api".into(),
        api_id: "abcdef1234".into(),
        stage: "prod".into(),
        route_selection_expression: "$request.body.action".into(),
        routes: BTreeMap::new(),
        authorizer: None,
    };
    Stack {
        region: "eu-west-1".into(),
        account_id: "123456789012".into(),
        api,
        functions: BTreeMap::new(),
        tables: Vec::new(),
        secrets: Vec::new(),
    }
}

/// Builder for a stack and its functions. Each route is added with its function.
pub(crate) struct Setup {
    stack: Stack,
    bodies: HashMap<String, Body>,
    pub(crate) options: GatewayOptions,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self { stack: stack(), bodies: HashMap::new(), options: GatewayOptions::default() }
    }

    fn add<F>(mut self, key: &str, replies: bool, body: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = InvokeResult> + Send + 'static,
    {
        let timeout = Duration::from_secs(29);
        let route = Route { function: key.to_owned(), replies, timeout };
        self.stack.api.routes.insert(key.to_owned(), route);
        self.bodies.insert(key.to_owned(), Box::new(move |event| Box::pin(body(event))));
        self
    }

    /// Adds a route that does not reply. Its function has the name of the route.
    pub(crate) fn route<F>(self, key: &str, body: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = InvokeResult> + Send + 'static,
    {
        self.add(key, false, body)
    }

    /// Adds a route that replies.
    pub(crate) fn replying<F>(self, key: &str, body: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = InvokeResult> + Send + 'static,
    {
        self.add(key, true, body)
    }

    /// Adds a route whose function returns 200 without a body.
    pub(crate) fn quiet(self, key: &str) -> Self {
        self.route(key, async |_| ok())
    }

    pub(crate) fn authorizer<F>(mut self, sources: &[&str], body: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = InvokeResult> + Send + 'static,
    {
        let identity_sources = sources.iter().map(|source| (*source).to_owned()).collect();
        self.stack.api.authorizer = Some(Authorizer { function: "authorizer".into(), identity_sources });
        self.bodies.insert("authorizer".into(), Box::new(move |event| Box::pin(body(event))));
        self
    }

    pub(crate) fn limits(mut self, set: impl FnOnce(&mut Limits)) -> Self {
        set(&mut self.options.limits);
        self
    }

    pub(crate) fn stack(mut self, set: impl FnOnce(&mut Stack)) -> Self {
        set(&mut self.stack);
        self
    }

    pub(crate) async fn start(self) -> TestGateway {
        let (seen, events) = mpsc::unbounded_channel();
        let (recorded, records) = mpsc::unbounded_channel();
        let functions = Arc::new(Functions { bodies: self.bodies, seen });
        let mut options = self.options;
        options.events = EventSink::new(move |event| match event {
            Event::Request(record) => drop(recorded.send(record)),
            other => panic!("the gateway reports only requests, not {other:?}"),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Gateway::start(listener, &self.stack, functions, options).unwrap();
        TestGateway { gateway, events: Mutex::new((events, Vec::new())), records: tokio::sync::Mutex::new(records) }
    }
}

type Events = (mpsc::UnboundedReceiver<(String, Value)>, Vec<(String, Value)>);

pub(crate) struct TestGateway {
    pub(crate) gateway: Gateway,
    events: Mutex<Events>,
    records: tokio::sync::Mutex<mpsc::UnboundedReceiver<RequestRecord>>,
}

impl TestGateway {
    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Waits for the next event of this function. Keeps events of other functions.
    pub(crate) async fn event(&self, function: &str) -> Value {
        soon(std::future::poll_fn(|context| {
            let (arriving, kept) = &mut *self.events.lock().unwrap();
            while let std::task::Poll::Ready(Some(event)) = arriving.poll_recv(context) {
                kept.push(event);
            }
            match kept.iter().position(|(name, _)| name == function) {
                Some(at) => std::task::Poll::Ready(kept.remove(at).1),
                None => std::task::Poll::Pending,
            }
        }))
        .await
    }

    /// Number of events that this function has received and [`Self::event`] has not returned yet.
    pub(crate) fn waiting(&self, function: &str) -> usize {
        let (arriving, kept) = &mut *self.events.lock().unwrap();
        while let Ok(event) = arriving.try_recv() {
            kept.push(event);
        }
        kept.iter().filter(|(name, _)| name == function).count()
    }

    /// Waits for the next record of this route. Drops earlier records of other routes.
    pub(crate) async fn record(&self, route: &str) -> RequestRecord {
        let mut records = self.records.lock().await;
        loop {
            let record = soon(records.recv()).await.unwrap();
            if record.route == route {
                return record;
            }
        }
    }

    /// Connects with a query such as `?userId=alice`.
    pub(crate) async fn connect(&self, query: &str) -> Client {
        self.connect_with(query, &[]).await
    }

    pub(crate) async fn connect_with(&self, query: &str, headers: &[(&'static str, &'static str)]) -> Client {
        let url = format!("ws://{}/prod{query}", self.address());
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, response) = soon(tokio_tungstenite::connect_async(request)).await.unwrap();
        Client { socket, response }
    }

    /// Connects, and returns the id in the event of the `$connect` route, which the stack must have.
    pub(crate) async fn connect_known(&self) -> (Client, String) {
        let client = self.connect("").await;
        let event = self.event("$connect").await;
        let id = event["requestContext"]["connectionId"].as_str().unwrap().to_owned();
        (client, id)
    }

    /// Sends an upgrade request and returns the response, whatever its status.
    pub(crate) async fn upgrade(&self, query: &str, headers: &[(&str, &str)]) -> HttpResponse {
        let mut all = vec![
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        all.extend(headers);
        self.http("GET", &format!("/prod{query}"), &all, b"").await
    }

    /// A signed call of `@connections`.
    pub(crate) async fn manage(&self, method: &str, id: &str, body: &[u8]) -> HttpResponse {
        let path = format!("/prod/@connections/{}", id.replace('=', "%3D"));
        self.http(method, &path, &[("Authorization", SIGNED)], body).await
    }

    /// Sends a plain HTTP request.
    pub(crate) async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> HttpResponse {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address());
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        soon(HttpResponse::read(&mut stream)).await
    }
}

/// A signature in the right format.
pub(crate) const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20221026/eu-west-1/execute-api/aws4_request, \
     SignedHeaders=content-length;host;x-amz-date, \
     Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024";
