//! Tests of `Functions` with real processes.

mod building;
mod handling;
mod processes;
#[path = "../project/mod.rs"]
mod project;
