//! `Event`: the reports of a running system, for the console, logs and tests.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::body::Bytes;

use crate::clock;

/// One report from the gateway, a function's process or a build.
#[derive(Debug, Clone)]
pub enum Event {
    /// The gateway has handled a connection, a message, a disconnect or an `@connections` call.
    Request(RequestRecord),
    /// The gateway has requested an invocation. The process for it may still have to be started.
    InvocationQueued {
        /// Counts the invocations of all functions, from 1.
        number: u64,
        /// The event for the function.
        payload: Payload,
    },
    /// The invocation with this number has ended: it succeeded, failed, or no process was free.
    InvocationEnded {
        /// As in [`Event::InvocationQueued`].
        number: u64,
    },
    /// An invocation was handed to a process.
    InvocationSent {
        /// The process that handles it.
        process: ProcessRef,
        /// Unique id of the invocation. The process sends it in the header `X-Amzn-Trace-Id` of its
        /// AWS calls.
        trace_id: String,
    },
    /// A process was started. It is not ready for an invocation yet.
    ProcessStarted(ProcessRef),
    /// A process asked for its first invocation.
    ProcessReady {
        /// The process that is ready.
        process: ProcessRef,
        /// The time since its start.
        after: Duration,
    },
    /// A process printed a line to its standard output or standard error.
    Printed {
        /// The process that printed it.
        process: ProcessRef,
        /// The line, without its line ending.
        line: String,
    },
    /// A process has ended.
    ProcessEnded {
        /// The process that ended.
        process: ProcessRef,
        /// Whether this program ended it, because there is a newer executable or the system stops.
        was_killed: bool,
        /// Exit status of the process and the last lines of its standard error.
        reason: String,
    },
    /// The sources changed and were built. Holds the logical ids of the functions with a new
    /// executable.
    Rebuilt(Vec<String>),
    /// A file that is read only at the start has changed.
    NeedsRestart(PathBuf),
    /// The sources changed and can't be built, so the processes of the last build continue. The compiler's messages
    /// are on standard error.
    BuildFailed(String),
}

/// One process of a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessRef {
    /// The function's logical id.
    pub function: String,
    /// The operating system's process id.
    pub process: u32,
}

/// The payload of an invocation. Its `Debug` form is its length, so that no token and no message reaches a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// One request that the gateway has handled. Its `Display` form is one line.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// When the handling ended.
    pub at: SystemTime,
    /// The connection's id.
    pub connection: String,
    /// The route key, or the method and `@connections`.
    pub route: String,
    /// The HTTP status that the client got. For a message or a disconnect, the status that the function returned.
    pub status: u16,
    /// The `code` of the reply, if the reply is a JSON object that has one: the function's own word for a refusal.
    pub code: Option<String>,
    /// From arrival to `at`.
    pub duration: Duration,
    /// Why it failed, the `message` of a reply with a `code`, or how the connection ended.
    pub detail: Option<String>,
}

impl fmt::Display for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, route, status, code, .. } = self;
        let outcome = code.clone().unwrap_or_else(|| status.to_string());
        let time = clock::time_of_day(clock::millis(self.at));
        let took = self.duration.as_secs_f64() * 1_000.0;
        write!(f, "{time} {connection} {route} {outcome} {took:.1} ms")?;
        match &self.detail {
            Some(message) if code.is_some() => write!(f, ": {message}"),
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

/// Receives every [`Event`].
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(Event) + Send + Sync>);

impl EventSink {
    /// Calls `receive` for each event, on the task that reports it. Therefore `receive` must not
    /// block or call back into the functions.
    pub fn new(receive: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    pub(crate) fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl Default for EventSink {
    /// Discards all events.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line_with_time_connection_route_status_and_duration() {
        let mut request = RequestRecord {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_666_749_169_042),
            connection: "L0SM9cOFvHcCIhw=".into(),
            route: "$connect".into(),
            status: 502,
            code: None,
            duration: Duration::from_micros(1_540),
            detail: Some("it failed".into()),
        };
        let expected = "01:52:49.042 L0SM9cOFvHcCIhw= $connect 502 1.5 ms (it failed)";
        assert_eq!(request.to_string(), expected);

        request.code = Some("bad_request".into());
        request.detail = Some("content is empty".into());
        let expected = "01:52:49.042 L0SM9cOFvHcCIhw= $connect bad_request 1.5 ms: content is empty";
        assert_eq!(request.to_string(), expected);
    }
}
