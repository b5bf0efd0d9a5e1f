//! `FaultProxy`: an HTTP proxy that passes each call to a function. The function forwards, delays,
//! alters or fails it.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::State,
    http::{HeaderMap, Method, Request, Response, Uri},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;

/// A proxy on a free port of loopback. It runs until the process ends.
#[derive(Debug, Clone)]
pub struct FaultProxy {
    url: String,
    upstream: Upstream,
}

impl FaultProxy {
    /// Starts a proxy without an upstream. `on_call` returns the response to each call.
    pub async fn start<F, R>(on_call: F) -> Self
    where
        F: Fn(Upstream, HttpCall) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let upstream = Upstream::default();
        let router = Router::new()
            .fallback(async |State((on_call, upstream)): State<(F, Upstream)>, method, uri: Uri, headers, body| {
                let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
                on_call(upstream, HttpCall { method, path, headers, body }).await
            })
            .with_state((on_call, upstream.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, upstream }
    }

    /// URL for clients, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets the upstream, such as `http://127.0.0.1:8000`. Later calls have no effect.
    pub fn set_upstream(&self, target: String) {
        // A second target has no effect, as documented.
        let _ = self.upstream.target.set(target);
    }
}

/// One call as it arrived.
#[derive(Debug, Clone)]
pub struct HttpCall {
    pub method: Method,
    /// Path of the request, including the query string.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl HttpCall {
    /// The value of a header; empty if it is absent or not ASCII.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The operation of a call to DynamoDB, such as `PutItem`.
    pub fn operation(&self) -> &str {
        self.header("x-amz-target").rsplit('.').next().unwrap_or_default()
    }

    /// The access key that signed the call; empty if none did.
    pub fn access_key(&self) -> &str {
        let credential = self.header("authorization").split_once("Credential=").map_or("", |(_, rest)| rest);
        credential.split('/').next().unwrap_or_default()
    }
}

/// The HTTP service behind a proxy.
#[derive(Debug, Clone)]
pub struct Upstream {
    target: Arc<OnceLock<String>>,
    client: Client<HttpConnector, Body>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self { target: Arc::default(), client: Client::builder(TokioExecutor::new()).build_http() }
    }
}

impl Upstream {
    /// Forwards a call and returns the whole response. `None` if no response comes.
    pub async fn forward(&self, call: HttpCall) -> Option<Response<Bytes>> {
        let request = Request::builder().method(call.method).uri(format!("{}{}", self.target.get()?, call.path));
        let mut request = request.body(Body::from(call.body)).expect("the target is an address");
        *request.headers_mut() = call.headers;
        request.headers_mut().remove("host");
        let (parts, body) = self.client.request(request).await.ok()?.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await.ok()?;
        Some(Response::from_parts(parts, body))
    }
}

/// A response whose body ends with an error, so that the caller can't tell whether the call
/// succeeded.
pub fn lost_response() -> Response<Body> {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("the response is lost")) });
    Response::new(Body::from_stream(broken))
}
