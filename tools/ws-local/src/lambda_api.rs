//! `LambdaApi`: the operation `Invoke` of Lambda's API, for SDKs and the AWS CLI.
//!
//! It accepts any signature. A request without one is refused: a web page can't sign, because a browser asks before it sends
//! such a header to another origin, and the answer allows nothing.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    invoke::{Invoke, InvokeError},
    template::Stack,
};

/// A running API. Dropping it stops it at once.
#[derive(Debug)]
pub(crate) struct LambdaApi {
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Functions {
    /// Logical ids by every name that a caller may use: the id itself and the function's name.
    ids: BTreeMap<String, String>,
    invoke: Arc<dyn Invoke>,
}

impl LambdaApi {
    /// Serves the functions of `stack` on `listener`.
    pub(crate) fn start(listener: TcpListener, stack: &Stack, invoke: Arc<dyn Invoke>) -> anyhow::Result<Self> {
        let ids = stack.functions.iter().flat_map(|(id, function)| [id, &function.name].map(|name| (name, id)));
        let ids = ids.map(|(name, id)| (name.clone(), id.clone())).collect();
        let router = Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke_function))
            .with_state(Arc::new(Functions { ids, invoke }));
        let address = listener.local_addr()?;
        // `axum::serve` never returns an error: it accepts until the task is aborted.
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { address, server })
    }

    /// The endpoint for an SDK.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for LambdaApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn invoke_function(
    State(functions): State<Arc<Functions>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !headers.contains_key(header::AUTHORIZATION) {
        return refuse(StatusCode::FORBIDDEN, "MissingAuthenticationTokenException", "the request is not signed");
    }
    // An ARN ends with the name.
    let name = name.rsplit(':').next().unwrap_or_default();
    let Some(id) = functions.ids.get(name) else {
        let known: Vec<_> = functions.ids.keys().map(String::as_str).collect();
        let message = format!("no function {name}; there are {}", known.join(", "));
        return refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    };
    let payload = if body.is_empty() { b"{}".to_vec() } else { body.to_vec() };
    if let Err(error) = serde_json::from_slice::<Value>(&payload) {
        let message = format!("the payload is not JSON: {error}");
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &message);
    }
    let invocation = functions.invoke.invoke(id, payload);
    match headers.get("x-amz-invocation-type").map_or(&b"RequestResponse"[..], |kind| kind.as_bytes()) {
        b"RequestResponse" => respond(invocation.await),
        b"Event" => {
            tokio::spawn(invocation);
            StatusCode::ACCEPTED.into_response()
        }
        b"DryRun" => StatusCode::NO_CONTENT.into_response(),
        _ => {
            let message = "X-Amz-Invocation-Type is RequestResponse, Event or DryRun";
            refuse(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message)
        }
    }
}

/// A function that fails is a success of the API, with a header that says so.
fn respond(result: Result<Vec<u8>, InvokeError>) -> Response {
    let failed = |payload: String| ([("x-amz-function-error", "Unhandled")], payload).into_response();
    match result {
        Ok(payload) => ([(header::CONTENT_TYPE, "application/json")], payload).into_response(),
        Err(InvokeError::Failed(payload)) => failed(payload),
        Err(error @ (InvokeError::TimedOut(_) | InvokeError::Exited(_))) => {
            failed(json!({ "errorMessage": error.to_string() }).to_string())
        }
        Err(error @ InvokeError::Throttled(_)) => {
            refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", &error.to_string())
        }
        Err(InvokeError::Unreachable(error)) => {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", &format!("{error:#}"))
        }
    }
}

fn refuse(status: StatusCode, kind: &'static str, message: &str) -> Response {
    (status, [("x-amzn-errortype", kind)], Json(json!({ "Type": "User", "Message": message }))).into_response()
}

#[cfg(test)]
mod tests {
    use std::{future::ready, path::Path as FilePath, pin::Pin, time::Duration};

    use http_body_util::{BodyExt, Full};
    use hyper::Request;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    use super::*;
    use crate::{invoke::InvokeResult, template};

    /// Returns the name of the function with the payload, or fails as the payload says.
    struct Echo;

    impl Invoke for Echo {
        fn invoke(&self, function: &str, payload: Vec<u8>) -> Pin<Box<dyn Future<Output = InvokeResult> + Send>> {
            let payload: Value = serde_json::from_slice(&payload).unwrap();
            let result = match payload["fail"].as_str() {
                None => Ok(json!({ "function": function, "payload": payload }).to_string().into_bytes()),
                Some("throttled") => Err(InvokeError::Throttled(1)),
                Some("time-out") => Err(InvokeError::TimedOut(Duration::from_secs(1))),
                Some("unreachable") => Err(InvokeError::Unreachable(anyhow::anyhow!("no such file"))),
                Some(text) => Err(InvokeError::Failed(json!({ "errorMessage": text }).to_string())),
            };
            Box::pin(ready(result))
        }
    }

    async fn call(name: &str, headers: &[(&str, &str)], body: &str) -> (u16, HeaderMap, String) {
        let file = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates/auction.yaml");
        let stack = template::load(&file, &BTreeMap::new()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = LambdaApi::start(listener, &stack, Arc::new(Echo)).unwrap();
        let mut request = Request::post(format!("{}/2015-03-31/functions/{name}/invocations", api.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    const SIGNED: (&str, &str) = ("authorization", "AWS4-HMAC-SHA256 …");

    #[tokio::test]
    async fn it_invokes_a_function_by_id_name_and_arn() {
        for name in ["BidFunction", "arn:aws:lambda:eu-west-1:123456789012:function:BidFunction"] {
            let (status, headers, body) = call(name, &[SIGNED], "{\"a\":1}").await;
            assert_eq!((status, body.as_str()), (200, "{\"function\":\"BidFunction\",\"payload\":{\"a\":1}}"));
            assert!(!headers.contains_key("x-amz-function-error"));
        }
        let (_, _, body) = call("BidFunction", &[SIGNED], "").await;
        assert!(body.ends_with("\"payload\":{}}"), "{body}");
    }

    #[tokio::test]
    async fn other_invocation_types_answer_without_a_result() {
        for (kind, expected) in [("Event", 202), ("DryRun", 204), ("RequestResponse", 200), ("Other", 400)] {
            let (status, ..) = call("BidFunction", &[SIGNED, ("x-amz-invocation-type", kind)], "{}").await;
            assert_eq!(status, expected, "{kind}");
        }
    }

    #[tokio::test]
    async fn failures_are_those_of_lambda() {
        for (body, status, kind) in [
            ("{\"fail\":\"throttled\"}", 429, "TooManyRequestsException"),
            ("{\"fail\":\"unreachable\"}", 500, "ServiceException"),
            ("nonsense", 400, "InvalidRequestContentException"),
        ] {
            let (found, headers, _) = call("BidFunction", &[SIGNED], body).await;
            assert_eq!((found, headers["x-amzn-errortype"].to_str().unwrap()), (status, kind), "{body}");
        }
        for body in ["{\"fail\":\"oops\"}", "{\"fail\":\"time-out\"}"] {
            let (status, headers, body) = call("BidFunction", &[SIGNED], body).await;
            assert_eq!((status, headers["x-amz-function-error"].to_str().unwrap()), (200, "Unhandled"));
            assert!(body.contains("errorMessage"), "{body}");
        }
        let (status, headers, body) = call("Nobody", &[SIGNED], "{}").await;
        assert_eq!((status, headers["x-amzn-errortype"].to_str().unwrap()), (404, "ResourceNotFoundException"));
        assert!(body.contains("BidFunction"), "{body}");
        let (status, headers, _) = call("BidFunction", &[], "{}").await;
        assert_eq!(
            (status, headers["x-amzn-errortype"].to_str().unwrap()),
            (403, "MissingAuthenticationTokenException")
        );
    }
}
