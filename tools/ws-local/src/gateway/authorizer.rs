//! The authorizer of an API. It is invoked once per connection, on `$connect`.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    connection::Connection,
    events,
    invocation::{self, IntegrationError},
    policy::Policy,
    refusal::HttpRefusal,
    state::GatewayState,
    upgrade_request::UpgradeRequest,
};
use crate::{invoke::InvokeError, template::Authorizer};

/// The `requestContext.authorizer` of every later event: `principalId` and the context, all strings.
pub(super) type AuthorizerContext = Map<String, Value>;

/// Invokes the authorizer and evaluates its policy.
pub(super) async fn authorize(
    state: &GatewayState,
    authorizer: &Authorizer,
    connection: &Connection,
    upgrade: &UpgradeRequest,
    request: &str,
) -> Result<AuthorizerContext, HttpRefusal> {
    let context = events::connect_context(&state.stack.api, connection, request);
    for source in &authorizer.identity_sources {
        if identity(source, upgrade, &context).is_none_or(str::is_empty) {
            return Err(unauthorized().because(format!("the identity source {source} is missing")));
        }
    }
    let event = events::authorize(&state.stack, connection, upgrade, request);
    let response = invocation::call(state, &authorizer.function, &event, state.limits.integration).await;
    let response =
        response.map_err(|error| if is_unauthorized(&error) { unauthorized() } else { failed(error.into_detail()) })?;
    let length = response.len();
    if length > state.limits.authorizer_response {
        return Err(failed(format!("the authorizer's response has {length} bytes, too many")));
    }
    let response: AuthorizerResponse = serde_json::from_slice(&response)
        .map_err(|error| failed(format!("the authorizer's response is not valid: {error}")))?;
    if !response.policy_document.allows(&events::method_arn(&state.stack)) {
        return Err(forbidden());
    }
    response
        .into_context()
        .map_err(|key| failed(format!("the authorizer's context has {key}, which is not a string, number or boolean")))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerResponse {
    principal_id: String,
    policy_document: Policy,
    #[serde(default)]
    context: Option<Map<String, Value>>,
}

impl AuthorizerResponse {
    /// Converts all values to strings. If one is not a string, number or boolean, returns its key
    /// as the error.
    fn into_context(self) -> Result<AuthorizerContext, String> {
        let mut context = AuthorizerContext::new();
        for (key, value) in self.context.unwrap_or_default() {
            let text = match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => return Err(key),
            };
            context.insert(key, text.into());
        }
        context.insert("principalId".into(), self.principal_id.into());
        Ok(context)
    }
}

/// The value of an identity source, such as `route.request.querystring.token`. Stage variables, the
/// only other kind, always count as missing, because this crate does not support them.
fn identity<'a>(source: &str, upgrade: &'a UpgradeRequest, context: &'a Value) -> Option<&'a str> {
    if let Some(name) = source.strip_prefix("route.request.header.") {
        upgrade.header(name)
    } else if let Some(name) = source.strip_prefix("route.request.querystring.") {
        upgrade.parameter(name)
    } else {
        let path = source.strip_prefix("context.")?;
        path.split('.').try_fold(context, |at, name| at.get(name))?.as_str()
    }
}

/// Whether the authorizer failed with the error `"Unauthorized"`, the only error that results in
/// 401.
fn is_unauthorized(error: &IntegrationError) -> bool {
    let IntegrationError::Invoke(InvokeError::Failed(payload)) = error else {
        return false;
    };
    let error: Option<Value> = serde_json::from_str(payload).ok();
    error.is_some_and(|error| error.get("errorMessage").is_some_and(|text| text == "Unauthorized"))
}

fn unauthorized() -> HttpRefusal {
    HttpRefusal::new(StatusCode::UNAUTHORIZED, "UnauthorizedException", "Unauthorized")
}

fn forbidden() -> HttpRefusal {
    let message = "User is not authorized to access this resource";
    HttpRefusal::new(StatusCode::FORBIDDEN, "AccessDeniedException", message).because("the policy doesn't allow it")
}

fn failed(detail: String) -> HttpRefusal {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    HttpRefusal::new(status, "AuthorizerConfigurationException", "Internal server error").because(detail)
}
