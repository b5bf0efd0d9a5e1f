//! `LogSettings`: level and format of the log.

use tracing::{Level, subscriber::set_global_default};

use crate::lambda::start_error::StartError;

/// Level and format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The minimum level.
    pub level: Level,
    /// JSON objects, one per line, instead of text.
    pub json: bool,
}

impl LogSettings {
    /// Makes `tracing` write lines to standard output. They have no time, because Lambda adds it.
    ///
    /// # Errors
    /// If the process has a log already.
    pub(crate) fn install(&self) -> Result<(), StartError> {
        let lines = tracing_subscriber::fmt().with_max_level(self.level).with_target(false).without_time();
        let installed = match self.json {
            true => set_global_default(lines.json().flatten_event(true).with_span_list(false).finish()),
            false => set_global_default(lines.with_ansi(false).finish()),
        };
        installed.map_err(StartError::new)
    }
}
