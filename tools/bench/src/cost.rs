//! `Cost`: the cost of an event at AWS's prices, by item of the bill.

use crate::{cpu_share::MEMORY_OF_ONE_PROCESSOR, prices::Prices, report::Measurement};

/// Size of a frame around a message of some 60 bytes.
const SMALL_FRAME_BYTES: f64 = 400.0;

/// Items of the bill. The first one has a volume discount.
pub const ITEMS: [&str; 7] = [
    "API Gateway, frames",
    "Lambda, invocations",
    "Lambda, time",
    "DynamoDB, reads",
    "DynamoDB, writes",
    "CloudWatch, logs",
    "data transfer out",
];

/// US dollars by item, in the order of [`ITEMS`].
#[derive(Debug, Clone, Copy)]
pub struct Cost(pub [f64; ITEMS.len()]);

impl Cost {
    /// The sum of all items.
    pub fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    /// The frames at API Gateway.
    pub fn frames(&self) -> f64 {
        self.0[0]
    }

    /// The cost of `count` such events.
    pub fn times(self, count: f64) -> Self {
        Self(self.0.map(|item| item * count))
    }

    /// The cost of both.
    pub fn plus(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(item, more)| *item += more);
        self
    }
}

/// Frames of one event at API Gateway.
#[derive(Debug, Clone, Copy)]
pub struct Frames {
    /// Frames from clients.
    pub inbound: f64,
    /// Replies and pushes.
    pub outbound: f64,
    /// Bytes of the replies and pushes.
    pub bytes_out: f64,
}

impl Frames {
    /// An event without frames, such as `$connect`.
    pub const NONE: Self = Self { inbound: 0.0, outbound: 0.0, bytes_out: 0.0 };

    /// One inbound frame, and `outbound` small replies and pushes.
    pub fn small(outbound: f64) -> Self {
        Self { inbound: 1.0, outbound, bytes_out: outbound * SMALL_FRAME_BYTES }
    }

    /// One inbound frame, and one reply of `bytes` bytes.
    pub fn reply(bytes: f64) -> Self {
        Self { inbound: 1.0, outbound: 1.0, bytes_out: bytes.max(SMALL_FRAME_BYTES) }
    }
}

/// Settings of a deployment that affect its cost.
#[derive(Debug, Clone, Copy)]
pub struct Deployment {
    /// Memory of a function in MB.
    pub memory: f64,
    /// Bytes that a function logs for each event.
    pub log_bytes: f64,
}

/// The cost of one event of an action.
///
/// The waiting time is the measured time with 5 ms per AWS call. The computing time is the measured
/// processor time divided by the function's share of a processor. Lambda bills whole milliseconds.
pub fn event_cost(prices: &Prices, action: &Measurement, frames: Frames, deployment: Deployment) -> Cost {
    let Deployment { memory, log_bytes } = deployment;
    let share = (memory / MEMORY_OF_ONE_PROCESSOR).min(1.0);
    let wait = (action.delayed.median - action.warm.cpu).max(0.0);
    let seconds = ((wait + action.warm.cpu / share) / 1_000.0).ceil() / 1_000.0;
    Cost([
        (frames.inbound + frames.outbound) * prices.frame,
        prices.invocation,
        seconds * memory / 1_024.0 * prices.gigabyte_second,
        action.read_units * prices.read_unit,
        action.write_units * prices.write_unit,
        log_bytes * prices.log_byte,
        frames.bytes_out * prices.byte_out,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TimeStats;

    /// The expected values are computed by hand from the price pages.
    #[test]
    fn a_million_messages_cost_what_the_price_pages_say() {
        let action = Measurement {
            // Waits 21 ms and computes for 0.9 ms, which becomes 6.2 ms with 256 of 1,769 MB.
            // Lambda bills 28 ms.
            delayed: TimeStats { median: 21_900.0, ..TimeStats::default() },
            warm: TimeStats { cpu: 900.0, ..TimeStats::default() },
            read_units: 3.0,
            write_units: 1.0,
            ..Measurement::default()
        };
        let deployment = Deployment { memory: 256.0, log_bytes: 648.0 };
        let cost = event_cost(&Prices::read().unwrap(), &action, Frames::small(2.0), deployment).times(1e6);
        let expected = [3.0, 0.2, 0.028 * 0.25 * 13.3334, 0.375, 0.625, 0.324, 0.072];
        for ((item, actual), expected) in ITEMS.into_iter().zip(cost.0).zip(expected) {
            assert!((actual - expected).abs() < 1e-6, "{item}: {actual}, not {expected}");
        }
        assert!((cost.total() - 4.689).abs() < 0.001, "{}", cost.total());
    }
}
