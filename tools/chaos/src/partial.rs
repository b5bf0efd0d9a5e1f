//! Calls to DynamoDB that take effect in part: torn reads, transactions that are being applied, and batches of which a part is
//! left.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Response, StatusCode},
};
use serde_json::{Value, json};
use support::{HttpCall, Upstream};
use tokio::time::sleep;

use crate::{exposure::Exposures, schedule::FaultSchedule};

/// Forwards a transaction that changes a group, and shows its members before or after it until it responds.
pub(crate) async fn forward_exposed(
    schedule: Arc<FaultSchedule>,
    upstream: Upstream,
    call: HttpCall,
    time: Duration,
    rng: fastrand::Rng,
) -> Option<Response<Bytes>> {
    let request: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let group = group_of(&request)?.to_owned();
    let query = json!({
        "TableName": "MembersTable", "ConsistentRead": true, "KeyConditionExpression": "conversationId = :id",
        "ExpressionAttributeValues": { ":id": { "S": group } },
    });
    let response = upstream.forward(with_body(&call, "Query", &query)).await?;
    let items: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let items = items["Items"].as_array().cloned().unwrap_or_default();
    if !schedule.exposures.begin(&group, items, rng) {
        let mut rng = schedule.plan.rng("busy", 0);
        return Some(cancelled_transaction(&request, "TransactionConflict", &mut rng));
    }
    let response = upstream.forward(call).await;
    if response.as_ref().is_some_and(|response| response.status() == StatusCode::OK) {
        sleep(time).await;
    }
    schedule.exposures.end(&group);
    response
}

/// Forwards the first writes of a batch, and responds that the others are not processed.
pub(crate) async fn forward_some(
    upstream: &Upstream,
    call: HttpCall,
    mut rng: fastrand::Rng,
) -> Option<Response<Bytes>> {
    let mut request: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let table = table_of(&request).to_owned();
    let writes = request["RequestItems"][&table].as_array().cloned().unwrap_or_default();
    let (first, rest) = writes.split_at(rng.usize(0..=writes.len()));
    if !first.is_empty() {
        request["RequestItems"][&table] = json!(first);
        let response = upstream.forward(with_body(&call, "BatchWriteItem", &request)).await?;
        if response.status() != StatusCode::OK {
            return Some(response);
        }
    }
    let unprocessed = if rest.is_empty() { json!({}) } else { json!({ table: rest }) };
    let mut response = Response::new(json!({ "UnprocessedItems": unprocessed }).to_string().into());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
    Some(response)
}

/// A call like this one, with another operation and body.
fn with_body(call: &HttpCall, operation: &str, body: &Value) -> HttpCall {
    let mut call = HttpCall { body: body.to_string().into(), ..call.clone() };
    remove_checksums(&mut call.headers);
    let target = HeaderValue::from_str(&format!("DynamoDB_20120810.{operation}"));
    call.headers.insert("x-amz-target", target.expect("an operation is ASCII"));
    call
}

/// The response to a read of members, with some items as they were before a transaction that is being applied.
pub(crate) fn expose(schedule: &FaultSchedule, request: &Value, response: Response<Bytes>) -> Response<Bytes> {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !schedule.exposures.alter(request, &mut value) {
        return Response::from_parts(parts, body);
    }
    schedule.note(format_args!("members are read during a transaction: {}", members_in(&value)));
    remove_checksums(&mut parts.headers);
    Response::from_parts(parts, value.to_string().into())
}

/// The users of the items in a response, each with the entry that last changed the item.
fn members_in(response: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut items = list(&response["Items"]);
    items.extend(list(&response["Responses"]["MembersTable"]));
    items.extend(response.get("Item").cloned());
    let items = items.iter().map(|item| format!("{} {}", item["userId"]["S"], item["since"]["N"]));
    items.collect::<Vec<_>>().join(", ")
}

/// The response to a query that read the first items when `before` did, and the others when `after` did. Entries are only
/// added at the end of a conversation, so both responses begin with the same ones. Members are added anywhere, and a
/// transaction may be applied to any of them first, so each is read at one of the two times.
pub(crate) fn torn(before: &Response<Bytes>, after: Response<Bytes>, rng: &mut fastrand::Rng) -> Response<Bytes> {
    let (mut parts, body) = after.into_parts();
    let parsed = (serde_json::from_slice::<Value>(before.body()), serde_json::from_slice::<Value>(&body));
    let (Ok(early), Ok(mut late)) = parsed else { return Response::from_parts(parts, body) };
    let early = early["Items"].as_array().cloned().unwrap_or_default();
    let count = rng.usize(0..=early.len());
    if late["Items"][0].get("userId").is_some() {
        let exposures = Exposures::default();
        let request = json!({ "ExpressionAttributeValues": { ":id": { "S": "" } } });
        exposures.begin("", early, rng.fork());
        exposures.alter(&request, &mut late);
    } else if let Some(items) = late["Items"].as_array_mut() {
        items.iter_mut().zip(early).take(count).for_each(|(item, early)| *item = early);
    }
    remove_checksums(&mut parts.headers);
    Response::from_parts(parts, late.to_string().into())
}

/// The conversation id of the group that a transaction changes.
pub(crate) fn group_of(request: &Value) -> Option<&str> {
    let mut puts = request["TransactItems"].as_array()?.iter().map(|item| &item["Put"]);
    puts.find(|put| put["TableName"] == "MembersTable")?["Item"]["conversationId"]["S"].as_str()
}

/// The table of a call; an empty name for a transaction.
pub(crate) fn table_of(request: &Value) -> &str {
    let batch = || request["RequestItems"].as_object()?.keys().next().map(String::as_str);
    request["TableName"].as_str().or_else(batch).unwrap_or_default()
}

pub(crate) fn dynamodb_error(status: StatusCode, error: &str) -> Response<Bytes> {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{error}","message":"injected by chaos"}}"#);
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
}

/// The response to a transaction of which some parts are the reason.
pub(crate) fn cancelled_transaction(request: &Value, reason: &str, rng: &mut fastrand::Rng) -> Response<Bytes> {
    let mut response = dynamodb_error(StatusCode::BAD_REQUEST, "TransactionCanceledException");
    let mut body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let count = request["TransactItems"].as_array().map_or(1, Vec::len);
    let certain = rng.usize(..count);
    let is_reason = |part: usize, rng: &mut fastrand::Rng| part == certain || rng.bool();
    let codes = (0..count).map(|part| if is_reason(part, rng) { reason } else { "None" });
    body["CancellationReasons"] = codes.map(|code| json!({ "Code": code })).collect();
    *response.body_mut() = body.to_string().into();
    response
}

/// The headers that no longer fit an altered body.
pub(crate) fn remove_checksums(headers: &mut HeaderMap) {
    for header in ["content-length", "x-amz-crc32"] {
        headers.remove(header);
    }
}
