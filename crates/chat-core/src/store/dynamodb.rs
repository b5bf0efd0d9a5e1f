//! `DynamoDbClient`: the client of all repositories, its time-outs, and the meaning of its errors.

use std::{error::Error as StdError, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    Client, config,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem, WriteRequest},
};
use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;

use crate::model::error::Error;

/// An item of a table, or its key.
pub(super) type Item = std::collections::HashMap<String, AttributeValue>;

/// Time-out of one attempt. A put takes 8 ms (p99 16 ms), so after one second the call is lost.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Time-out of a call with its retries. Two calls in sequence and the pushes (1 s) leave a function that has 10 s its last
/// second to answer.
const BUDGET: Duration = Duration::from_secs(4);
/// The number of attempts that fit into the budget.
pub(super) const ATTEMPTS: u32 = 4;
/// The longest wait before the second attempt. It doubles with each further attempt, and each wait is a random part of it,
/// so that callers that failed together do not retry together. The SDK's default is one second.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The maximum number of keys of one `BatchGetItem`.
const BATCH_KEYS: usize = 100;
/// The maximum number of writes of one `BatchWriteItem`.
const BATCH_WRITES: usize = 25;

/// The client that all repositories of a function share. Its calls end before the function's time is up.
#[derive(Debug, Clone)]
pub struct DynamoDbClient(pub(super) Client);

impl DynamoDbClient {
    /// Overrides the SDK's default time-outs: 3.1 s for a connection, and none for a response. Time-outs for responses that
    /// `aws` sets itself stay.
    pub(crate) fn new(aws: &SdkConfig) -> Self {
        let set = aws.timeout_config();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(ATTEMPT)
            .operation_attempt_timeout(set.and_then(TimeoutConfig::operation_attempt_timeout).unwrap_or(ATTEMPT))
            .operation_timeout(set.and_then(TimeoutConfig::operation_timeout).unwrap_or(BUDGET))
            .build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_WAIT);
        let config = config::Builder::from(aws).timeout_config(timeouts).retry_config(retries).build();
        Self(Client::from_conf(config))
    }
}

/// The error of a call that failed after the SDK's retries: [`Error::Unavailable`] if a later call can succeed.
pub(super) fn call_error<E>(error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    /// The error codes that ask for another attempt:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>. Any write can get a
    /// `TransactionConflictException` while a transaction uses the item:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>.
    const RETRYABLE: [&str; 8] = [
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    ];
    let is_retryable = match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(answer) => answer.err().code().is_some_and(|code| RETRYABLE.contains(&code)),
        _ => false,
    };
    if is_retryable { Error::Unavailable(error.into()) } else { Error::Internal(error.into()) }
}

/// A random wait of 10 to 50 ms, so that callers that conflicted do not retry at the same time.
pub fn random_wait() -> Duration {
    let noise = u64::from(uuid::Uuid::new_v4().as_fields().0);
    Duration::from_millis(10 + noise % 40)
}

/// Whether a read sees every write that was acknowledged before it. An eventual one costs half as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consistency {
    Strong,
    Eventual,
}

/// Writes that belong to an entry: they are stored in one transaction with it, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Writes(pub(super) Vec<TransactWriteItem>);

impl Writes {
    /// These writes and `others`.
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// One put without a condition: the entry that it belongs to is put only if nothing has changed since it was decided.
    pub(super) fn add_put(&mut self, table: &str, item: Item) -> Result<(), Error> {
        let put = Put::builder().table_name(table).set_item(Some(item)).build();
        let put = put.map_err(|error| Error::Internal(error.into()))?;
        self.0.push(TransactWriteItem::builder().put(put).build());
        Ok(())
    }
}

/// Writes in batches, in any order. After an error, some of them may have happened.
pub(super) async fn batch_write(dynamodb: &Client, table: &str, writes: Vec<WriteRequest>) -> Result<(), Error> {
    let batches = writes.chunks(BATCH_WRITES).map(|writes| write_batch(dynamodb, table, writes.to_vec()));
    try_join_all(batches).await?;
    Ok(())
}

/// Up to [`BATCH_WRITES`] writes. DynamoDB may leave some for another call.
async fn write_batch(dynamodb: &Client, table: &str, mut writes: Vec<WriteRequest>) -> Result<(), Error> {
    loop {
        let response = dynamodb.batch_write_item().request_items(table, writes).send().await.map_err(call_error)?;
        match response.unprocessed_items.unwrap_or_default().remove(table) {
            Some(unprocessed) if !unprocessed.is_empty() => writes = unprocessed,
            _ => return Ok(()),
        }
        tokio::time::sleep(random_wait()).await;
    }
}

/// The items with these keys, in any order, without the keys that have no item. No key may occur twice, because DynamoDB
/// refuses such a batch.
pub(super) async fn batch_get(
    dynamodb: &Client,
    table: &str,
    keys: &[Item],
    consistency: Consistency,
) -> Result<Vec<Item>, Error> {
    let batches = keys.chunks(BATCH_KEYS).map(|keys| get_batch(dynamodb, table, keys.to_vec(), consistency));
    Ok(try_join_all(batches).await?.into_iter().flatten().collect())
}

/// Up to [`BATCH_KEYS`] items. DynamoDB may leave some keys for another call.
async fn get_batch(
    dynamodb: &Client,
    table: &str,
    keys: Vec<Item>,
    consistency: Consistency,
) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    let mut wanted = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(consistency == Consistency::Strong)
        .build()
        .map_err(|error| Error::Internal(error.into()))?;
    loop {
        let response = dynamodb.batch_get_item().request_items(table, wanted).send().await.map_err(call_error)?;
        items.extend(response.responses.unwrap_or_default().remove(table).unwrap_or_default());
        match response.unprocessed_keys.unwrap_or_default().remove(table) {
            Some(unprocessed) => wanted = unprocessed,
            None => return Ok(items),
        }
        tokio::time::sleep(random_wait()).await;
    }
}

/// Deserializes an item.
pub(super) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::Internal(error.into()))
}
