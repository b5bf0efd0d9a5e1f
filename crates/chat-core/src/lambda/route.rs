//! The events of the routes, and their answers.

use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::{
    apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest},
    encodings::Body,
    http::{HeaderMap, HeaderValue},
};
use lambda_runtime::{Context, LambdaEvent};

use super::{Answered, Line, SUBPROTOCOL};
use crate::{
    deadline::until,
    delivery::Delivery,
    error::{Error, chain},
    frames::{self, Envelope, Ref, Reply},
    measurements::Measurements,
    request::Request,
    user::UserId,
};

/// What one event is answered: on `$connect` a status code, on `$disconnect` what no one sees, else a frame.
pub async fn answer<T>(
    tools: &T,
    event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    route: impl AsyncFn(&T, Request) -> Result<Reply, Error>,
) -> Answered<ApiGatewayProxyResponse> {
    let (event, context) = event.into_parts();
    let mut line = Line::begin(&context);
    line.connection_id = event.request_context.connection_id.clone();
    line.route = event.request_context.route_key.clone();
    let connecting = event.request_context.event_type.as_deref() == Some("CONNECT");
    let measurements = Measurements::new(event.request_context.request_time_epoch);
    // Read first, so that every refusal comes back under the caller's own name for it.
    let (reference, unreadable) = match reference(&event) {
        Ok(reference) => (reference, None),
        Err(error) => (None, Some(error)),
    };
    let reply = match (request(event, &context, measurements.clone()), unreadable) {
        (Err(refused), _) | (Ok(_), Some(refused)) => Err(refused),
        (Ok(request), None) => {
            let end = request.give_up_at();
            // Boxed: the SDK's futures nest too deep for the compiler otherwise.
            Box::pin(until(end, route(tools, request))).await
        }
    };
    if let Err(error) = &reply {
        line.outcome = error.code();
        if error.is_ours() {
            let connection_id = line.connection_id.as_deref().unwrap_or_default();
            tracing::error!(connection_id, code = error.code(), cause = chain(error), "a request failed");
        }
    }
    let answer = respond(connecting, &reply, reference.as_ref());
    line.figures = measurements.figures();
    if let Some(Body::Text(frame)) = &answer.body {
        line.figures.bytes += frame.len() as u64;
    }
    Answered { answer, line }
}

/// What one message is answered, by [`answer`]; a connection whose token has expired is closed after that.
///
/// The answer of a function would come after its connection is closed, so it is pushed before that. Where that fails it
/// is the function's answer after all, and the next message closes the connection.
pub async fn answer_or_close<T>(
    tools: &T,
    delivery: &Delivery,
    event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    route: impl AsyncFn(&T, Request) -> Result<Reply, Error>,
) -> Answered<ApiGatewayProxyResponse> {
    let to_close = expired(&event.payload).then(|| event.payload.request_context.connection_id.clone()).flatten();
    let mut answered = answer(tools, event, route).await;
    if let (Some(connection_id), Some(Body::Text(farewell))) = (to_close, &answered.answer.body)
        && delivery.dismiss(&connection_id, farewell).await
    {
        answered.answer.body = None;
    }
    answered
}

/// The caller's own name for what it asks.
fn reference(event: &ApiGatewayWebsocketProxyRequest) -> Result<Option<Ref>, Error> {
    if !is_message(event) {
        Ok(None)
    } else if event.is_base64_encoded {
        Err(Error::bad_request("a frame is text, not binary"))
    } else {
        Ok(frames::parse::<Envelope>(event.body.as_deref().unwrap_or_default())?.reference)
    }
}

fn is_message(event: &ApiGatewayWebsocketProxyRequest) -> bool {
    event.request_context.event_type.as_deref() == Some("MESSAGE")
}

fn request(
    event: ApiGatewayWebsocketProxyRequest,
    lambda: &Context,
    measurements: Measurements,
) -> Result<Request, Error> {
    if expired(&event) {
        return Err(Error::TokenExpired);
    }
    let token_expires_at = token_expires_at(&event);
    let context = event.request_context;
    let user = context
        .authorizer
        .fields
        .get("userId")
        .and_then(|id| UserId::try_from(id.as_str()?.to_owned()).ok())
        .ok_or(Error::Unauthenticated("the connection has no proven user; connect again"))?;
    Ok(Request {
        user,
        connection_id: context.connection_id.unwrap_or_default(),
        connected_at: context.connected_at,
        token_expires_at,
        received_at: context.request_time_epoch,
        deadline: deadline(lambda),
        subprotocols: subprotocols(&event.headers),
        frame: event.body.unwrap_or_default(),
        measurements,
    })
}

/// Whether this is a message on a connection whose token has expired by now.
///
/// The authorizer is asked once and its answer never again, so each message is checked. `$connect` was allowed a moment
/// ago, and a `$disconnect` must be heard out whenever it comes.
fn expired(event: &ApiGatewayWebsocketProxyRequest) -> bool {
    let now = event.request_context.request_time_epoch / 1000;
    is_message(event) && token_expires_at(event).is_some_and(|seconds| seconds <= now)
}

/// When the connection's token expires, in seconds since 1970. An expiry that is no number has passed.
fn token_expires_at(event: &ApiGatewayWebsocketProxyRequest) -> Option<i64> {
    let value = event.request_context.authorizer.fields.get("expiresAt")?;
    // API Gateway hands every value of the authorizer on as a string.
    let seconds = value.as_str().map_or_else(|| value.as_i64(), |text| text.parse().ok());
    Some(seconds.unwrap_or(i64::MIN))
}

fn subprotocols(headers: &HeaderMap) -> Vec<String> {
    let offers = headers.get_all(SUBPROTOCOL).iter().filter_map(|offer| offer.to_str().ok());
    offers.flat_map(super::offers).collect()
}

/// The end of the invocation, by the clock that never jumps.
fn deadline(lambda: &Context) -> Instant {
    let left = lambda.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    Instant::now() + left
}

fn respond(connecting: bool, reply: &Result<Reply, Error>, reference: Option<&Ref>) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    // What API Gateway does with another status code in a two-way route is not documented.
    response.status_code = 200;
    if connecting {
        if let Err(error) = reply {
            response.status_code = status(error);
        }
        if let Ok(Reply::Connected(Some(subprotocol))) = reply {
            response.headers.insert(SUBPROTOCOL, HeaderValue::from_static(subprotocol));
        }
    } else {
        response.body = frames::answer(reply, reference).map(Into::into);
    }
    response
}

/// The status of a refused upgrade.
fn status(error: &Error) -> i64 {
    match error {
        Error::BadRequest(_) | Error::TooLarge(_) | Error::UnknownAction | Error::OutOfDate => 400,
        Error::Unauthenticated(_) | Error::TokenExpired => 401,
        Error::Forbidden(_) => 403,
        Error::RateLimited { .. } => 429,
        Error::Internal(_) => 500,
        Error::Unavailable(_) => 503,
    }
}
