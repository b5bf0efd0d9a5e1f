//! `LogSettings`: level and format of the log.

use tracing::{Level, Metadata, subscriber::set_global_default};
use tracing_subscriber::{filter::filter_fn, layer::SubscriberExt as _};

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
    /// Makes `tracing` write lines to standard output. A JSON line has an RFC 3339 `timestamp`, because Lambda takes a line
    /// without one as INFO, and drops it if the log level is above that:
    /// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.
    ///
    /// # Errors
    /// If the process has a log already.
    pub(crate) fn install(&self) -> Result<(), StartError> {
        let lines = tracing_subscriber::fmt().with_max_level(self.level).with_target(false);
        let installed = match self.json {
            true => {
                let lines = lines.json().flatten_event(true).with_span_list(false).finish();
                set_global_default(lines.with(filter_fn(is_news)))
            }
            false => set_global_default(lines.without_time().with_ansi(false).finish().with(filter_fn(is_news))),
        };
        installed.map_err(StartError::new)
    }
}

/// False for the line at level ERROR that the runtime logs for each error that the authorizer returns: a refused token is
/// none, and a fault is logged where it is handled. The runtime's line about a panic has a field `error`, this one has none.
fn is_news(metadata: &Metadata<'_>) -> bool {
    metadata.target() != "lambda_runtime::layers::panic" || metadata.fields().field("error").is_some()
}
