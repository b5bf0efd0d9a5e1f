//! `@connections`: the HTTP API that functions use to send to, inspect and close connections.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{FromRequestParts, Path, rejection::PathRejection},
    http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    connection::{Connection, PushError},
    id::new_id,
    limits::check_url,
    refusal::HttpRefusal,
    state::{GatewayState, record},
};
use crate::clock;

/// Longest body that is read before the 413 response. If a body is longer, its HTTP connection is
/// dropped.
const MAX_READ: usize = 10 * 1024 * 1024;

/// One call, before any check.
pub(super) struct ManagementCall {
    state: Arc<GatewayState>,
    started: Instant,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    id: String,
}

impl FromRequestParts<Arc<GatewayState>> for ManagementCall {
    type Rejection = PathRejection;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<GatewayState>) -> Result<Self, PathRejection> {
        let Path(id) = Path::from_request_parts(parts, state).await?;
        Ok(Self {
            state: Arc::clone(state),
            started: Instant::now(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            id,
        })
    }
}

/// `POST`: 200 means that the message is queued for the client, not that the client received it.
pub(super) async fn post(call: ManagementCall, body: Body) -> Response {
    let result = async {
        call.check()?;
        let limit = call.state.limits.message;
        let body = to_bytes(body, MAX_READ).await.map_err(|_| too_large())?;
        if body.len() > limit {
            return Err(too_large());
        }
        let text = String::from_utf8(body.into()).map_err(|_| {
            let message = "The data is not UTF-8, and only text frames are sent";
            HttpRefusal::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
        })?;
        call.connection()?.push(text).map_err(|error| match error {
            PushError::Gone => gone(),
            PushError::Full => HttpRefusal::too_many_requests().because("the client's buffer is full"),
        })?;
        Ok(StatusCode::OK.into_response())
    };
    call.respond(result.await)
}

/// `GET`: returns the connection's opening time, source address and last activity.
pub(super) async fn get(call: ManagementCall) -> Response {
    let result = call.check().and_then(|()| call.connection()).map(|connection| {
        let mut identity = json!({"sourceIp": connection.source_ip});
        if let Some(user_agent) = &connection.user_agent {
            identity["userAgent"] = user_agent.as_str().into();
        }
        let description = json!({
            "connectedAt": clock::iso(connection.connected_at),
            "identity": identity,
            "lastActiveAt": clock::iso(connection.last_active_at()),
        });
        Json(description).into_response()
    });
    call.respond(result)
}

/// `DELETE`: closes the connection with 1000. Later calls get 410 at once, even before the socket
/// is closed.
pub(super) async fn delete(call: ManagementCall) -> Response {
    let result = call.check().and_then(|()| {
        let connection = call.state.connections.remove(&call.id).ok_or_else(gone)?;
        connection.deleted.notify_one();
        Ok(StatusCode::NO_CONTENT.into_response())
    });
    call.respond(result)
}

impl ManagementCall {
    /// Checks a call: URL length, signature and throttle.
    fn check(&self) -> Result<(), HttpRefusal> {
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        check_url(&self.state.limits, host.unwrap_or_default(), &self.uri)?;
        if !has_signature(&self.headers) {
            return Err(HttpRefusal::new(StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden")
                .because("the request is not signed"));
        }
        if !self.state.requests.take() {
            return Err(HttpRefusal::too_many_requests());
        }
        Ok(())
    }

    fn connection(&self) -> Result<Arc<Connection>, HttpRefusal> {
        self.state.connections.find(&self.id).ok_or_else(gone)
    }

    /// Records the call and builds its response.
    fn respond(&self, result: Result<Response, HttpRefusal>) -> Response {
        let (response, detail) = match result {
            Ok(response) => (response, None),
            Err(refusal) => (refusal.response(&self.id, &new_id()), refusal.detail),
        };
        let route = format!("{} @connections", self.method);
        let status = response.status().as_u16();
        record(&self.state, &self.id, &route, status, self.started, detail);
        response
    }
}

/// Whether the headers contain a Signature Version 4 for `execute-api`. Only the format is checked,
/// because there are no keys to verify the signature.
fn has_signature(headers: &HeaderMap) -> bool {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(fields) = authorization.and_then(|text| text.strip_prefix("AWS4-HMAC-SHA256 ")) else {
        return false;
    };
    let field = |name: &str| {
        let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let scope = |credential: &str| {
        let parts: Vec<_> = credential.split('/').collect();
        parts.len() >= 5 && parts.ends_with(&["execute-api", "aws4_request"])
    };
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit());
    field("Credential").is_some_and(scope)
        && field("SignedHeaders").is_some_and(|names| names.split(';').any(|name| name == "host"))
        && field("Signature").is_some_and(hex)
}

fn gone() -> HttpRefusal {
    HttpRefusal::new(StatusCode::GONE, "GoneException", "The connection is gone")
}

fn too_large() -> HttpRefusal {
    HttpRefusal::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "Request Too Long")
}
