//! Configuration: the environment variables of a function, and what a function is made of, built from them.

mod aws;
mod environment;
pub mod origins;
pub mod tls_roots;
mod variables;
mod wiring;

pub use environment::{AuthMode, Configuration, TokenRules, TypingMode};
pub use variables::InvalidConfiguration;
pub use wiring::FromConfiguration;
