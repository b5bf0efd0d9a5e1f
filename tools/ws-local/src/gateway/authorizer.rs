//! Whether a client may connect: the authorizer is asked once, on `$connect`, and never again.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Core,
    connection::Connection,
    events,
    invocation::Failure,
    opening::Opening,
    policy::Policy,
    refusal::{Refusal, chain},
};
use crate::{invoke::InvokeError, template::Authorizer};

/// `principalId` and context, all strings: the `requestContext.authorizer` of every later event.
pub(super) type Granted = Map<String, Value>;

/// Asks the authorizer and evaluates its policy.
pub(super) async fn ask(
    core: &Core,
    authorizer: &Authorizer,
    connection: &Connection,
    opening: &Opening,
    request: &str,
) -> Result<Granted, Refusal> {
    let context = events::opening_context(&core.stack.api, connection, request);
    for source in &authorizer.identity_sources {
        if value_of(source, opening, &context).is_none_or(str::is_empty) {
            return Err(unauthorized().because(format!("the identity source {source} is missing")));
        }
    }
    let event = events::authorize(&core.stack, connection, opening, request);
    let answer = core
        .call(&authorizer.function, &event, core.limits.integration)
        .await
        .map_err(|failure| if says_unauthorized(&failure) { unauthorized() } else { broken(chain(&failure)) })?;
    let length = answer.len();
    if length > core.limits.authorizer_answer {
        return Err(broken(format!("the authorizer's answer has {length} bytes, too many")));
    }
    let verdict: Verdict = serde_json::from_slice(&answer)
        .map_err(|error| broken(format!("the authorizer's answer is not one: {error}")))?;
    if !verdict.policy_document.allows(&events::method_arn(&core.stack)) {
        return Err(forbidden());
    }
    verdict
        .granted()
        .map_err(|key| broken(format!("the authorizer's context has {key}, which is no string, number or boolean")))
}

/// What an authorizer answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    principal_id: String,
    policy_document: Policy,
    #[serde(default)]
    context: Option<Map<String, Value>>,
}

impl Verdict {
    /// The context with every value made a string, and the principal; the name of a value that is neither.
    fn granted(self) -> Result<Granted, String> {
        let mut granted = Granted::new();
        for (key, value) in self.context.unwrap_or_default() {
            let text = match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => return Err(key),
            };
            granted.insert(key, text.into());
        }
        granted.insert("principalId".into(), self.principal_id.into());
        Ok(granted)
    }
}

/// The value of an identity source, such as `route.request.querystring.token`.
fn value_of<'a>(source: &str, opening: &'a Opening, context: &'a Value) -> Option<&'a str> {
    if let Some(name) = source.strip_prefix("route.request.header.") {
        opening.header(name)
    } else if let Some(name) = source.strip_prefix("route.request.querystring.") {
        opening.parameter(name)
    } else {
        // Stage variables, the only other kind, are not among what a template of this kind sets.
        let path = source.strip_prefix("context.")?;
        path.split('.').try_fold(context, |at, name| at.get(name))?.as_str()
    }
}

/// The error `"Unauthorized"`, the only one that an authorizer can choose the status with.
fn says_unauthorized(failure: &Failure) -> bool {
    let Failure::Function(InvokeError::Failed(payload)) = failure else {
        return false;
    };
    let error: Option<Value> = serde_json::from_str(payload).ok();
    error.is_some_and(|error| error.get("errorMessage").is_some_and(|text| text == "Unauthorized"))
}

fn unauthorized() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "UnauthorizedException", "Unauthorized")
}

fn forbidden() -> Refusal {
    let message = "User is not authorized to access this resource";
    Refusal::new(StatusCode::FORBIDDEN, "AccessDeniedException", message).because("the policy doesn't allow it")
}

fn broken(detail: String) -> Refusal {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Refusal::new(status, "AuthorizerConfigurationException", "Internal server error").because(detail)
}
