//! Fault injection into the functions' calls to DynamoDB and `@connections`.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Response, StatusCode},
};
use serde_json::Value;
use support::{HttpCall, Upstream, lost_response};
use tokio::time::sleep;

use crate::{
    fault::Fault,
    partial::{
        cancelled_transaction, dynamodb_error, expose, forward_exposed, forward_some, group_of, remove_checksums,
        table_of, torn,
    },
    processes::pause,
    proxies::Proxies,
    schedule::FaultSchedule,
};

/// Longer than a function waits for one attempt.
const TOO_LATE: Duration = Duration::from_millis(1_200);
/// By how much [`age_connections`] makes connections older, in milliseconds.
const AN_HOUR: i64 = 3_600_000;
/// What the name of a connection's attribute begins with, in the item of its user.
const ATTRIBUTE: &str = "c:";
const TRACE_ID: &str = "x-amzn-trace-id";

/// What a fault does to a call.
enum Effect {
    /// Respond without forwarding the call.
    Respond(Response<Bytes>),
    /// Forward the call after this time.
    Delay(Duration),
    /// Forward the call, and respond after this time.
    DelayResponse(Duration),
    /// Neither forward the call nor respond.
    Drop,
    /// Forward the call after this time, and never respond.
    ForwardLate(Duration),
    /// Kill the function's process instead of forwarding the call.
    Kill,
    /// Forward the call and lose the response, because the process is killed or the connection breaks.
    LoseResponse { kill: bool },
    /// Forward the call while the function's process is stopped for this time.
    Pause(Duration),
    /// Forward the transaction, and show its items before or after it for this time, before the response.
    Expose { time: Duration, rng: fastrand::Rng },
    /// Forward some of the writes of a batch, and leave the others.
    Split(fastrand::Rng),
    /// Forward the query twice with this time between, and respond with the first items of the first response and the
    /// other items of the second one.
    Tear { time: Duration, rng: fastrand::Rng },
}

/// Handles a call to DynamoDB.
pub(crate) async fn dynamodb_call(proxies: Arc<Proxies>, upstream: Upstream, call: HttpCall) -> Response<Body> {
    let Some(schedule) = proxies.run_of(&call.body) else { return forward(&upstream, call).await };
    let request: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let kind = kind_of(call.operation(), &request);
    let number = schedule.number(kind);
    if kind == "AddClient" {
        choose_lost_disconnect(&proxies, &schedule, &request, number);
    }
    if kind == "RemoveClient" && is_lost_disconnect(&proxies, &call, &request) {
        return Response::new(Body::from("{}"));
    }
    if schedule.plan.jitter {
        let time = schedule.plan.rng("jitter", number).u64(0..12);
        sleep(Duration::from_millis(time)).await;
    }
    let faults: Vec<_> = Fault::OF_DYNAMODB.into_iter().filter(|(fault, _)| fault.can_strike(kind)).collect();
    let group = group_of(&request);
    // DynamoDB cancels a transaction whose items another one is changing.
    if kind == "Group" && group.is_some_and(|group| schedule.exposures.contains(group)) {
        return cancelled_transaction(&request, "TransactionConflict", &mut schedule.plan.rng("busy", number))
            .map(Body::from);
    }
    let fault = schedule.fault(kind, number, &faults);
    let effect =
        fault.and_then(|fault| effect_on_dynamodb(fault, kind, &request, &mut schedule.plan.rng("time", number)));
    let Some(response) = carry_out(effect, &proxies, &schedule, &upstream, call).await else { return lost_response() };
    if ["Members", "Member", "Memberships"].contains(&kind) {
        return expose(&schedule, &request, response).map(Body::from);
    }
    let is_aged = kind == "Connections" && schedule.plan.aged;
    if is_aged { age_connections(&proxies, response) } else { response.map(Body::from) }
}

/// Handles a call to `@connections`.
pub(crate) async fn push(proxies: Arc<Proxies>, upstream: Upstream, call: HttpCall) -> Response<Body> {
    let Some(schedule) = proxies.run_of(&call.body) else { return forward(&upstream, call).await };
    let number = schedule.number("Push");
    let fault = schedule.fault("Push", number, &Fault::OF_PUSHES);
    let effect = fault.and_then(|fault| effect_on_push(fault, &mut schedule.plan.rng("push", number)));
    let path = call.path.clone();
    schedule.lost_pushes.fetch_add(1, Ordering::Relaxed);
    let response = carry_out(effect, &proxies, &schedule, &upstream, call).await;
    // A connection that is gone needs no push.
    if response.as_ref().is_some_and(|response| [StatusCode::OK, StatusCode::GONE].contains(&response.status())) {
        schedule.lost_pushes.fetch_sub(1, Ordering::Relaxed);
    }
    if let Some(response) = response.as_ref().filter(|response| response.status() != StatusCode::OK) {
        schedule.note(format_args!("Push {number} to {path} gets {}", response.status()));
    }
    response.map_or_else(lost_response, |response| response.map(Body::from))
}

fn effect_on_dynamodb(fault: Fault, kind: &str, request: &Value, rng: &mut fastrand::Rng) -> Option<Effect> {
    Some(match fault {
        Fault::Throttled if is_transaction(kind) => {
            Effect::Respond(cancelled_transaction(request, "ThrottlingError", rng))
        }
        Fault::Conflict if is_transaction(kind) => {
            Effect::Respond(cancelled_transaction(request, "TransactionConflict", rng))
        }
        Fault::Conflict => Effect::Respond(dynamodb_error(StatusCode::BAD_REQUEST, "TransactionConflictException")),
        Fault::TornWrite => Effect::Expose { time: Duration::from_millis(rng.u64(5..300)), rng: rng.fork() },
        Fault::Unprocessed => Effect::Split(rng.fork()),
        Fault::TornRead => Effect::Tear { time: Duration::from_millis(rng.u64(20..500)), rng: rng.fork() },
        Fault::Throttled => Effect::Respond(dynamodb_error(StatusCode::BAD_REQUEST, "ThrottlingException")),
        Fault::ServerError => Effect::Respond(dynamodb_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError")),
        Fault::Slow => Effect::Delay(Duration::from_millis(rng.u64(20..500))),
        Fault::AnswerLate => Effect::DelayResponse(Duration::from_millis(rng.u64(20..500))),
        Fault::Unanswered => Effect::Drop,
        Fault::AppliedLate => Effect::ForwardLate(TOO_LATE),
        Fault::KilledBefore => Effect::Kill,
        Fault::KilledAfter => Effect::LoseResponse { kill: true },
        Fault::AnswerLost => Effect::LoseResponse { kill: false },
        Fault::Paused => Effect::Pause(Duration::from_millis(rng.u64(20..1_300))),
        Fault::TimedOut => Effect::Pause(Duration::from_secs(11)),
        _ => return None,
    })
}

fn effect_on_push(fault: Fault, rng: &mut fastrand::Rng) -> Option<Effect> {
    Some(match fault {
        Fault::PushGone => Effect::Respond(gateway_error(StatusCode::GONE, "GoneException")),
        Fault::PushThrottled => Effect::Respond(gateway_error(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException")),
        Fault::PushFailed => Effect::Respond(gateway_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure")),
        Fault::PushSlow => Effect::Delay(Duration::from_millis(rng.u64(50..390))),
        Fault::PushUnanswered => Effect::Drop,
        Fault::KilledBefore => Effect::Kill,
        Fault::KilledAfter => Effect::LoseResponse { kill: true },
        Fault::PushAnswerLost => Effect::LoseResponse { kill: false },
        Fault::Paused => Effect::Pause(Duration::from_millis(rng.u64(20..1_300))),
        _ => return None,
    })
}

/// Applies the effect to a call. Returns the response; `None` if it is lost.
async fn carry_out(
    effect: Option<Effect>,
    proxies: &Proxies,
    schedule: &Arc<FaultSchedule>,
    upstream: &Upstream,
    call: HttpCall,
) -> Option<Response<Bytes>> {
    let event = call.header(TRACE_ID).to_owned();
    match effect {
        None => {}
        Some(Effect::Respond(response)) => return Some(response),
        Some(Effect::Delay(time)) => sleep(time).await,
        Some(Effect::DelayResponse(time)) => {
            let response = upstream.forward(call).await;
            sleep(time).await;
            return response;
        }
        Some(Effect::Drop) => return std::future::pending().await,
        Some(Effect::ForwardLate(time)) => {
            let upstream = upstream.clone();
            // Run in a task, because the server drops this future when the function closes its
            // connection.
            schedule.tasks.spawn(async move {
                sleep(time).await;
                upstream.forward(call).await;
            });
            return std::future::pending().await;
        }
        Some(Effect::Kill) => {
            proxies.processes.kill(&event).await;
            return None;
        }
        Some(Effect::LoseResponse { kill }) => {
            let upstream = upstream.clone();
            // Run in a task, for the same reason. Drop the result, even if it is an error.
            let _ = schedule.tasks.spawn(async move { upstream.forward(call).await }).await;
            if kill {
                proxies.processes.kill(&event).await;
            }
            return None;
        }
        Some(Effect::Pause(time)) => {
            if let Some(process) = proxies.processes.handling(&event) {
                schedule.tasks.spawn(pause(process, time));
            }
        }
        Some(Effect::Tear { time, mut rng }) => {
            let before = upstream.forward(call.clone()).await?;
            sleep(time).await;
            return Some(torn(&before, upstream.forward(call).await?, &mut rng));
        }
        Some(Effect::Expose { time, rng }) => {
            let (upstream, shared) = (upstream.clone(), schedule.clone());
            // Run in a task, for the same reason.
            return schedule.tasks.spawn(forward_exposed(shared, upstream, call, time, rng)).await.ok()?;
        }
        Some(Effect::Split(rng)) => return forward_some(upstream, call, rng).await,
    }
    upstream.forward(call).await
}

async fn forward(upstream: &Upstream, call: HttpCall) -> Response<Body> {
    upstream.forward(call).await.map_or_else(lost_response, |response| response.map(Body::from))
}

/// The kind of a call, for the plan. The name seeds the random faults, so renaming a kind changes
/// every run.
fn kind_of(operation: &str, request: &Value) -> &'static str {
    match (operation, table_of(request)) {
        ("Query", "MessagesTable") if request["ScanIndexForward"] == true => "Page",
        ("Query", "MessagesTable") => "Look",
        ("PutItem", "MessagesTable") => "Put",
        ("GetItem", "MessagesTable") => "Get",
        ("BatchGetItem", "MessagesTable") => "Targets",
        ("BatchGetItem", "ClientsTable") => "Connections",
        ("UpdateItem", "ClientsTable") => match request["UpdateExpression"].as_str() {
            Some(update) if update.starts_with("REMOVE") => "RemoveClient",
            _ => "AddClient",
        },
        ("Query", "MembersTable") => "Members",
        ("GetItem", "MembersTable") => "Member",
        ("BatchGetItem", "MembersTable") => "Memberships",
        ("BatchWriteItem", _) => "Listings",
        ("TransactWriteItems", _) if group_of(request).is_some() => "Group",
        ("TransactWriteItems", _) if request["TransactItems"][0]["Put"]["TableName"] == "MessagesTable" => "Change",
        _ => "Other",
    }
}

fn is_transaction(kind: &str) -> bool {
    ["Change", "Group"].contains(&kind)
}

/// The connection that an update stores, or that `$disconnect` removes.
fn connection_of(request: &Value) -> &str {
    let attribute = request["ExpressionAttributeNames"]["#connection"].as_str();
    attribute.and_then(|name| name.strip_prefix(ATTRIBUTE)).unwrap_or_default()
}

/// Decides from the plan whether the new connection will lose its `$disconnect` event.
fn choose_lost_disconnect(proxies: &Proxies, schedule: &FaultSchedule, request: &Value, number: u64) {
    let connection = connection_of(request);
    let rate = schedule.plan.rate(Fault::DisconnectLost);
    if !schedule.is_quiet() && schedule.plan.rng("mute", number).u32(0..1_000) < rate {
        schedule.record(Fault::DisconnectLost, connection);
        proxies.lose_disconnect(connection);
    }
}

/// Whether this call must be dropped to simulate a lost `$disconnect` event. Other functions can
/// still remove the connection.
fn is_lost_disconnect(proxies: &Proxies, call: &HttpCall, request: &Value) -> bool {
    let function = proxies.processes.function(call.header(TRACE_ID));
    proxies.is_disconnect_lost(connection_of(request)) && function.as_deref() == Some("DisconnectFunction")
}

/// Makes connections an hour older, so that a 410 removes them. Connections whose `$connect` may
/// still be running keep their age and stay protected.
fn age_connections(proxies: &Proxies, response: Response<Bytes>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
    let items = value["Responses"]["ClientsTable"].as_array_mut().into_iter().flatten();
    for (name, attribute) in items.filter_map(Value::as_object_mut).flatten() {
        let Some(connection) = name.strip_prefix(ATTRIBUTE) else { continue };
        let connected_at = &mut attribute["M"]["connectedAt"]["N"];
        let at = connected_at.as_str().and_then(|at| at.parse::<i64>().ok());
        if let (Some(at), true) = (at, proxies.was_opened(connection)) {
            *connected_at = (at - AN_HOUR).to_string().into();
        }
    }
    remove_checksums(&mut parts.headers);
    Response::from_parts(parts, value.to_string().into())
}

fn gateway_error(status: StatusCode, error: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(br#"{"message":"injected by chaos"}"#));
    *response.status_mut() = status;
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(error));
    response
}
