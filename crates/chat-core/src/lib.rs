//! Shared code of the functions, in layers: a layer imports only from the layers above it in this list, and no two modules
//! import each other. `tests/architecture/` checks both.

#![warn(missing_docs, clippy::unwrap_used)]

pub mod model;

pub mod protocol;

pub mod store;

pub mod push;

pub mod log;

pub mod lambda;

pub mod configuration;

mod start;

pub use model::error::Error;
pub use protocol::{replies::Reply, request::Request};
pub use start::{run, run_authorizer, run_backend, run_lifecycle};
