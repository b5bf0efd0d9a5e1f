//! The event of the authorizer, and its response: an IAM policy.

use std::collections::HashMap;

use aws_lambda_events::{
    apigw::ApiGatewayCustomAuthorizerResponse,
    iam::{IamPolicyEffect, IamPolicyStatement},
};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    lambda::{
        identity,
        request_log::{Handled, LogEntry},
        subprotocols,
    },
    model::{
        error::{Error, chain},
        time::Timestamp,
    },
    protocol::request::{ConnectRequest, Identity},
};

/// The response of the authorizer.
type Policy = ApiGatewayCustomAuthorizerResponse<HashMap<String, Value>>;

/// The event of an authorizer of type `REQUEST` on `$connect`, as far as it is used.
///
/// The type of `aws_lambda_events` lacks the time of the request, and every expiry is compared with that.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerEvent {
    method_arn: Option<String>,
    /// Absent if there are none, as are the parameters.
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
    multi_value_query_string_parameters: Option<HashMap<String, Vec<String>>>,
    request_context: RequestContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    request_time_epoch: Timestamp,
    connection_id: Option<String>,
}

/// Handles one attempt to connect. The response is a policy that allows or denies it, or the error that API Gateway turns
/// into a 401.
///
/// [`Error::Unauthenticated`] becomes a 401: the client can retry with a new token. Every other refusal becomes a 403: a
/// retry will fail, too. The log has the reason, which is a fixed phrase and never contains what the client sent.
///
/// # Errors
/// The message `Unauthorized` (401) for a caller who proves nothing, any other message (500) for a fault of the service.
pub async fn authorize<C>(
    context: &C,
    event: LambdaEvent<AuthorizerEvent>,
    authorizer: impl AsyncFn(&C, ConnectRequest) -> Result<Identity, Error>,
) -> Handled<Result<Policy, Diagnostic>> {
    let (mut event, lambda) = event.into_parts();
    let mut entry = LogEntry::new(&lambda);
    entry.connection_id = event.request_context.connection_id.take();
    entry.route = Some("authorizer".to_owned());
    let resource = event.method_arn.take();
    let response = match authorizer(context, connect_request(event)).await {
        Ok(identity) => Ok(policy(resource, Some(&identity))),
        Err(error) => {
            entry.outcome = error.code();
            refuse(resource, &error)
        }
    };
    Handled { response, entry }
}

fn refuse(resource: Option<String>, error: &Error) -> Result<Policy, Diagnostic> {
    if error.is_fault_of_service() {
        tracing::error!(code = error.code(), cause = chain(error), "an authorization failed");
        return Err(Diagnostic { error_type: error.code().into(), error_message: error.message().into_owned() });
    }
    tracing::info!(code = error.code(), reason = %error.message(), "a connection was refused");
    match error {
        Error::Unauthenticated(_) => {
            Err(Diagnostic { error_type: "Unauthorized".into(), error_message: "Unauthorized".into() })
        }
        _ => Ok(policy(resource, None)),
    }
}

fn connect_request(event: AuthorizerEvent) -> ConnectRequest {
    let headers = event.multi_value_headers.unwrap_or_default();
    // The names of headers have the case in which the client sent them.
    let header = |name: &str| -> Vec<String> {
        let named = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.flat_map(|(_, values)| values.iter().cloned()).collect()
    };
    let mut query = event.multi_value_query_string_parameters.unwrap_or_default();
    ConnectRequest {
        user_ids: query.remove("userId").unwrap_or_default(),
        tokens: query.remove("token").unwrap_or_default(),
        subprotocols: header(subprotocols::HEADER).iter().flat_map(|offer| subprotocols::parse(offer)).collect(),
        origins: header("Origin"),
        received_at: event.request_context.request_time_epoch,
    }
}

/// A policy that allows the identity to connect, or denies the connection.
fn policy(resource: Option<String>, identity: Option<&Identity>) -> Policy {
    let mut statement = IamPolicyStatement::default();
    statement.action = vec!["execute-api:Invoke".to_owned()];
    statement.effect = if identity.is_some() { IamPolicyEffect::Allow } else { IamPolicyEffect::Deny };
    statement.resource = resource.into_iter().collect();
    let mut policy = Policy::default();
    policy.policy_document.version = Some("2012-10-17".to_owned());
    policy.policy_document.statement = vec![statement];
    policy.context = identity.map(identity::context).unwrap_or_default();
    // A response without a principal is malformed, and becomes a 500.
    policy.principal_id =
        Some(identity.map_or_else(|| "nobody".to_owned(), |identity| identity::encode(&identity.user)));
    policy
}
