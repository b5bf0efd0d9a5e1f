//! Static files and the issuer's keys.

use std::{pin::Pin, sync::Arc};
use ws_local::{
    gateway::{Gateway, GatewayError, GatewayOptions, JWKS_PATH},
    invoke::{Invoke, InvokeResult},
    issuer::Issuer,
};

use crate::harness::*;

#[tokio::test]
async fn the_page_is_served_at_the_root_and_never_from_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<title>Chat</title>").unwrap();
    std::fs::write(folder.path().join("chat.js"), "let a = 1;").unwrap();
    let mut setup = Setup::new();
    setup.options.web = Some(folder.path().to_owned());
    let gateway = setup.start().await;
    for (path, content, kind) in
        [("/", "<title>Chat</title>", "text/html"), ("/chat.js", "let a = 1;", "text/javascript")]
    {
        let response = gateway.http("GET", path, &[], b"").await;
        assert_eq!((response.status, response.body.as_str()), (200, content));
        assert_eq!(response.header("cache-control"), Some("no-cache"));
        assert_eq!(response.header("content-type"), Some(kind));
    }
    assert_eq!(gateway.http("GET", "/../Cargo.toml", &[], b"").await.status, 404);
    gateway.connect("").await;
}

#[tokio::test]
async fn without_a_folder_there_is_nothing_at_the_root() {
    let gateway = Setup::new().start().await;
    assert_eq!(gateway.http("GET", "/", &[], b"").await.status, 404);
    assert_eq!(gateway.http("GET", "/dev", &[], b"").await.status, 404);
}

#[tokio::test]
async fn the_keys_of_an_issuer_are_served_if_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new();
    setup.options.issuer = Some(folder.path().to_owned());
    let gateway = setup.start().await;
    let response = gateway.http("GET", JWKS_PATH, &[], b"").await;
    let issuer = Issuer::open(folder.path()).unwrap();
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!((response.status, response.body), (200, issuer.jwks().to_string()));

    std::fs::write(folder.path().join("issuer.pk8"), "nonsense").unwrap();
    assert_eq!(gateway.http("GET", JWKS_PATH, &[], b"").await.status, 500);
    assert_eq!(Setup::new().start().await.http("GET", JWKS_PATH, &[], b"").await.status, 404);
}

struct Nothing;

impl Invoke for Nothing {
    fn invoke(&self, _: &str, _: Vec<u8>) -> Pin<Box<dyn Future<Output = InvokeResult> + Send>> {
        Box::pin(async { ok() })
    }
}

#[tokio::test]
async fn a_route_selection_expression_of_another_kind_is_an_error_at_the_start() {
    let mut stack = stack();
    stack.api.route_selection_expression = "$request.header.action".into();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = Gateway::start(listener, &stack, Arc::new(Nothing), GatewayOptions::default()).unwrap_err();
    assert!(matches!(error, GatewayError::Selection(expression) if expression == "$request.header.action"));
}
