//! Functions that run elsewhere, behind a Lambda Invoke endpoint.

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use anyhow::{Context, anyhow, ensure};
use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Request, Response, StatusCode, Uri},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use tokio::time::timeout;

use super::INIT_TIMEOUT;
use crate::{
    invoke::{Answer, Invoke, InvokeError},
    template::Stack,
};

/// A Lambda Invoke endpoint: `sam local start-lambda`, `cargo lambda watch` or another.
#[derive(Debug, Clone)]
pub struct Remote {
    client: Client<HttpConnector, Body>,
    /// By logical id: address and time-out.
    functions: BTreeMap<String, (Uri, Duration)>,
}

impl Remote {
    /// For the functions of `stack`. `url` is the endpoint's base, such as `http://127.0.0.1:3001`, to which the path
    /// of Lambda's Invoke is added, with the function's logical id. An endpoint that knows the functions by other
    /// names is given with its whole path, in which `{function}` stands for the logical id and `{binary}` for the
    /// Cargo binary: `http://127.0.0.1:9000/2015-03-31/functions/{binary}/invocations` for `cargo lambda watch`.
    pub fn new(stack: &Stack, url: &str) -> anyhow::Result<Self> {
        let has_name = url.contains("{function}") || url.contains("{binary}");
        let pattern = match has_name {
            true => url.to_owned(),
            false => {
                format!("{}/2015-03-31/functions/{{function}}/invocations", url.trim_end_matches('/'))
            }
        };
        let functions = stack.functions.iter().map(|(id, function)| {
            let binary = function.binary.as_deref().unwrap_or(id);
            let address = pattern.replace("{function}", id).replace("{binary}", binary);
            let uri: Uri = address.parse().with_context(|| format!("`{address}` is not an address"))?;
            ensure!(uri.scheme_str() == Some("http"), "`{address}` doesn't begin with http://");
            Ok((id.clone(), (uri, function.timeout + INIT_TIMEOUT)))
        });
        Ok(Self {
            functions: functions.collect::<anyhow::Result<_>>()?,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }
}

impl Invoke for Remote {
    fn invoke(&self, function: &str, event: Vec<u8>) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let remote = self.clone();
        let function = function.to_owned();
        Box::pin(async move {
            let Some((uri, time)) = remote.functions.get(&function) else {
                return Err(InvokeError::Unreachable(anyhow!("no function `{function}`")));
            };
            match timeout(*time, remote.post(uri, event)).await {
                Ok(answer) => answer,
                Err(_) => Err(InvokeError::TimedOut(*time)),
            }
        })
    }
}

impl Remote {
    async fn post(&self, uri: &Uri, event: Vec<u8>) -> Answer {
        let unreachable = |error| InvokeError::Unreachable(error);
        let request = Request::post(uri)
            .header("content-type", "application/json")
            .body(Body::from(event))
            .map_err(|error| unreachable(error.into()))?;
        let response =
            self.client.request(request).await.with_context(|| format!("no answer from {uri}")).map_err(unreachable)?;
        let (head, body) = response.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await.map_err(|error| unreachable(error.into()))?;
        answer(Response::from_parts(head, body))
    }
}

fn answer(response: Response<Bytes>) -> Answer {
    let status = response.status();
    let failed = response.headers().contains_key("x-amz-function-error");
    let body = response.into_body();
    let text = || String::from_utf8_lossy(&body).into_owned();
    match status {
        _ if failed => Err(InvokeError::Failed(text())),
        // Of its limit the endpoint says nothing.
        StatusCode::TOO_MANY_REQUESTS => Err(InvokeError::Throttled(0)),
        status if !status.is_success() => {
            Err(InvokeError::Unreachable(anyhow!("the endpoint answers {status}: {}", text())))
        }
        // `cargo lambda watch` marks a failure by nothing but its payload.
        _ if serde_json::from_slice::<Failure>(&body).is_ok() => Err(InvokeError::Failed(text())),
        _ => Ok(body.into()),
    }
}

/// What a runtime reports in place of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    #[serde(rename = "errorType")]
    _type: String,
    #[serde(rename = "errorMessage")]
    _message: String,
}
