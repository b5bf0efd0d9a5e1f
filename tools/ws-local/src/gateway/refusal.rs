//! `HttpRefusal` and `ErrorFrame`: the errors that API Gateway itself sends.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// Header with the name of the error. The AWS SDKs select the exception by this header.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// An HTTP error response.
#[derive(Debug)]
pub(super) struct HttpRefusal {
    pub(super) status: StatusCode,
    pub(super) error_type: &'static str,
    pub(super) message: String,
    /// The reason, for the developer. The client does not get it.
    pub(super) detail: Option<String>,
}

impl HttpRefusal {
    pub(super) fn new(status: StatusCode, error_type: &'static str, message: &str) -> Self {
        Self { status, error_type, message: message.to_owned(), detail: None }
    }

    /// Adds the reason for the developer.
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

    pub(super) fn response(&self, connection: &str, request: &str) -> Response {
        let body = ErrorFrame { message: &self.message, connection_id: connection, request_id: request };
        let mut response = (self.status, [(ERROR_TYPE, self.error_type)], Json(body)).into_response();
        if let Ok(request) = HeaderValue::from_str(request) {
            response.headers_mut().insert(REQUEST_ID, request);
        }
        response
    }
}

/// The body of an error: a frame on a socket, or the body of an HTTP error response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorFrame<'a> {
    pub(super) message: &'a str,
    pub(super) connection_id: &'a str,
    pub(super) request_id: &'a str,
}

impl ErrorFrame<'_> {
    pub(super) fn to_json(&self) -> String {
        // Three strings always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}
