//! What a template describes, with every intrinsic function resolved: the only thing that the rest of `ws-local`
//! knows of a project.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// One resolved template: a WebSocket API, its functions and its tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// The region that `AWS::Region` stands for.
    pub region: String,
    /// The account that `AWS::AccountId` stands for (12 digits).
    pub account_id: String,
    /// The one WebSocket API of the template.
    pub api: Api,
    /// By logical id.
    pub functions: BTreeMap<String, Function>,
    /// In the template's order.
    pub tables: Vec<Table>,
}

/// An `AWS::Serverless::WebSocketApi`.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// Its name in the template.
    pub logical_id: String,
    /// What `Ref` of it gives, and what stands as `apiId` in events: 10 characters, made from the logical id.
    pub api_id: String,
    /// The first part of every path: `wss://HOST/STAGE`.
    pub stage: String,
    /// How a message names its route, such as `$request.body.action`.
    pub route_selection_expression: String,
    /// By route key, `$connect`, `$disconnect` and `$default` among them where they are declared.
    pub routes: BTreeMap<String, Route>,
    /// Asked on `$connect`, where the template has one.
    pub authorizer: Option<Authorizer>,
}

/// One route and the function behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Logical id of the function.
    pub function: String,
    /// Whether the function's answer goes back to the caller: both the route's `RouteResponseSelectionExpression`
    /// and an `AWS::ApiGatewayV2::RouteResponse` with the key `$default` are there.
    pub replies: bool,
    /// The longest that the integration may take; 29 s unless the template says less.
    pub timeout: Duration,
}

/// A `REQUEST` authorizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorizer {
    /// Logical id of the function.
    pub function: String,
    /// Such as `route.request.querystring.token`; every one of them must be present and not empty.
    pub identity_sources: Vec<String>,
}

/// An `AWS::Serverless::Function` that is built by `rust-cargolambda`.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// What the runtime is told as its name: `FunctionName` where given, else the logical id.
    pub name: String,
    /// The Cargo binary; the crate's only one where the template names none.
    pub binary: Option<String>,
    /// Where its `Cargo.toml` is.
    pub code_uri: PathBuf,
    /// The function's own variables, with those of `Globals` below them.
    pub environment: BTreeMap<String, String>,
    /// In MB.
    pub memory: u32,
    /// Past it the process is killed.
    pub timeout: Duration,
    /// `ReservedConcurrentExecutions`: how many events it may handle at once.
    pub reserved_concurrency: Option<u32>,
}

/// An `AWS::DynamoDB::Table`.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What `Ref` of it gives: `TableName` where given, else the logical id.
    pub name: String,
    /// A `CreateTable` request: keys, attributes and indexes as the template has them, billed on demand.
    pub create: serde_json::Value,
    /// The attribute that holds a row's end, in seconds since 1970, where TTL is enabled.
    pub ttl_attribute: Option<String>,
}
