//! `ActionSamples`: collects the samples of one action and computes its `Measurement`.

use std::time::Duration;

use serde_json::Value;

use crate::{
    actions::Action,
    meter::{AwsCall, depth},
    report::{Measurement, TimeStats},
};

/// An action while it is measured.
pub(super) struct ActionSamples {
    pub(super) action: Action,
    /// The frame of its last reply.
    pub(super) last_frame: Value,
    fresh: Samples,
    delayed_fresh: Samples,
    pub(super) resumed: Samples,
    warm: Samples,
    delayed: Samples,
    /// Values that are not computed from samples.
    pub(super) measurement: Measurement,
    /// Whether the calls of an event are recorded.
    has_calls: bool,
}

/// One value per event or block, in microseconds.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) first_poll: Vec<f64>,
    pub(super) took: Vec<f64>,
    pub(super) cpu: Vec<f64>,
}

impl ActionSamples {
    pub(super) fn new(action: Action) -> Self {
        Self {
            action,
            last_frame: Value::Null,
            fresh: Samples::default(),
            delayed_fresh: Samples::default(),
            resumed: Samples::default(),
            warm: Samples::default(),
            delayed: Samples::default(),
            measurement: Measurement::default(),
            has_calls: false,
        }
    }

    pub(super) fn fresh_samples(&mut self, delayed: bool) -> &mut Samples {
        if delayed { &mut self.delayed_fresh } else { &mut self.fresh }
    }

    pub(super) fn warm_samples(&mut self, delayed: bool) -> &mut Samples {
        if delayed { &mut self.delayed } else { &mut self.warm }
    }

    /// Records the AWS calls of one event. The event with the fewest calls counts: on a busy machine, some put takes so long
    /// that the connections are read again.
    pub(super) fn record_calls(&mut self, calls: &[AwsCall], delayed: bool) {
        let measurement = &mut self.measurement;
        if !std::mem::replace(&mut self.has_calls, true) || calls.len() <= measurement.calls {
            measurement.calls = calls.len();
            // Start at 0.0, because `sum` of an empty iterator is -0.0 and prints with its sign.
            measurement.read_units = calls.iter().fold(0.0, |sum, call| sum + call.read_units);
            measurement.write_units = calls.iter().fold(0.0, |sum, call| sum + call.write_units);
        }
        // Without a delay, independent calls may run without overlap, which makes the depth too
        // large.
        if delayed {
            measurement.depth = Some(measurement.depth.unwrap_or(usize::MAX).min(depth(calls)));
        }
    }

    pub(super) fn finish(self) -> (String, Measurement) {
        let measurement = Measurement {
            fresh: self.fresh.stats(),
            delayed_fresh: self.delayed_fresh.stats(),
            resumed: self.resumed.stats(),
            warm: self.warm.stats(),
            delayed: self.delayed.stats(),
            ..self.measurement
        };
        (self.action.name, measurement)
    }
}

impl Samples {
    fn stats(mut self) -> TimeStats {
        TimeStats {
            first_poll: percentile(&mut self.first_poll, 50),
            median: percentile(&mut self.took, 50),
            p99: percentile(&mut self.took, 99),
            cpu: percentile(&mut self.cpu, 50),
        }
    }
}

/// The `percent`th percentile of the samples; 0 if there are none.
fn percentile(samples: &mut [f64], percent: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get((samples.len() * percent / 100).min(samples.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub(super) fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1_000.0
}
