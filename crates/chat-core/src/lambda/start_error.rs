//! `StartError`: why a function can't start.

use std::{error::Error as StdError, fmt};

/// Why a function can't start.
#[derive(Debug)]
pub(crate) struct StartError(Box<dyn StdError + Send + Sync>);

impl StartError {
    pub(crate) fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for StartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
