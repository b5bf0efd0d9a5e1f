//! What an invocation leaves in the log, and what CloudWatch makes of it.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

mod embedded;
mod figures;
mod processes;
