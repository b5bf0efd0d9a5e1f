//! What a client or a caller gets instead of what it asked for.

use std::error::Error;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// API Gateway's name of an error: the AWS SDKs make their exceptions of it.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// An HTTP answer that says no.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error_type: &'static str,
    pub(super) message: String,
    /// What the developer is told, and the client isn't.
    pub(super) detail: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error_type: &'static str, message: &str) -> Self {
        Self { status, error_type, message: message.to_owned(), detail: None }
    }

    /// The same, with what the developer should know.
    pub(super) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(super) fn too_many_requests() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", "Too Many Requests")
    }

    pub(super) fn url_too_long() -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "BadRequestException", "URI Too Long")
    }

    /// The answer, for this connection and request.
    pub(super) fn response(&self, connection: &str, request: &str) -> Response {
        let body = Notice { message: &self.message, connection_id: connection, request_id: request };
        let mut response = (self.status, [(ERROR_TYPE, self.error_type)], Json(body)).into_response();
        if let Ok(request) = HeaderValue::from_str(request) {
            response.headers_mut().insert(REQUEST_ID, request);
        }
        response
    }
}

/// What API Gateway itself says to a client, in a frame or as the body of a refused upgrade.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notice<'a> {
    pub(super) message: &'a str,
    pub(super) connection_id: &'a str,
    pub(super) request_id: &'a str,
}

impl Notice<'_> {
    /// The text of its frame.
    pub(super) fn frame(&self) -> String {
        // Three strings always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An error and all its causes, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
