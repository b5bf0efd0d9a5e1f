//! One line of the log per invocation, which holds its figures as CloudWatch's metrics, too.

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

use crate::{configuration::Log, measurements::Figures};

/// An answer, and what the log is told of how it came about.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Answered<A> {
    /// What Lambda is given.
    pub answer: A,
    /// What the log is given.
    #[serde(skip)]
    pub line: Line,
}

impl<A> Answered<A> {
    /// With another answer.
    pub(super) fn map<B>(self, change: impl FnOnce(A) -> B) -> Answered<B> {
        Answered { answer: change(self.answer), line: self.line }
    }
}

/// What the log is told of one invocation: never a text, a token or a user.
#[derive(Debug)]
pub struct Line {
    began: Instant,
    request_id: String,
    trace_id: Option<String>,
    pub(super) connection_id: Option<String>,
    pub(super) route: Option<String>,
    /// `ok`, or the code of the error.
    pub(super) outcome: &'static str,
    pub(super) figures: Figures,
}

impl Line {
    pub(super) fn begin(context: &Context) -> Self {
        Self {
            began: Instant::now(),
            request_id: context.request_id.clone(),
            trace_id: context.xray_trace_id.as_deref().and_then(root).map(str::to_owned),
            connection_id: None,
            route: None,
            outcome: "ok",
            figures: Figures::default(),
        }
    }
}

/// The id of the whole trace, of a header like `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=…;Sampled=0`.
pub(super) fn root(header: &str) -> Option<&str> {
    header.split(';').find_map(|part| part.trim().strip_prefix("Root="))
}

/// Writes one line per invocation, where machines read the log. The local system has a line for every event itself.
pub struct Journal {
    writes: bool,
    /// Absent where nothing is counted: the figures then stand in the line and are no metrics.
    emf: Option<RefCell<Emf>>,
    /// How long the start took, until it is told.
    init: RefCell<Option<Duration>>,
}

impl Journal {
    /// Of a process whose start took so long.
    pub fn new(log: &Log, namespace: Option<String>, init: Duration) -> Self {
        // Without a dimension: CloudWatch bills each figure once, and the namespace says whose it is.
        let emf = namespace.map(|namespace| RefCell::new(Emf::no_validations(namespace, vec![vec![]])));
        // Lambda drops what is below the log's level, and takes a line like this as INFO.
        Self { writes: log.json && log.level >= Level::INFO, emf, init: RefCell::new(Some(init)) }
    }

    /// Writes the line of an invocation that ends now.
    pub(super) fn write(&self, line: &Line) {
        if let Some(line) = self.format(line)
            && let Err(error) = io::stdout().write_all(&line)
        {
            tracing::error!(cause = %error, "the line of an invocation could not be written");
        }
    }

    /// The line of an invocation that ends now, and its line break; nothing where none is to be written.
    pub fn format(&self, line: &Line) -> Option<Vec<u8>> {
        if !self.writes {
            return None;
        }
        let entry = Fields { line, took: line.began.elapsed(), init: self.init.take() };
        let mut bytes = Vec::with_capacity(1024);
        match &self.emf {
            Some(emf) if line.figures != Figures::default() => {
                // Writing to memory can't fail, and nothing is validated.
                let _ = emf.borrow_mut().format(&entry, &mut bytes);
            }
            _ => {
                let mut plain = Plain::default();
                entry.write(&mut plain);
                // As above.
                let _ = serde_json::to_writer(&mut bytes, &plain.0);
                bytes.push(b'\n');
            }
        }
        Some(bytes)
    }
}

/// A line, with what is known only at its end.
struct Fields<'a> {
    line: &'a Line,
    took: Duration,
    init: Option<Duration>,
}

impl Entry for Fields<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let Line { request_id, trace_id, connection_id, route, outcome, figures, .. } = self.line;
        writer.timestamp(SystemTime::now());
        writer.value("level", "INFO");
        writer.value("requestId", request_id);
        for (name, value) in [("traceId", trace_id), ("connectionId", connection_id), ("route", route)] {
            if let Some(value) = value {
                writer.value(name, value);
            }
        }
        writer.value("outcome", *outcome);
        writer.value("durationMs", &NoMetric::from(&milliseconds(self.took)));
        if let Some(init) = self.init {
            writer.value("initMs", &NoMetric::from(&milliseconds(init)));
        }
        let milliseconds = Unit::Second(NegativeScale::Milli);
        let mut figure = |name, unit, value: Option<u64>| {
            if let Some(value) = value {
                writer.value(name, &Metric { value, unit });
            }
        };
        let some = |value: u64| Some(value).filter(|value| *value > 0);
        figure("Stored", Unit::Count, some(figures.stored));
        figure("Repeats", Unit::Count, some(figures.repeats));
        figure("Attempts", Unit::Count, some(figures.attempts));
        figure("Pushed", Unit::Count, some(figures.pushed));
        figure("Gone", Unit::Count, some(figures.gone));
        figure("PushFailures", Unit::Count, some(figures.push_failures));
        figure("Bytes", Unit::Byte(PositiveScale::One), some(figures.bytes));
        figure("TimeToStored", milliseconds, figures.time_to_stored);
        figure("TimeToPushed", milliseconds, figures.time_to_pushed);
    }
}

/// To a tenth, which is as exact as anybody needs it and shorter.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// One of the figures that are counted.
struct Metric {
    value: u64,
    unit: Unit,
}

impl Value for Metric {
    fn write(&self, writer: impl ValueWriter) {
        writer.metric([Observation::Unsigned(self.value)], self.unit, [], MetricFlags::empty());
    }
}

/// The same fields, without what CloudWatch counts by.
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
