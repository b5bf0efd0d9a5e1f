//! From an HTTP request to an open connection: throttles, the authorizer, the `$connect` function.

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
    Core,
    answer::Answer,
    authorizer,
    connection::Connection,
    events, id,
    invocation::Failure,
    opening::Opening,
    refusal::{Refusal, chain},
    socket,
};

/// `GET /STAGE`: answers once the `$connect` function has, or somebody has refused before.
pub(super) async fn upgrade(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (answer, answered) = oneshot::channel();
    let parts = request.into_parts().0;
    // On a task of its own, because this future is dropped when the client goes away, and a function that has been
    // called must be heard out: it may have written down the connection.
    core.spawn(admit(Arc::clone(&core), parts, peer, answer));
    let stopping = |_| StatusCode::SERVICE_UNAVAILABLE.into_response();
    answered.await.unwrap_or_else(stopping)
}

/// Decides on a connection, gives the answer, and lives its life.
async fn admit(core: Arc<Core>, mut parts: Parts, peer: SocketAddr, answer: oneshot::Sender<Response>) {
    let started = Instant::now();
    let request = id::fresh();
    let opening = Opening::of(&parts.uri, &parts.headers, peer, core.address);
    let (mut connection, outbox) = Connection::new(&opening, core.limits.queue);
    let wanted = parts.extensions.remove::<OnUpgrade>();
    let decision = async {
        let (upgrade, accept) = acceptable(&core, &parts, &opening, wanted)?;
        let protocol = agree(&core, &mut connection, &opening, &request).await?;
        Ok((upgrade, switching_protocols(&accept, protocol)))
    };
    match decision.await {
        Ok((upgrade, response)) => {
            core.record(&connection.id, "$connect", 200, started, None);
            let connection = Arc::new(connection);
            core.connections.insert(Arc::clone(&connection));
            // Whether the client is still there, the upgrade says.
            let _ = answer.send(response);
            socket::serve(core, connection, outbox, upgrade).await;
        }
        Err(refusal) => {
            let Refusal { status, detail, .. } = &refusal;
            core.record(&connection.id, "$connect", status.as_u16(), started, detail.clone());
            // A client that has gone needs no refusal.
            let _ = answer.send(refusal.response(&connection.id, &request));
        }
    }
}

/// Checks what doesn't need a function; the upgrade to come, and the `Sec-WebSocket-Accept`.
fn acceptable(
    core: &Core,
    parts: &Parts,
    opening: &Opening,
    wanted: Option<OnUpgrade>,
) -> Result<(OnUpgrade, String), Refusal> {
    core.check_url(&opening.host, &parts.uri)?;
    let headers = &parts.headers;
    let is_websocket = names(headers, header::CONNECTION, "upgrade")
        && names(headers, header::UPGRADE, "websocket")
        && names(headers, header::SEC_WEBSOCKET_VERSION, "13");
    let (Some(upgrade), true) = (wanted, is_websocket) else {
        let status = StatusCode::UPGRADE_REQUIRED;
        return Err(Refusal::new(status, "UpgradeRequiredException", "Upgrade Required"));
    };
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        let message = "Sec-WebSocket-Key is missing";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "BadRequestException", message));
    };
    if !core.new_connections.take() || !core.requests.take() {
        return Err(Refusal::too_many_requests());
    }
    Ok((upgrade, derive_accept_key(key.as_bytes())))
}

/// Asks the authorizer and the `$connect` function, where there are such; the subprotocol that the function chose.
async fn agree(
    core: &Core,
    connection: &mut Connection,
    opening: &Opening,
    request: &str,
) -> Result<Option<HeaderValue>, Refusal> {
    let api = &core.stack.api;
    if let Some(asked) = &api.authorizer {
        let granted = authorizer::ask(core, asked, connection, opening, request).await?;
        connection.authorizer = Some(granted);
    }
    let Some(route) = api.routes.get("$connect") else {
        return Ok(None);
    };
    let event = events::connect(api, connection, opening, request);
    let answer = core.call(&route.function, &event, route.timeout).await.map_err(|failure| failed(&failure))?;
    let answer = Answer::parse(&answer).map_err(|malformed| failed(&malformed.into()))?;
    if !answer.is_success() {
        return Err(said_no(answer.status));
    }
    let protocol = answer.header(header::SEC_WEBSOCKET_PROTOCOL.as_str());
    Ok(protocol.and_then(|protocol| HeaderValue::from_str(protocol).ok()))
}

/// The function's own refusal. An informational status would not end the request, so it counts as a failure.
fn said_no(status: u16) -> Refusal {
    let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
    let error_type = match status {
        StatusCode::UNAUTHORIZED => "UnauthorizedException",
        StatusCode::FORBIDDEN => "ForbiddenException",
        status if status.is_client_error() => "BadRequestException",
        _ => "InternalServerErrorException",
    };
    let message = status.canonical_reason().unwrap_or("Refused");
    Refusal::new(status, error_type, message).because("the function's own answer")
}

fn failed(failure: &Failure) -> Refusal {
    let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    Refusal::new(status, "InternalServerErrorException", "Internal server error").because(chain(failure))
}

fn switching_protocols(accept: &str, protocol: Option<HeaderValue>) -> Response {
    let headers =
        [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_ACCEPT, accept)];
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
    if let Some(protocol) = protocol {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// Whether a header, which may be a list, has this word.
fn names(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name);
    let mut words = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    words.any(|given| given.trim().eq_ignore_ascii_case(word))
}
