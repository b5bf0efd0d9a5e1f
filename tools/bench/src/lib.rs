//! Benchmark library: measures the release binaries of the functions, checks budgets and computes costs.

// The AWS services that the functions call, and how their calls are observed.
pub mod meter;
pub mod services;
pub mod simulated_clock;
pub mod tls;

// What is measured, and how.
pub mod actions;
pub mod binary_sizes;
pub mod cpu_share;
pub mod growth;
pub mod measure;

// What is made of the measurements.
pub mod budget;
pub mod cost;
pub mod cost_report;
pub mod plot;
pub mod prices;
pub mod report;
