//! What the repositories share: how long a call may take, and what a failed one means.

use std::{error::Error as StdError, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    Client, config,
    error::{ProvideErrorMetadata, SdkError},
    types::AttributeValue,
};
use serde::de::DeserializeOwned;

use crate::error::Error;

/// One row, as DynamoDB has it.
pub(crate) type Item = std::collections::HashMap<String, AttributeValue>;

/// A client that gives up while there is still time to tell the caller.
///
/// The SDK alone would wait 3.1 s for a connection and without end for an answer. A put takes 8 ms (p99 16 ms), so one
/// second is already a lost call.
pub(crate) fn client(aws: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(Duration::from_secs(4))
        .build();
    Client::from_conf(config::Builder::from(aws).timeout_config(timeouts).retry_config(RetryConfig::standard()).build())
}

/// What a call that failed, after the SDK's own retries, means for the request.
pub(crate) fn failed<E>(error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    /// The codes that ask for another attempt:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>.
    const PASSING: [&str; 6] = [
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    ];
    let passing = match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(answer) => answer.err().code().is_some_and(|code| PASSING.contains(&code)),
        _ => false,
    };
    if passing { Error::Unavailable(error.into()) } else { Error::Internal(error.into()) }
}

/// 10 to 50 ms, so that callers who got in each other's way do not come back together.
pub(crate) fn random_wait() -> Duration {
    let noise = u64::from(uuid::Uuid::new_v4().as_fields().0);
    Duration::from_millis(10 + noise % 40)
}

/// A row as the type that was written.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::Internal(error.into()))
}
