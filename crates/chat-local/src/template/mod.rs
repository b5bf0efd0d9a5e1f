//! Reads a SAM template.

mod stack;

pub use stack::{Api, Authorizer, Function, Route, Stack, Table};
