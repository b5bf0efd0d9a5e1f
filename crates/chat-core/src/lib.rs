//! What the routes of the chat share, in reading order: values that are valid by construction, the frames of the
//! protocol, the three tables, delivery to connections, configuration, errors, and the Lambda edge.
//!
//! Which module may import what is written in `ARCHITECTURE.md` and held by `tests/architecture.rs`.

#![warn(missing_docs, clippy::unwrap_used)]

pub mod audience;
pub mod clients;
pub mod configuration;
pub mod conversation;
pub mod conversations;
pub mod deadline;
pub mod delivery;
pub mod dynamodb;
pub mod error;
pub mod frames;
pub mod lambda;
pub mod measurements;
pub mod message;
pub mod messages;
pub mod origins;
pub mod rate_limit;
pub mod request;
pub mod tally;
pub mod trust;
pub mod user;

pub use error::Error;
pub use frames::Reply;
pub use request::Request;
