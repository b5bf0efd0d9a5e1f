//! What an invocation leaves in the log, and what CloudWatch makes of it.

mod embedded;
mod figures;
mod processes;
