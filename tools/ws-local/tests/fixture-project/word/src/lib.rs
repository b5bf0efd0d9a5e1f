//! The source file that tests change, to see that functions which depend on it are built again.

/// The response to the event `"word"`.
pub const WORD: &str = "first";
