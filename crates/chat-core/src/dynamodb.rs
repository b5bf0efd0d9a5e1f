//! What the repositories share: the client, how long a call may take, and what a failed one means.

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

/// How long one attempt may take. A put takes 8 ms (p99 16 ms), so one second is already a lost call.
const ATTEMPT: Duration = Duration::from_secs(1);
/// What a call gets in all, its retries included. Two of them, one after the other, and the pushes (1 s) leave a
/// function that has 10 s the last one to answer.
const BUDGET: Duration = Duration::from_secs(4);
/// How many attempts fit into that where each takes its second.
const ATTEMPTS: u32 = 4;
/// The longest wait before the second attempt. It doubles with every further one, and each is a random part of it, so
/// that those who failed together don't come back together. The SDK alone would begin with a second.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The way to the tables, which all repositories of a function share.
#[derive(Debug, Clone)]
pub struct DynamoDb(pub(crate) Client);

impl DynamoDb {
    /// One that gives up while there is still time to tell the caller.
    ///
    /// The SDK alone would wait 3.1 s for a connection and without end for an answer.
    pub fn new(aws: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(ATTEMPT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(BUDGET)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_WAIT);
        let config = config::Builder::from(aws).timeout_config(timeouts).retry_config(retries).build();
        Self(Client::from_conf(config))
    }
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
