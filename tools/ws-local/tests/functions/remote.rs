//! Functions behind an Invoke endpoint.

use axum::{
    Router,
    extract::{OriginalUri, Path},
    http::StatusCode,
    response::IntoResponse,
    routing::post,
};
use ws_local::{
    functions::Remote,
    invoke::{Answer, Invoke, InvokeError},
};

use crate::project::Project;

/// What comes of an event at an endpoint that does as the event says.
async fn invoke(path: &str, event: &str) -> Answer {
    let handler = async |Path(name): Path<String>, OriginalUri(uri): OriginalUri, body: String| match body.as_str() {
        "fail" => ([("x-amz-function-error", "Unhandled")], "{}").into_response(),
        "fail bare" => r#"{"errorType":"Fault","errorMessage":"as told"}"#.into_response(),
        "throttle" => StatusCode::TOO_MANY_REQUESTS.into_response(),
        "break" => (StatusCode::BAD_GATEWAY, "no container").into_response(),
        _ => format!("{name} {uri} {body}").into_response(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", listener.local_addr().unwrap());
    let endpoint = Router::new().route("/2015-03-31/functions/{name}/invocations", post(handler));
    tokio::spawn(async move { axum::serve(listener, endpoint).await });
    let stack = Project::shared().stack(|function| function.binary = Some("worker".to_owned()));
    let remote = Remote::new(&stack, &url).unwrap();
    remote.invoke("Worker", event.into()).await
}

#[tokio::test]
async fn an_endpoint_is_asked_by_logical_id() {
    let answer = String::from_utf8(invoke("/", "event").await.unwrap()).unwrap();
    assert_eq!(answer, "Worker /2015-03-31/functions/Worker/invocations event");
}

#[tokio::test]
async fn an_endpoint_is_asked_by_the_name_that_its_address_wants() {
    let path = "/2015-03-31/functions/{binary}/invocations";
    let answer = String::from_utf8(invoke(path, "event").await.unwrap()).unwrap();
    assert_eq!(answer, "worker /2015-03-31/functions/worker/invocations event");
}

#[tokio::test]
async fn a_failure_is_known_by_its_header_or_its_shape() {
    for event in ["fail", "fail bare"] {
        let answer = invoke("", event).await;
        assert!(matches!(answer, Err(InvokeError::Failed(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_throttles_or_breaks_or_is_not_there_is_told_apart() {
    let answer = invoke("", "throttle").await;
    assert!(matches!(answer, Err(InvokeError::Throttled(_))), "{answer:?}");
    let answer = invoke("", "break").await;
    let Err(InvokeError::Unreachable(error)) = answer else { panic!("{answer:?}") };
    assert!(error.to_string().contains("no container"), "{error}");

    let stack = Project::shared().stack(|_| {});
    // Port 1 is nobody's.
    let remote = Remote::new(&stack, "http://127.0.0.1:1").unwrap();
    let answer = remote.invoke("Worker", Vec::new()).await;
    assert!(matches!(answer, Err(InvokeError::Unreachable(_))), "{answer:?}");
    assert!(Remote::new(&stack, "not an address").is_err());
}
