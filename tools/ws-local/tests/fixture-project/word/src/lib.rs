//! Tests change this file to check that functions that depend on it are rebuilt.

/// The response to the event `"word"`.
pub const WORD: &str = "first";
