//! Runs a SAM WebSocket project on one machine: what API Gateway, Lambda and DynamoDB do on AWS, driven by the
//! project's `template.yaml` and by nothing else. No name of a route, a table or a function stands in this crate.

#![warn(missing_docs, clippy::unwrap_used)]

pub mod cli;
pub mod console;
pub mod dynamodb;
pub mod functions;
pub mod gateway;
pub mod invoke;
pub mod issuer;
pub mod samconfig;
pub mod system;
pub mod template;
