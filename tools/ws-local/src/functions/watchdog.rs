//! `Watchdog`: kills the functions' processes if this program is killed before it can kill them
//! itself.
//!
//! The watchdog is a second copy of the program in a process group of its own. Its standard input
//! is a pipe from the first copy. When the pipe closes for any reason, the watchdog kills every
//! group that it guards, then exits.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};

/// The argument that starts a program as a watchdog. A program that receives it must call [`main`].
pub const SUBCOMMAND: &str = "watchdog";

/// Runs the watchdog: reads lines `+GROUP` and `-GROUP` until standard input ends, then kills the groups that are left.
pub fn main() {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let Some((sign, id)) = line.split_at_checked(1) else {
            continue;
        };
        match (sign, id.parse::<i32>()) {
            ("+", Ok(id)) => groups.insert(id),
            ("-", Ok(id)) => groups.remove(&id),
            _ => continue,
        };
    }
    groups.into_iter().filter_map(Pid::from_raw).for_each(kill_group);
}

/// Kills every process of a group. It is not an error if the group has already ended.
pub(super) fn kill_group(group: Pid) {
    // For one of this program's own groups, the only possible failure is that the group has ended.
    let _ = kill_process_group(group, Signal::KILL);
}

/// The program's end of the pipe. Dropping it makes the watchdog kill the groups that are left.
#[derive(Debug)]
pub(super) struct Watchdog {
    process: Mutex<(Child, Option<ChildStdin>)>,
}

impl Watchdog {
    /// Starts `program watchdog`.
    pub(super) fn start(program: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(program)
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("can't start the watchdog {}", program.display()))?;
        let pipe = process.stdin.take();
        Ok(Self { process: Mutex::new((process, pipe)) })
    }

    pub(super) fn guard(&self, group: Pid) {
        self.send(format_args!("+{}\n", group.as_raw_pid()));
    }

    pub(super) fn release(&self, group: Pid) {
        self.send(format_args!("-{}\n", group.as_raw_pid()));
    }

    fn send(&self, line: std::fmt::Arguments<'_>) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = &mut process.1 {
            // Ignore errors: they mean that the watchdog was killed. The functions continue to run.
            let _ = pipe.write_all(line.to_string().as_bytes());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let (process, pipe) = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(pipe.take());
        // The watchdog exits as soon as the pipe is closed. Wait for it, so that it does not become
        // a zombie. Its status is irrelevant.
        let _ = process.wait();
    }
}
