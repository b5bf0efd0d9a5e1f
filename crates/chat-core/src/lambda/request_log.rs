//! `RequestLog`: one log line per invocation, with its metrics in CloudWatch's embedded metric format.

use std::{
    cell::RefCell,
    io::{self, Write as _},
    time::{Duration, Instant, SystemTime},
};

use lambda_runtime::Context;
use metrique_writer_core::{
    Entry, EntryWriter, MetricFlags, Observation, Unit, ValidationError, Value, ValueWriter,
    format::Format as _,
    unit::{NegativeScale, PositiveScale},
};
use metrique_writer_format_emf::{Emf, NoMetric};
use serde::Serialize;
use serde_json::Map;
use tracing::Level;

use crate::{
    lambda::log_settings::LogSettings,
    model::error::{self, chain},
    protocol::{
        metrics::{Metrics, MetricsRecorder},
        replies::Reply,
    },
};

/// The response to an invocation, and the log entry about it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Handled<R> {
    /// What Lambda gets.
    pub response: R,
    /// What the log gets.
    #[serde(skip)]
    pub entry: LogEntry,
}

/// What is logged of one invocation. It never contains a text, a token or a user.
#[derive(Debug)]
pub struct LogEntry {
    started: Instant,
    request_id: String,
    trace_id: Option<String>,
    pub(super) connection_id: Option<String>,
    pub(super) route: Option<String>,
    /// `ok`, or the code of the error.
    pub(super) outcome: &'static str,
    pub(super) metrics: Metrics,
}

impl LogEntry {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            started: Instant::now(),
            request_id: context.request_id.clone(),
            trace_id: context.xray_trace_id.as_deref().and_then(trace_root).map(str::to_owned),
            connection_id: None,
            route: None,
            outcome: "ok",
            metrics: Metrics::default(),
        }
    }
}

impl LogEntry {
    /// The request has ended with this result, and its reply is this frame. A fault of the service is logged with its cause.
    pub(super) fn end(&mut self, result: &Result<Reply, error::Error>, metrics: &MetricsRecorder, frame: Option<&str>) {
        if let Err(error) = result {
            self.outcome = error.code();
            if error.is_fault_of_service() {
                let connection_id = self.connection_id.as_deref();
                tracing::error!(connection_id, code = error.code(), cause = chain(error), "a request failed");
            }
        }
        self.metrics = metrics.snapshot();
        self.metrics.bytes += frame.map_or(0, |frame| frame.len() as u64);
    }
}

/// The trace id in a header such as `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=…;Sampled=0`.
pub(super) fn trace_root(header: &str) -> Option<&str> {
    header.split(';').find_map(|part| part.trim().strip_prefix("Root="))
}

/// Writes one line per invocation to a JSON log. A text log gets none, because the local system prints each event itself.
pub struct RequestLog {
    is_enabled: bool,
    /// None without a namespace: the line then has the metrics as plain fields, and CloudWatch does not count them.
    emf: Option<RefCell<Emf>>,
    /// How long the start of the process took; written once.
    init: RefCell<Option<Duration>>,
}

impl RequestLog {
    /// The log of a process whose start took `init`, with metrics in this namespace of CloudWatch.
    pub fn new(settings: &LogSettings, namespace: Option<String>, init: Duration) -> Self {
        // Without dimensions, because CloudWatch bills each combination; the namespace identifies the chat.
        let emf = namespace.map(|namespace| RefCell::new(Emf::no_validations(namespace, vec![vec![]])));
        // Lambda drops lines below the log level, and takes this one as INFO.
        let is_enabled = settings.json && settings.level >= Level::INFO;
        Self { is_enabled, emf, init: RefCell::new(Some(init)) }
    }

    /// Writes the line of an invocation that ends now.
    pub(super) fn write(&self, entry: &LogEntry) {
        if let Some(line) = self.format(entry)
            && let Err(error) = io::stdout().write_all(&line)
        {
            tracing::error!(cause = %error, "the log line of an invocation could not be written");
        }
    }

    /// The line of an invocation that ends now, with its line break; none if the log is disabled.
    pub fn format(&self, entry: &LogEntry) -> Option<Vec<u8>> {
        if !self.is_enabled {
            return None;
        }
        let fields = Fields { entry, duration: entry.started.elapsed(), init: self.init.take() };
        let mut bytes = Vec::with_capacity(1024);
        match &self.emf {
            Some(emf) if entry.metrics != Metrics::default() => {
                // Writing to memory can't fail, and the format validates nothing.
                let _ = emf.borrow_mut().format(&fields, &mut bytes);
            }
            _ => {
                let mut plain = Plain::default();
                fields.write(&mut plain);
                // Writing strings and numbers to memory can't fail.
                let _ = serde_json::to_writer(&mut bytes, &plain.0);
                bytes.push(b'\n');
            }
        }
        Some(bytes)
    }
}

/// An entry, with what is known only at the end of the invocation.
struct Fields<'a> {
    entry: &'a LogEntry,
    duration: Duration,
    init: Option<Duration>,
}

impl Entry for Fields<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let LogEntry { request_id, trace_id, connection_id, route, outcome, metrics, .. } = self.entry;
        writer.timestamp(SystemTime::now());
        writer.value("level", "INFO");
        writer.value("requestId", request_id);
        for (name, value) in [("traceId", trace_id), ("connectionId", connection_id), ("route", route)] {
            if let Some(value) = value {
                writer.value(name, value);
            }
        }
        writer.value("outcome", *outcome);
        writer.value("durationMs", &NoMetric::from(&milliseconds(self.duration)));
        if let Some(init) = self.init {
            writer.value("initMs", &NoMetric::from(&milliseconds(init)));
        }
        let milliseconds = Unit::Second(NegativeScale::Milli);
        let mut metric = |name, unit, value: Option<u64>| {
            if let Some(value) = value {
                writer.value(name, &Metric { value, unit });
            }
        };
        let some = |value: u64| Some(value).filter(|value| *value > 0);
        metric("Stored", Unit::Count, some(metrics.stored));
        metric("Repeats", Unit::Count, some(metrics.repeats));
        metric("Attempts", Unit::Count, some(metrics.attempts));
        metric("Pushed", Unit::Count, some(metrics.pushed));
        metric("Gone", Unit::Count, some(metrics.gone));
        metric("PushFailures", Unit::Count, some(metrics.push_failures));
        metric("Bytes", Unit::Byte(PositiveScale::One), some(metrics.bytes));
        metric("TimeToStored", milliseconds, metrics.time_to_stored);
        metric("TimeToPushed", milliseconds, metrics.time_to_pushed);
    }
}

/// Rounded to a tenth.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A field that CloudWatch counts.
struct Metric {
    value: u64,
    unit: Unit,
}

impl Value for Metric {
    fn write(&self, writer: impl ValueWriter) {
        writer.metric([Observation::Unsigned(self.value)], self.unit, [], MetricFlags::empty());
    }
}

/// Writes the same fields as plain JSON, which CloudWatch does not count.
#[derive(Default)]
struct Plain(Map<String, serde_json::Value>);

impl<'a> EntryWriter<'a> for Plain {
    fn timestamp(&mut self, _: SystemTime) {}

    fn value(&mut self, name: impl Into<std::borrow::Cow<'a, str>>, value: &(impl Value + ?Sized)) {
        let mut written = serde_json::Value::Null;
        value.write(PlainValue(&mut written));
        self.0.insert(name.into().into_owned(), written);
    }

    fn config(&mut self, _: &'a dyn metrique_writer_core::EntryConfig) {}
}

struct PlainValue<'a>(&'a mut serde_json::Value);

impl ValueWriter for PlainValue<'_> {
    fn string(self, value: &str) {
        *self.0 = value.into();
    }

    fn metric<'a>(
        self,
        distribution: impl IntoIterator<Item = Observation>,
        _: Unit,
        _: impl IntoIterator<Item = (&'a str, &'a str)>,
        _: MetricFlags<'_>,
    ) {
        match distribution.into_iter().next() {
            Some(Observation::Unsigned(value)) => *self.0 = value.into(),
            Some(Observation::Floating(value)) => *self.0 = value.into(),
            _ => {}
        }
    }

    fn error(self, _: ValidationError) {}
}
