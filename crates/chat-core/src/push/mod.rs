//! Frames to connections that did not ask: the only code that knows API Gateway's `@connections`.

pub mod connections_api;
pub mod fanout;
