//! Handles one message: selects its route, invokes the function, and sends the reply if the route
//! has one.

use std::{sync::Arc, time::Instant};

use serde_json::Value;

use super::{
    connection::Connection,
    events,
    id::new_id,
    invocation::{self, IntegrationError},
    proxy_response::ProxyResponse,
    refusal::ErrorFrame,
    state::{GatewayState, record, record_reply},
};
use crate::template::Route;

/// Handles one message. Each message is handled on its own task. As on AWS, the order of two
/// messages is not guaranteed.
pub(super) async fn handle(state: Arc<GatewayState>, connection: Arc<Connection>, body: String) {
    let started = Instant::now();
    let request = new_id();
    let send_error = async |message| {
        let error = ErrorFrame { message, connection_id: &connection.id, request_id: &request };
        connection.reply(error.to_json()).await;
    };
    let selected = state.selection.route_key(&body);
    if !state.requests.take() {
        record(&state, &connection.id, &selected, 429, started, None);
        return send_error("Too Many Requests").await;
    }
    let Some((key, route)) = find_route(&state, &selected) else {
        let detail = "no such route, and no $default".to_owned();
        record(&state, &connection.id, &selected, 403, started, Some(detail));
        return send_error("Forbidden").await;
    };
    let event = events::message(&state.stack.api, &connection, key, &request, &body);
    match respond(&state, route, &event).await {
        Ok((status, text)) => {
            record_reply(&state, &connection.id, key, status, started, refusal(text.as_deref()));
            if let Some(text) = text {
                connection.reply(text).await;
            }
        }
        Err(error) => {
            record(&state, &connection.id, key, error.status(), started, Some(error.into_detail()));
            send_error("Internal server error").await;
        }
    }
}

/// The status of the function's response, and the text for the client if the route replies.
async fn respond(
    state: &GatewayState,
    route: &Route,
    event: &Value,
) -> Result<(u16, Option<String>), IntegrationError> {
    let response = invocation::call(state, &route.function, event, route.timeout).await?;
    let response = ProxyResponse::parse(&response)?;
    let status = response.status;
    let text = if route.replies { response.text(state.limits.message)? } else { None };
    Ok((status, text))
}

/// The `code` and the `message` of a reply that is a JSON object with a `code`.
pub(super) fn refusal(reply: Option<&str>) -> (Option<String>, Option<String>) {
    let Some(Ok(Value::Object(reply))) = reply.map(serde_json::from_str) else { return (None, None) };
    let text = |name| Some(reply.get(name)?.as_str()?.to_owned());
    match text("code") {
        Some(code) => (Some(code), text("message")),
        None => (None, None),
    }
}

/// The route with this key, or `$default` if there is none. A message can't select `$connect` or
/// `$disconnect`.
fn find_route<'s>(state: &'s GatewayState, key: &str) -> Option<(&'s str, &'s Route)> {
    let routes = &state.stack.api.routes;
    let exact = (!matches!(key, "$connect" | "$disconnect")).then(|| routes.get_key_value(key));
    let found = exact.flatten().or_else(|| routes.get_key_value("$default"));
    found.map(|(key, route)| (key.as_str(), route))
}
