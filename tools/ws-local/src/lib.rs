//! `ws-local`: runs a SAM WebSocket project on one machine. It emulates API Gateway, Lambda and
//! DynamoDB as the project's `template.yaml` describes them. It does not depend on a particular
//! project: the crate contains no names of routes, tables or functions.
//!
//! [`system::start`] starts a template's [`gateway`], [`functions`] and tables ([`dynamodb`]), and
//! reports every [`event::Event`]. [`cli::main`] is the entry point of the program.

#![warn(missing_docs, clippy::unwrap_used)]

pub mod cli;
mod clock;
mod console;
pub mod dynamodb;
pub mod event;
mod file_changes;
mod file_watch;
pub mod functions;
pub mod gateway;
pub mod invoke;
pub mod issuer;
mod lambda_api;
mod private_file;
pub mod samconfig;
mod secrets;
pub mod system;
pub mod template;
