//! `StartError`: why a function can't start.

use std::{error::Error as StdError, fmt};

use crate::model::error::chain;

/// Why a function can't start. Rust prints the `Debug` form of an error that `main` returns, so that form is a sentence.
pub struct StartError(Box<dyn StdError + Send + Sync>);

impl StartError {
    pub(crate) fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self.0.as_ref()))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl StdError for StartError {}
