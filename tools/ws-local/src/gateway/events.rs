//! The payloads of the functions, in the format of API Gateway.

use serde_json::{Map, Value, json};

use super::{connection::Connection, id::new_id, upgrade_request::UpgradeRequest};
use crate::{
    clock,
    template::{Api, Stack},
};

/// The payload of the `$connect` function.
pub(super) fn connect(api: &Api, connection: &Connection, upgrade: &UpgradeRequest, request: &str) -> Value {
    let mut event = Map::new();
    upgrade.add_to(&mut event);
    event.insert("requestContext".into(), connect_context(api, connection, request));
    event.insert("isBase64Encoded".into(), false.into());
    Value::Object(event)
}

/// The payload of the authorizer.
pub(super) fn authorize(stack: &Stack, connection: &Connection, upgrade: &UpgradeRequest, request: &str) -> Value {
    let mut event = Map::new();
    upgrade.add_to(&mut event);
    event.insert("type".into(), "REQUEST".into());
    event.insert("methodArn".into(), method_arn(stack).into());
    event.insert("stageVariables".into(), json!({}));
    let context = connect_context(&stack.api, connection, request);
    event.insert("requestContext".into(), context);
    Value::Object(event)
}

/// The ARN that the authorizer's policy must allow.
pub(super) fn method_arn(stack: &Stack) -> String {
    let Stack { region, account_id, api, .. } = stack;
    let Api { api_id, stage, .. } = api;
    format!("arn:aws:execute-api:{region}:{account_id}:{api_id}/{stage}/$connect")
}

/// The `requestContext` of `$connect` and of the authorizer.
pub(super) fn connect_context(api: &Api, connection: &Connection, request: &str) -> Value {
    let at = connection.connected_at;
    Value::Object(context(api, connection, "$connect", "CONNECT", request, at))
}

/// The payload of a route's function.
pub(super) fn message(api: &Api, connection: &Connection, route: &str, request: &str, body: &str) -> Value {
    let mut context = context(api, connection, route, "MESSAGE", request, clock::now());
    context.insert("messageId".into(), new_id().into());
    json!({"requestContext": context, "body": body, "isBase64Encoded": false})
}

/// The payload of the `$disconnect` function.
pub(super) fn disconnect(api: &Api, connection: &Connection, request: &str, code: u16, reason: &str) -> Value {
    let mut context = context(api, connection, "$disconnect", "DISCONNECT", request, clock::now());
    context.insert("disconnectStatusCode".into(), code.into());
    context.insert("disconnectReason".into(), reason.into());
    let host = &connection.host;
    json!({
        "headers": {"Host": host, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""},
        "multiValueHeaders": {"Host": [host], "x-api-key": [""], "X-Forwarded-For": [""], "x-restapi": [""]},
        "requestContext": context,
        "isBase64Encoded": false,
    })
}

/// The fields that every `requestContext` has. `at` is in milliseconds since the Unix epoch.
fn context(
    api: &Api,
    connection: &Connection,
    route: &str,
    event_type: &str,
    request: &str,
    at: i64,
) -> Map<String, Value> {
    let mut identity = Map::new();
    identity.insert("sourceIp".into(), connection.source_ip.to_string().into());
    if let Some(user_agent) = &connection.user_agent {
        identity.insert("userAgent".into(), user_agent.as_str().into());
    }
    let fields: [(&str, Value); 13] = [
        ("routeKey", route.into()),
        ("eventType", event_type.into()),
        ("extendedRequestId", request.into()),
        ("requestTime", clock::request_time(at).into()),
        ("messageDirection", "IN".into()),
        ("stage", api.stage.as_str().into()),
        ("connectedAt", connection.connected_at.into()),
        ("requestTimeEpoch", at.into()),
        ("identity", identity.into()),
        ("requestId", request.into()),
        ("domainName", connection.host.as_str().into()),
        ("connectionId", connection.id.as_str().into()),
        ("apiId", api.api_id.as_str().into()),
    ];
    let mut context: Map<_, _> = fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    if let Some(authorizer) = &connection.authorizer {
        context.insert("authorizer".into(), authorizer.clone().into());
    }
    context
}
