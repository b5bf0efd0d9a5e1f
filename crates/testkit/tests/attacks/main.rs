//! Attacks on all routes: real events through the real edge, on the template's tables, by whoever means no good.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

mod events;
mod frames;
mod routes;
mod strangers;
