//! The authorizer's event, and its answer: a policy.

use aws_lambda_events::{
    apigw::{ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerResponse},
    iam::{IamPolicyEffect, IamPolicyStatement},
};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::json;

use crate::{
    error::{Error, chain},
    request::Upgrade,
    user::UserId,
};

/// What one connection attempt is answered: a policy that allows or denies it, or the error that API Gateway makes a
/// 401 of.
///
/// # Errors
/// The message `Unauthorized` (401) for a caller that says nothing of who they are, any other (500) for a fault of ours.
pub async fn policy<T>(
    tools: &T,
    event: LambdaEvent<ApiGatewayCustomAuthorizerRequestTypeRequest>,
    authorizer: impl AsyncFn(&T, Upgrade) -> Result<UserId, Error>,
) -> Result<ApiGatewayCustomAuthorizerResponse, Diagnostic> {
    let event = event.payload;
    let query = &event.multi_value_query_string_parameters;
    let user_ids = query.all("userId").unwrap_or_default().into_iter().map(str::to_owned).collect();
    match authorizer(tools, Upgrade { user_ids }).await {
        Ok(user) => Ok(decision(event.method_arn, Some(user))),
        Err(Error::Unauthenticated(_)) => {
            Err(Diagnostic { error_type: "Unauthorized".into(), error_message: "Unauthorized".into() })
        }
        Err(error) if error.is_ours() => {
            tracing::error!(code = error.code(), cause = chain(&error), "an authorization failed");
            Err(Diagnostic { error_type: error.code().into(), error_message: error.message().into_owned() })
        }
        Err(_) => Ok(decision(event.method_arn, None)),
    }
}

/// Lets `user` connect, or nobody. The context comes back with every later event of the connection.
fn decision(resource: Option<String>, user: Option<UserId>) -> ApiGatewayCustomAuthorizerResponse {
    let mut statement = IamPolicyStatement::default();
    statement.action = vec!["execute-api:Invoke".to_owned()];
    statement.effect = if user.is_some() { IamPolicyEffect::Allow } else { IamPolicyEffect::Deny };
    statement.resource = resource.into_iter().collect();
    let mut decision = ApiGatewayCustomAuthorizerResponse::default();
    decision.policy_document.version = Some("2012-10-17".to_owned());
    decision.policy_document.statement = vec![statement];
    decision.context = user.as_ref().map_or_else(|| json!({}), |user| json!({ "userId": user }));
    // A decision without a principal is malformed, and becomes a 500.
    decision.principal_id = Some(user.map_or_else(|| "nobody".to_owned(), String::from));
    decision
}
