//! Tests of the log lines of an invocation and the metrics that CloudWatch extracts from them.

mod embedded;
mod metrics;
mod processes;
