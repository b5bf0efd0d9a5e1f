//! The events of the routes, and the responses to them.

use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::{apigw::ApiGatewayWebsocketProxyRequest, http::HeaderMap};
use lambda_runtime::{Context, LambdaEvent};

use crate::{
    lambda::{
        identity,
        request_log::{Handled, LogEntry},
        response::RouteResponse,
        subprotocols,
    },
    model::{error::Error, time::Timestamp},
    protocol::{
        codec::{self, Envelope, Ref},
        deadline::until,
        metrics::MetricsRecorder,
        replies::Reply,
        request::{Origin, Request},
    },
    push::connections_api::ConnectionsApi,
};

/// Handles one event of any route. The response has a status code on `$connect`, nothing on `$disconnect`, and otherwise a
/// frame.
pub async fn handle_event<C>(
    context: &C,
    event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    route: impl AsyncFn(&C, Request) -> Result<Reply, Error>,
) -> Handled<RouteResponse> {
    let (event, lambda) = event.into_parts();
    let mut entry = LogEntry::new(&lambda);
    entry.connection_id = event.request_context.connection_id.clone();
    entry.route = event.request_context.route_key.clone();
    let is_connect = event.request_context.event_type.as_deref() == Some("CONNECT");
    let metrics = MetricsRecorder::new(received_at(&event));
    // Parsed first, so that every error carries the client's `ref`.
    let (reference, unreadable) = match parse_ref(&event) {
        Ok(reference) => (reference, None),
        Err(error) => (None, Some(error)),
    };
    let result = match (request(event, &lambda, metrics.clone()), unreadable) {
        (Err(refused), _) | (Ok(_), Some(refused)) => Err(refused),
        (Ok(request), None) => {
            let end = request.give_up_at();
            // Boxed, because the SDK's futures nest too deep for the compiler otherwise.
            Box::pin(until(end, route(context, request))).await
        }
    };
    let response = respond(is_connect, &result, reference.as_ref());
    entry.end(&result, &metrics, response.body.as_deref());
    Handled { response, entry }
}

/// Handles one message as [`handle_event`] does, and closes the connection if its token has expired.
///
/// API Gateway would not deliver a response to a closed connection, so the frame is pushed before the close. If the push
/// fails, the frame is the response, and the next message closes the connection.
pub async fn handle_message<C>(
    context: &C,
    connections: &ConnectionsApi,
    event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    route: impl AsyncFn(&C, Request) -> Result<Reply, Error>,
) -> Handled<RouteResponse> {
    let to_close = has_expired(&event.payload).then(|| event.payload.request_context.connection_id.clone()).flatten();
    let mut handled = handle_event(context, event, route).await;
    if let (Some(connection_id), Some(last_frame)) = (to_close, &handled.response.body)
        && connections.close_after(&connection_id, last_frame).await
    {
        handled.response.body = None;
    }
    handled
}

fn parse_ref(event: &ApiGatewayWebsocketProxyRequest) -> Result<Option<Ref>, Error> {
    if !is_message(event) {
        Ok(None)
    } else if event.is_base64_encoded {
        Err(Error::bad_request("a frame is text, not binary"))
    } else {
        Ok(codec::parse::<Envelope>(event.body.as_deref().unwrap_or_default())?.reference)
    }
}

fn is_message(event: &ApiGatewayWebsocketProxyRequest) -> bool {
    event.request_context.event_type.as_deref() == Some("MESSAGE")
}

fn request(
    event: ApiGatewayWebsocketProxyRequest,
    lambda: &Context,
    metrics: MetricsRecorder,
) -> Result<Request, Error> {
    if has_expired(&event) {
        return Err(Error::TokenExpired);
    }
    let received_at = received_at(&event);
    let context = event.request_context;
    let authorizer = &context.authorizer.fields;
    let user =
        identity::user(authorizer).ok_or(Error::Unauthenticated("the connection has no proven user; connect again"))?;
    Ok(Request {
        user,
        origin: Origin::Connection,
        connection_id: context.connection_id.unwrap_or_default(),
        connected_at: Timestamp::from_millis(context.connected_at),
        token_expires_at: identity::token_expires_at(authorizer),
        client: event.query_string_parameters.first("client").map(str::to_owned),
        received_at,
        deadline: deadline(lambda),
        subprotocols: offered_subprotocols(&event.multi_value_headers),
        frame: event.body.unwrap_or_default(),
        metrics,
    })
}

fn received_at(event: &ApiGatewayWebsocketProxyRequest) -> Timestamp {
    Timestamp::from_millis(event.request_context.request_time_epoch)
}

/// Whether this is a message on a connection whose token has expired.
///
/// API Gateway runs the authorizer once per connection, so each message is checked. `$connect` follows the authorizer at
/// once, and `$disconnect` must be handled in any case.
fn has_expired(event: &ApiGatewayWebsocketProxyRequest) -> bool {
    let now = received_at(event).unix_seconds();
    let expires_at = identity::token_expires_at(&event.request_context.authorizer.fields);
    is_message(event) && expires_at.is_some_and(|expires_at| expires_at <= now)
}

/// The client may send several headers. The single-value view of the event has only the last of them.
fn offered_subprotocols(headers: &HeaderMap) -> Vec<String> {
    let offers = headers.get_all(subprotocols::HEADER).iter().filter_map(|offer| offer.to_str().ok());
    offers.flat_map(subprotocols::parse).collect()
}

/// The end of the invocation on the monotonic clock.
pub(super) fn deadline(lambda: &Context) -> Instant {
    let left = lambda.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    Instant::now() + left
}

fn respond(is_connect: bool, result: &Result<Reply, Error>, reference: Option<&Ref>) -> RouteResponse {
    match result {
        Ok(Reply::Connected(subprotocol)) if is_connect => RouteResponse::accept(*subprotocol),
        Err(error) if is_connect => RouteResponse::refuse(status(error), codec::encode_reply(result, None)),
        _ => RouteResponse::reply(codec::encode_reply(result, reference)),
    }
}

/// The HTTP status of a refused upgrade.
fn status(error: &Error) -> u16 {
    match error {
        Error::BadRequest(_) | Error::TooLarge(_) | Error::UnknownAction | Error::OutOfDate => 400,
        Error::Unauthenticated(_) | Error::TokenExpired => 401,
        Error::Forbidden(_) => 403,
        Error::RateLimited { .. } => 429,
        Error::Internal(_) => 500,
        Error::Unavailable(_) => 503,
    }
}
