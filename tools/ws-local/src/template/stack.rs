//! `Stack`: a resolved template. It is everything that the rest of the crate knows about a project.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// One resolved template: a WebSocket API, its functions and its tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId` (12 digits).
    pub account_id: String,
    /// The template's only WebSocket API.
    pub api: Api,
    /// By logical id.
    pub functions: BTreeMap<String, Function>,
    /// In the template's order.
    pub tables: Vec<Table>,
    /// In the template's order.
    pub secrets: Vec<Secret>,
}

/// An `AWS::Serverless::WebSocketApi`.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// The name of the resource in the template.
    pub logical_id: String,
    /// The value of `Ref` and of `apiId` in events: 10 characters, derived from the logical id.
    pub api_id: String,
    /// The first segment of every path: `wss://HOST/STAGE`.
    pub stage: String,
    /// The path of the route key in a message, such as `$request.body.action`.
    pub route_selection_expression: String,
    /// By route key. Holds `$connect`, `$disconnect` and `$default` only if the template declares them.
    pub routes: BTreeMap<String, Route>,
    /// Invoked on `$connect`, if the template has one.
    pub authorizer: Option<Authorizer>,
}

/// One route and the function behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Logical id of the function.
    pub function: String,
    /// Whether the client gets the function's response. This needs both the route's `RouteResponseSelectionExpression` and
    /// an `AWS::ApiGatewayV2::RouteResponse` with the key `$default`.
    pub replies: bool,
    /// The time-out of the integration; 29 s unless the template sets a shorter one.
    pub timeout: Duration,
}

/// A `REQUEST` authorizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorizer {
    /// Logical id of the function.
    pub function: String,
    /// Such as `route.request.querystring.token`. Each must be present and not empty; otherwise,
    /// the client gets 401.
    pub identity_sources: Vec<String>,
}

/// An `AWS::Serverless::Function` with the build method `rust-cargolambda`.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// `FunctionName`, or the logical id if there is none.
    pub name: String,
    /// Name of the Cargo binary. `None` means the only binary of the package.
    pub binary: Option<String>,
    /// The folder of its `Cargo.toml`.
    pub code_uri: PathBuf,
    /// The variables of `Globals`, overridden by the function's own variables.
    pub environment: BTreeMap<String, String>,
    /// In MB.
    pub memory: u32,
    /// Maximum time for one invocation. A process that exceeds it is killed.
    pub timeout: Duration,
    /// `ReservedConcurrentExecutions`: the largest number of simultaneous invocations.
    pub reserved_concurrency: Option<u32>,
}

/// An `AWS::DynamoDB::Table`.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The value of `Ref`: `TableName`, or the logical id if there is none.
    pub name: String,
    /// A `CreateTable` request with the template's keys, attributes and indexes, billed on demand.
    pub create: serde_json::Value,
    /// Attribute that holds a row's expiry time, in seconds since the Unix epoch. `None` if TTL is
    /// not enabled.
    pub ttl_attribute: Option<String>,
}

/// An `AWS::SecretsManager::Secret`.
#[derive(Debug, Clone, PartialEq)]
pub struct Secret {
    /// Logical id.
    pub id: String,
    /// The value of `Ref` (on AWS an ARN): `Name`, or the logical id if there is none.
    pub name: String,
    /// The template's value, or how to make one.
    pub value: SecretValue,
}

/// The text of a secret.
#[derive(Debug, Clone, PartialEq)]
pub enum SecretValue {
    /// `SecretString`.
    Text(String),
    /// `GenerateSecretString`: a random text of letters and digits.
    Generated {
        /// In characters.
        length: usize,
    },
}
