//! `CpuShare`: a Linux control group that limits a function to the share of a processor that Lambda
//! assigns to it.
//!
//! Lambda assigns a whole processor during initialization. From the first event on, the share is
//! proportional to the function's memory.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Context;

/// Memory in MB at which a function gets a whole processor:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>.
pub const MEMORY_OF_ONE_PROCESSOR: f64 = 1_769.0;
/// Scheduling period in microseconds.
const PERIOD: f64 = 20_000.0;

/// A control group that limits the processor time of its processes. Creating one needs root.
#[derive(Debug)]
pub struct CpuShare {
    group: PathBuf,
}

impl CpuShare {
    /// Creates the group for a function with `memory` MB.
    ///
    /// # Errors
    /// If the system has no control groups for processors, or this process may not create one.
    pub fn for_memory(memory: f64) -> anyhow::Result<Self> {
        let quota = (memory / MEMORY_OF_ONE_PROCESSOR * PERIOD).round();
        static CREATED: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bench-{}-{}", std::process::id(), CREATED.fetch_add(1, Ordering::Relaxed));
        let version_1 = Path::new("/sys/fs/cgroup/cpu");
        let group = if version_1.is_dir() { version_1 } else { Path::new("/sys/fs/cgroup") }.join(name);
        fs::create_dir(&group).context("--memory needs root and Linux control groups")?;
        let share = Self { group };
        if version_1.is_dir() {
            share.write("cpu.cfs_period_us", &PERIOD.to_string())?;
            share.write("cpu.cfs_quota_us", &quota.to_string())?;
        } else {
            share.write("cpu.max", &format!("{quota} {PERIOD}"))?;
        }
        Ok(share)
    }

    /// Adds this process to the group.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn limit(&self, process: u32) -> anyhow::Result<()> {
        self.write("cgroup.procs", &process.to_string())
    }

    fn write(&self, file: &str, value: &str) -> anyhow::Result<()> {
        let path = self.group.join(file);
        fs::write(&path, value).with_context(|| format!("can't write {value} to {}", path.display()))
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        // The processes of the group have ended. If it can't be removed, it has no effect and
        // disappears at the next reboot.
        let _ = fs::remove_dir(&self.group);
    }
}
