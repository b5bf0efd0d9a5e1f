//! Where a proxy passes calls on to.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Method, Request, Response},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// An HTTP service of this machine.
#[derive(Debug, Clone)]
pub struct Upstream {
    target: String,
    client: Client<HttpConnector, Body>,
}

impl Upstream {
    /// The one at `target`, such as `http://127.0.0.1:8000`.
    pub fn new(target: String) -> Self {
        Self { target, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Passes a call on and gives back the whole answer; none where there is none.
    pub async fn forward(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<Response<Bytes>> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.target));
        let mut request = request.body(Body::from(body)).expect("the target is an address");
        *request.headers_mut() = headers;
        request.headers_mut().remove("host");
        let (parts, body) = self.client.request(request).await.ok()?.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await.ok()?;
        Some(Response::from_parts(parts, body))
    }
}

/// A body that breaks off: the caller can't know whether the call was done.
pub fn broken() -> Response<Body> {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("the answer is lost")) });
    Response::new(Body::from_stream(broken))
}
