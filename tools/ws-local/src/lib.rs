//! `ws-local`: runs a SAM WebSocket project on one machine. It emulates API Gateway, Lambda and DynamoDB as the
//! project's `template.yaml` describes them. It knows no project: the crate contains no name of a route, a table or a
//! function.
//!
//! [`system::start`] starts a template's [`gateway`], [`functions`] and tables ([`dynamodb`]), and reports every
//! [`event::Event`]. The program is [`cli::main`].

#![warn(missing_docs, clippy::unwrap_used)]

pub mod cli;
mod clock;
mod console;
pub mod dynamodb;
pub mod event;
pub mod functions;
pub mod gateway;
pub mod invoke;
pub mod issuer;
pub mod samconfig;
pub mod system;
pub mod template;
