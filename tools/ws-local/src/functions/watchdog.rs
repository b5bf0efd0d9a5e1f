//! Sees to it that no process is left when this program is killed so hard that it can't clean up itself.
//!
//! The watchdog is a second copy of the program in a process group of its own. Its standard input is a pipe from the
//! first: when that closes, for whatever reason, the watchdog kills every group that it was told of, and ends.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use rustix::process::Pid;

use super::group;

/// The hidden subcommand by which a program starts itself as a watchdog; it then calls [`main`].
pub const SUBCOMMAND: &str = "watchdog";

/// The life of a watchdog: reads `+GROUP` and `-GROUP` lines until standard input ends, then kills what is left.
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
    groups.into_iter().filter_map(Pid::from_raw).for_each(group::kill);
}

/// The program's end of the pipe. Dropped, it sends the watchdog to its last work.
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
        self.tell(format_args!("+{}\n", group.as_raw_pid()));
    }

    pub(super) fn release(&self, group: Pid) {
        self.tell(format_args!("-{}\n", group.as_raw_pid()));
    }

    fn tell(&self, line: std::fmt::Arguments<'_>) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = &mut process.1 {
            // Somebody killed the watchdog; that is no reason to refuse work.
            let _ = pipe.write_all(line.to_string().as_bytes());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let (process, pipe) = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(pipe.take());
        // Waited for only to leave no zombie; it ends as soon as the pipe is closed.
        let _ = process.wait();
    }
}
