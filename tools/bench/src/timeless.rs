//! A DynamoDB in a time of its own, in which a call takes 5 to 10 ms and all else nothing: figures that are those of the
//! algorithm, and the same on every machine.

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

/// What one way to DynamoDB takes, in microseconds; a call takes two.
const WAY: std::ops::RangeInclusive<u64> = 2_500..=5_000;

/// The template's tables, at the other end of a way that takes time.
#[derive(Clone)]
pub struct Tables {
    /// What they hold.
    pub database: Database,
    puts: Arc<AtomicUsize>,
}

impl Tables {
    /// Empty ones.
    pub fn new() -> Self {
        Self { database: support::tables(), puts: Arc::default() }
    }

    /// How many times a message was tried to be put.
    pub fn puts(&self) -> usize {
        self.puts.load(Ordering::Relaxed)
    }

    /// What an SDK client takes that calls them.
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

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

impl HttpConnector for Tables {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let tables = self.clone();
        HttpConnectorFuture::new(async move {
            let operation = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
            let operation = operation.unwrap_or_default().to_owned();
            let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
            sleep(Duration::from_micros(fastrand::u64(WAY))).await;
            // The first message of a conversation is put into inboxes, too.
            let is_message = operation == "PutItem" && body["TableName"] == "MessagesTable";
            tables.puts.fetch_add(usize::from(is_message), Ordering::Relaxed);
            let (status, answer) = match support::call(&tables.database, &operation, body) {
                Ok(answer) => (StatusCode::try_from(200), answer.to_string()),
                Err(error) => (StatusCode::try_from(400), error.to_json()),
            };
            sleep(Duration::from_micros(fastrand::u64(WAY))).await;
            Ok(HttpResponse::new(status.unwrap_or_else(|_| unreachable!("both are statuses")), SdkBody::from(answer)))
        })
    }
}

impl HttpClient for Tables {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
