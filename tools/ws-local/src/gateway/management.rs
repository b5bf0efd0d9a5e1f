//! `@connections`: how functions reach a client that they don't answer.

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
    Core, clock,
    connection::{Connection, NotTaken},
    id,
    refusal::Refusal,
};

/// What API Gateway reads of a request at most, to say that it is too long. What is longer still loses its connection.
const READ_AT_MOST: usize = 10 * 1024 * 1024;

/// One call, before it is known to be good.
pub(super) struct Call {
    core: Arc<Core>,
    started: Instant,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    id: String,
}

impl FromRequestParts<Arc<Core>> for Call {
    type Rejection = PathRejection;

    async fn from_request_parts(parts: &mut Parts, core: &Arc<Core>) -> Result<Self, PathRejection> {
        let Path(id) = Path::from_request_parts(parts, core).await?;
        Ok(Self {
            core: Arc::clone(core),
            started: Instant::now(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            id,
        })
    }
}

/// `POST`: 200 says that the message waits for the client, not that the client has seen it.
pub(super) async fn post(call: Call, body: Body) -> Response {
    let answer = async {
        call.check()?;
        let limit = call.core.limits.message;
        let body = to_bytes(body, READ_AT_MOST).await.map_err(|_| too_large())?;
        if body.len() > limit {
            return Err(too_large());
        }
        let text = String::from_utf8(body.into()).map_err(|_| {
            let message = "The data is not UTF-8, and only text frames are sent";
            Refusal::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
        })?;
        call.connection()?.push(text).map_err(|not_taken| match not_taken {
            NotTaken::Gone => gone(),
            NotTaken::Full => Refusal::too_many_requests().because("the client's buffer is full"),
        })?;
        Ok(StatusCode::OK.into_response())
    };
    call.answer(answer.await)
}

/// `GET`: since when, from where, and when last.
pub(super) async fn get(call: Call) -> Response {
    let answer = call.check().and_then(|()| call.connection()).map(|connection| {
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
    call.answer(answer)
}

/// `DELETE`: the connection is gone for callers at once, and is then closed with 1000.
pub(super) async fn delete(call: Call) -> Response {
    let answer = call.check().and_then(|()| {
        let connection = call.core.connections.remove(&call.id).ok_or_else(gone)?;
        connection.deleted.notify_one();
        Ok(StatusCode::NO_CONTENT.into_response())
    });
    call.answer(answer)
}

impl Call {
    /// What every call needs: an address of bearable length, a signature, and a place within the throttle.
    fn check(&self) -> Result<(), Refusal> {
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        self.core.check_url(host.unwrap_or_default(), &self.uri)?;
        if !looks_signed(&self.headers) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden")
                .because("the request is not signed"));
        }
        if !self.core.requests.take() {
            return Err(Refusal::too_many_requests());
        }
        Ok(())
    }

    fn connection(&self) -> Result<Arc<Connection>, Refusal> {
        self.core.connections.find(&self.id).ok_or_else(gone)
    }

    /// Records the call and makes its answer.
    fn answer(&self, answer: Result<Response, Refusal>) -> Response {
        let (response, detail) = match answer {
            Ok(response) => (response, None),
            Err(refusal) => (refusal.response(&self.id, &id::fresh()), refusal.detail),
        };
        let route = format!("{} @connections", self.method);
        let status = response.status().as_u16();
        self.core.record(&self.id, &route, status, self.started, detail);
        response
    }
}

/// Whether there is a Signature Version 4 for `execute-api`. Only its shape is looked at: here are no keys to check
/// it with.
fn looks_signed(headers: &HeaderMap) -> bool {
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

fn gone() -> Refusal {
    Refusal::new(StatusCode::GONE, "GoneException", "The connection is gone")
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "Request Too Long")
}
