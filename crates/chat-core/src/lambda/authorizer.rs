//! The authorizer's event, and its answer: a policy.

use std::collections::HashMap;

use aws_lambda_events::{
    apigw::ApiGatewayCustomAuthorizerResponse,
    iam::{IamPolicyEffect, IamPolicyStatement},
};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Deserialize;
use serde_json::json;

use super::{Answered, Line, SUBPROTOCOL};
use crate::{
    error::{Error, chain},
    request::{Identity, Upgrade},
};

/// What API Gateway asks an authorizer of type `REQUEST` on `$connect`, as far as it is looked at.
///
/// `aws_lambda_events` has a type for it, but without the time of the request, and every expiry is measured by that.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorize {
    method_arn: Option<String>,
    /// Absent where there are none, as are the parameters.
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
    multi_value_query_string_parameters: Option<HashMap<String, Vec<String>>>,
    request_context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    request_time_epoch: i64,
    connection_id: Option<String>,
}

/// What one connection attempt is answered: a policy that allows or denies it, or the error that API Gateway makes a
/// 401 of.
///
/// Who proves nothing gets 401 and may come back with a (new) token: [`Error::Unauthenticated`]. Who proves something,
/// but may not connect like this, gets 403, and the same again will not do: every other refusal. The log has the reason,
/// which is one of our own phrases and never a piece of what the client sent.
///
/// # Errors
/// The message `Unauthorized` (401) for a caller that proves nothing, any other (500) for a fault of ours.
pub async fn policy<T>(
    tools: &T,
    event: LambdaEvent<Authorize>,
    authorizer: impl AsyncFn(&T, Upgrade) -> Result<Identity, Error>,
) -> Answered<Result<ApiGatewayCustomAuthorizerResponse, Diagnostic>> {
    let (mut event, context) = event.into_parts();
    let mut line = Line::begin(&context);
    line.connection_id = event.request_context.connection_id.take();
    line.route = Some("authorizer".to_owned());
    let resource = event.method_arn.take();
    let answer = match authorizer(tools, upgrade(event)).await {
        Ok(identity) => Ok(decision(resource, Some(identity))),
        Err(error) => {
            line.outcome = error.code();
            refuse(resource, &error)
        }
    };
    Answered { answer, line }
}

fn refuse(resource: Option<String>, error: &Error) -> Result<ApiGatewayCustomAuthorizerResponse, Diagnostic> {
    if error.is_ours() {
        tracing::error!(code = error.code(), cause = chain(error), "an authorization failed");
        return Err(Diagnostic { error_type: error.code().into(), error_message: error.message().into_owned() });
    }
    tracing::info!(code = error.code(), reason = %error.message(), "a connection was refused");
    match error {
        Error::Unauthenticated(_) => {
            Err(Diagnostic { error_type: "Unauthorized".into(), error_message: "Unauthorized".into() })
        }
        _ => Ok(decision(resource, None)),
    }
}

fn upgrade(event: Authorize) -> Upgrade {
    let headers = event.multi_value_headers.unwrap_or_default();
    // Names of headers come as the client spelled them.
    let header = |name: &str| -> Vec<String> {
        let named = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.flat_map(|(_, values)| values.iter().cloned()).collect()
    };
    let mut query = event.multi_value_query_string_parameters.unwrap_or_default();
    Upgrade {
        user_ids: query.remove("userId").unwrap_or_default(),
        tokens: query.remove("token").unwrap_or_default(),
        subprotocols: header(SUBPROTOCOL).iter().flat_map(|offer| super::offers(offer)).collect(),
        origins: header("Origin"),
        received_at: event.request_context.request_time_epoch,
    }
}

/// Lets somebody connect, or nobody. The context comes back with every later event of the connection.
fn decision(resource: Option<String>, identity: Option<Identity>) -> ApiGatewayCustomAuthorizerResponse {
    let mut statement = IamPolicyStatement::default();
    statement.action = vec!["execute-api:Invoke".to_owned()];
    statement.effect = if identity.is_some() { IamPolicyEffect::Allow } else { IamPolicyEffect::Deny };
    statement.resource = resource.into_iter().collect();
    let mut decision = ApiGatewayCustomAuthorizerResponse::default();
    decision.policy_document.version = Some("2012-10-17".to_owned());
    decision.policy_document.statement = vec![statement];
    decision.context = match &identity {
        Some(Identity { user, expires_at: Some(expires_at) }) => json!({ "userId": user, "expiresAt": expires_at }),
        Some(Identity { user, expires_at: None }) => json!({ "userId": user }),
        None => json!({}),
    };
    // A decision without a principal is malformed, and becomes a 500.
    decision.principal_id = Some(identity.map_or_else(|| "nobody".to_owned(), |identity| identity.user.into()));
    decision
}
