//! The log lines of an invocation, and the metrics that CloudWatch derives from them.

mod embedded;
mod metrics;
mod processes;
