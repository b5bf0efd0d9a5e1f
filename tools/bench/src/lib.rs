//! Benchmark library: measures the release binaries of the functions, checks budgets and computes costs.

// AWS services that the functions call, and the metering of those calls.
pub mod meter;
pub mod services;
pub mod simulated_clock;
pub mod tls;

// Actions and how to measure them.
pub mod actions;
pub mod backend_actions;
pub mod binary_sizes;
pub mod cpu_share;
pub mod group_actions;
pub mod growth;
pub mod measure;
pub mod presence_actions;

// Budgets, costs and reports, computed from the measurements.
pub mod budget;
pub mod cost;
pub mod cost_report;
pub mod plot;
pub mod prices;
pub mod report;
