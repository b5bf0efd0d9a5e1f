//! The functions of a project run as real processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod building;
mod handling;
mod processes;
mod project;
mod remote;
