//! What the tests change, to see the function that depends on it built again.

/// The answer to the event `"word"`.
pub const WORD: &str = "first";
