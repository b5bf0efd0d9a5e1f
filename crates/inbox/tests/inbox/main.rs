//! Inboxes, filled by the real routes, with real tables and a wire that disturbs calls.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

mod faults;
mod finding;
mod histories;
mod pages;
mod people;
mod refusals;
