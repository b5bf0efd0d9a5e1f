//! Measures actions on fresh and warm processes, with and without a delay of each AWS call, over
//! plain HTTP and TLS.
//!
//! All actions take turns in blocks, so that other load on the machine affects all of them equally.
//! Results are compared with the results of the no-op function in the same run.

mod bench;
mod process;
mod samples;

use std::{path::PathBuf, time::Duration};

pub use bench::{Bench, MeasuredEvent};

use crate::{
    actions::{self, NOOP},
    binary_sizes::binary_sizes,
    report::{Measurement, Report},
    tls::CertificateAuthority,
};

/// Additional latency of a call in the delayed rounds.
pub const DELAY: Duration = Duration::from_millis(5);
/// Number of events of one action before the next action's turn.
const BLOCK: usize = 25;
/// Delayed rounds have this many times fewer events, because the delay takes most of their time.
const DELAYED_DIVISOR: usize = 5;

/// Options of [`run_all`].
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Measures only actions whose name contains this text, and the no-op function.
    pub only: String,
    /// Number of repetitions.
    pub rounds: Rounds,
    /// Whether the `@connections` endpoint offers HTTP/2.
    pub http2: bool,
    /// Memory in MB. Each function gets the corresponding share of a processor; with `None`, a
    /// whole one.
    pub memory: Option<f64>,
}

/// Number of repetitions.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Number of fresh processes per action, first without a delay and then with one.
    pub fresh: usize,
    /// Number of events per action on warm processes without a delay. A fifth as many follow with a
    /// delay.
    pub warm: usize,
}

impl Rounds {
    /// Maximum number of events per action: one per fresh process in two series, two around each
    /// suspension, and the blocks of warm events, with one extra event before each block.
    fn events(self) -> usize {
        let blocks = self.warm.div_ceil(BLOCK) + (self.warm / DELAYED_DIVISOR).div_ceil(BLOCK);
        4 * self.fresh + blocks * (BLOCK + 1)
    }
}

/// Measures the binaries of each folder, over plain HTTP and TLS.
///
/// # Errors
/// If a binary is missing, does not start or refuses an event.
pub async fn run_all(folders: &[PathBuf], options: &RunOptions) -> anyhow::Result<Vec<Report>> {
    let mut authority = CertificateAuthority::new()?;
    authority.http2 = options.http2;
    let mut rows = [const { Vec::new() }; 2];
    for (rows, authority) in rows.iter_mut().zip([None, Some(&authority)]) {
        let mut benches = Vec::new();
        for folder in folders {
            let mut workload = actions::every_action(options.rounds.events());
            workload.actions.retain(|action| action.function == NOOP || action.name.contains(&options.only));
            benches.push(Bench::start(folder, support::tables(), authority, workload, options.memory).await?);
        }
        *rows = run(benches, options.rounds).await?;
    }
    let [plain, encrypted] = rows;
    let reports = folders.iter().zip(plain.into_iter().zip(encrypted));
    reports
        .map(|(folder, (plain, encrypted))| Ok(Report { binaries: binary_sizes(folder)?, plain, encrypted }))
        .collect()
}

/// Measures all benches, whose actions take turns.
///
/// # Errors
/// As [`run_all`].
pub async fn run(mut benches: Vec<Bench>, rounds: Rounds) -> anyhow::Result<Vec<Vec<(String, Measurement)>>> {
    for delay in [Duration::ZERO, DELAY] {
        let delayed = !delay.is_zero();
        for bench in &benches {
            bench.set_delay(delay);
        }
        for _ in 0..rounds.fresh {
            for bench in &mut benches {
                bench.measure_fresh(delayed).await?;
                if delayed {
                    bench.measure_resumed().await?;
                }
            }
        }
        let divisor = if delayed { DELAYED_DIVISOR } else { 1 };
        for _ in 0..(rounds.warm / divisor).div_ceil(BLOCK) {
            for bench in &mut benches {
                bench.measure_warm(delayed).await?;
            }
        }
    }
    let mut measurements = Vec::new();
    for bench in benches {
        measurements.push(bench.finish().await);
    }
    Ok(measurements)
}
