//! The opening handshake: checks the throttles, invokes the authorizer and the `$connect` function,
//! then opens the connection.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    authorizer,
    connection::Connection,
    events,
    id::new_id,
    invocation::{self, IntegrationError},
    limits::check_url,
    message,
    proxy_response::ProxyResponse,
    refusal::HttpRefusal,
    socket,
    state::{self, GatewayState, record},
    upgrade_request::UpgradeRequest,
};

/// Handles `GET /STAGE`. Responds when the `$connect` function has responded or an earlier check
/// has refused the request.
pub(super) async fn upgrade(
    State(state): State<Arc<GatewayState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (response, responded) = oneshot::channel();
    let parts = request.into_parts().0;
    // Run on its own task, because this future is dropped when the client disconnects. By then, the
    // `$connect` function may have stored the connection, so it must finish and `$disconnect` must
    // run.
    state::spawn(&state, accept(Arc::clone(&state), parts, peer, response));
    let stopping = |_| StatusCode::SERVICE_UNAVAILABLE.into_response();
    responded.await.unwrap_or_else(stopping)
}

/// Accepts or refuses a connection, and serves it until its end.
async fn accept(state: Arc<GatewayState>, mut parts: Parts, peer: SocketAddr, responder: oneshot::Sender<Response>) {
    let started = Instant::now();
    let request = new_id();
    let upgrade = UpgradeRequest::new(&parts.uri, &parts.headers, peer, state.address);
    let (mut connection, queue) = Connection::new(&upgrade, state.limits.queue);
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
    let decision = async {
        let (on_upgrade, accept_key) = check_request(&state, &parts, &upgrade, on_upgrade)?;
        let protocol = authorize_and_connect(&state, &mut connection, &upgrade, &request).await?;
        Ok((on_upgrade, switching_protocols(&accept_key, protocol)))
    };
    match decision.await {
        Ok((on_upgrade, response)) => {
            record(&state, &connection.id, "$connect", 200, started, None);
            let connection = Arc::new(connection);
            state.connections.insert(Arc::clone(&connection));
            // An error means that the client has disconnected. `on_upgrade` reports that.
            let _ = responder.send(response);
            socket::serve(state, connection, queue, on_upgrade).await;
        }
        Err(refusal) => {
            let HttpRefusal { status, detail, .. } = &refusal;
            record(&state, &connection.id, "$connect", status.as_u16(), started, detail.clone());
            // An error means that the client has disconnected and needs no response.
            let _ = responder.send(refusal.response(&connection.id, &request));
        }
    }
}

/// Runs the checks that do not invoke a function. Returns the pending upgrade and the value of
/// `Sec-WebSocket-Accept`.
fn check_request(
    state: &GatewayState,
    parts: &Parts,
    upgrade: &UpgradeRequest,
    on_upgrade: Option<OnUpgrade>,
) -> Result<(OnUpgrade, String), HttpRefusal> {
    check_url(&state.limits, &upgrade.host, &parts.uri)?;
    let headers = &parts.headers;
    let is_websocket = has_word(headers, header::CONNECTION, "upgrade")
        && has_word(headers, header::UPGRADE, "websocket")
        && has_word(headers, header::SEC_WEBSOCKET_VERSION, "13");
    let (Some(on_upgrade), true) = (on_upgrade, is_websocket) else {
        let status = StatusCode::UPGRADE_REQUIRED;
        return Err(HttpRefusal::new(status, "UpgradeRequiredException", "Upgrade Required"));
    };
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        let message = "Sec-WebSocket-Key is missing";
        return Err(HttpRefusal::new(StatusCode::BAD_REQUEST, "BadRequestException", message));
    };
    if !state.new_connections.take() || !state.requests.take() {
        return Err(HttpRefusal::too_many_requests());
    }
    Ok((on_upgrade, derive_accept_key(key.as_bytes())))
}

/// Invokes the authorizer and the `$connect` function, if the API has them. Returns the subprotocol that the function
/// selected.
async fn authorize_and_connect(
    state: &GatewayState,
    connection: &mut Connection,
    upgrade: &UpgradeRequest,
    request: &str,
) -> Result<Option<HeaderValue>, HttpRefusal> {
    let api = &state.stack.api;
    if let Some(authorizer) = &api.authorizer {
        let context = authorizer::authorize(state, authorizer, connection, upgrade, request).await?;
        connection.authorizer = Some(context);
    }
    let Some(route) = api.routes.get("$connect") else {
        return Ok(None);
    };
    let event = events::connect(api, connection, upgrade, request);
    let response = invocation::call(state, &route.function, &event, route.timeout).await.map_err(failed)?;
    let response = ProxyResponse::parse(&response).map_err(|error| failed(error.into()))?;
    if !response.is_success() {
        let status = response.status;
        let text = response.text(state.limits.message).ok().flatten();
        return Err(refused_by_function(status, message::refusal(text.as_deref()).1));
    }
    let protocol = response.header(header::SEC_WEBSOCKET_PROTOCOL.as_str());
    Ok(protocol.and_then(|protocol| HeaderValue::from_str(protocol).ok()))
}

/// An informational status would not end the HTTP request, so it becomes 502. `reason` is for the log: no client gets the
/// body of the response.
fn refused_by_function(status: u16, reason: Option<String>) -> HttpRefusal {
    let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
    let error_type = match status {
        StatusCode::UNAUTHORIZED => "UnauthorizedException",
        StatusCode::FORBIDDEN => "ForbiddenException",
        status if status.is_client_error() => "BadRequestException",
        _ => "InternalServerErrorException",
    };
    let message = status.canonical_reason().unwrap_or("Refused");
    HttpRefusal::new(status, error_type, message)
        .because(reason.unwrap_or_else(|| "the $connect function's response".to_owned()))
}

fn failed(error: IntegrationError) -> HttpRefusal {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    HttpRefusal::new(status, "InternalServerErrorException", "Internal server error").because(error.into_detail())
}

fn switching_protocols(accept_key: &str, protocol: Option<HeaderValue>) -> Response {
    let headers =
        [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_ACCEPT, accept_key)];
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
    if let Some(protocol) = protocol {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// Whether a header, which may be a comma-separated list, contains this word.
fn has_word(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name);
    let mut words = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    words.any(|given| given.trim().eq_ignore_ascii_case(word))
}
