//! `SimulatedDynamoDb`: DynamoDB with a simulated clock. A call takes 5 to 10 ms and everything
//! else takes no time. The results depend only on the algorithm and are the same on every machine.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use serde_json::Value;
use tokio::time::sleep;

/// Network latency in one direction, in microseconds.
const LATENCY: std::ops::RangeInclusive<u64> = 2_500..=5_000;

/// The template's tables behind a connection with a simulated latency.
#[derive(Clone)]
pub struct SimulatedDynamoDb {
    /// The embedded tables.
    pub database: Database,
    message_puts: Arc<AtomicUsize>,
}

impl SimulatedDynamoDb {
    /// Creates empty tables.
    pub fn new() -> Self {
        Self { database: support::tables(), message_puts: Arc::default() }
    }

    /// Number of puts into the table of messages, failed ones included.
    pub fn message_puts(&self) -> usize {
        self.message_puts.load(Ordering::Relaxed)
    }

    /// Configuration of an SDK client that calls these tables.
    pub async fn config(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.clone())
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .region(Region::from_static("eu-west-1"))
            .endpoint_url("http://dynamodb")
            .load()
            .await
    }
}

impl Default for SimulatedDynamoDb {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimulatedDynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedDynamoDb").finish_non_exhaustive()
    }
}

impl HttpConnector for SimulatedDynamoDb {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let tables = self.clone();
        HttpConnectorFuture::new(async move {
            let operation = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
            let operation = operation.unwrap_or_default().to_owned();
            let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
            sleep(Duration::from_micros(fastrand::u64(LATENCY))).await;
            // The first message of a conversation also puts inbox entries, into another table.
            let is_message = operation == "PutItem" && body["TableName"] == "MessagesTable";
            tables.message_puts.fetch_add(usize::from(is_message), Ordering::Relaxed);
            let (status, response) = match support::call(&tables.database, &operation, body) {
                Ok(response) => (StatusCode::try_from(200), response.to_string()),
                Err(error) => (StatusCode::try_from(400), error.to_json()),
            };
            sleep(Duration::from_micros(fastrand::u64(LATENCY))).await;
            Ok(HttpResponse::new(
                status.unwrap_or_else(|_| unreachable!("both are valid statuses")),
                SdkBody::from(response),
            ))
        })
    }
}

impl HttpClient for SimulatedDynamoDb {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
