//! A function's share of a processor: Lambda lends a whole one until a process asks for its first event, and from then on
//! as much as the function has memory.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Context;

/// From this much memory on a function has a whole processor, in MB:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>.
pub const WHOLE_PROCESSOR: f64 = 1_769.0;
/// In which time a share is measured, in microseconds.
const PERIOD: f64 = 20_000.0;

/// A control group of Linux, in which processes have so much and no more. Only root can make one.
#[derive(Debug)]
pub struct Share {
    group: PathBuf,
}

impl Share {
    /// That of a function with so much memory, in MB.
    ///
    /// # Errors
    /// Where the system has no control groups for processors, or this program may not make one.
    pub fn of(memory: f64) -> anyhow::Result<Self> {
        let quota = (memory / WHOLE_PROCESSOR * PERIOD).round();
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bench-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let of_old = Path::new("/sys/fs/cgroup/cpu");
        let group = if of_old.is_dir() { of_old } else { Path::new("/sys/fs/cgroup") }.join(name);
        let advice = "a share of a processor needs root, and control groups of Linux";
        fs::create_dir(&group).context(advice)?;
        let share = Self { group };
        if of_old.is_dir() {
            share.write("cpu.cfs_period_us", &PERIOD.to_string())?;
            share.write("cpu.cfs_quota_us", &quota.to_string())?;
        } else {
            share.write("cpu.max", &format!("{quota} {PERIOD}"))?;
        }
        Ok(share)
    }

    /// From now on this process has its share and no more.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn limit(&self, process: u32) -> anyhow::Result<()> {
        self.write("cgroup.procs", &process.to_string())
    }

    fn write(&self, file: &str, value: &str) -> anyhow::Result<()> {
        let path = self.group.join(file);
        fs::write(&path, value).with_context(|| format!("can't write {value} into {}", path.display()))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Its processes have ended by now; a group that stays behind costs nothing, and goes with the next start.
        let _ = fs::remove_dir(&self.group);
    }
}
