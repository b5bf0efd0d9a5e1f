//! Version 1 of the protocol: frames and their encoding, and one request with its deadline and metrics.

pub mod codec;
pub mod deadline;
pub mod metrics;
pub mod position;
pub mod replies;
pub mod request;
pub mod requests;
