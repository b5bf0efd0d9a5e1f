//! A process and everything that it starts, as one thing to kill.

use std::{io, sync::Arc};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::watchdog::Watchdog;

/// A process group that doesn't outlive this value, nor, where there is a watchdog, this program.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    watchdog: Option<Arc<Watchdog>>,
}

impl Group {
    /// Starts `command` as the head of a group of its own, which also keeps a terminal's Ctrl-C from it: it is for
    /// its owner to end it.
    pub(super) fn spawn(command: &mut Command, watchdog: Option<Arc<Watchdog>>) -> io::Result<(Child, Self)> {
        let child = command.process_group(0).spawn()?;
        let id = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .ok_or_else(|| io::Error::other("a process without an id"))?;
        if let Some(watchdog) = &watchdog {
            watchdog.guard(id);
        }
        Ok((child, Self { id, watchdog }))
    }

    /// The id of the group and of the process at its head.
    pub(super) fn id(&self) -> u32 {
        self.id.as_raw_pid().cast_unsigned()
    }

    /// Kills all of it at once; what has ended already needs nothing.
    pub(super) fn kill(&self) {
        kill(self.id);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if let Some(watchdog) = &self.watchdog {
            watchdog.release(self.id);
        }
    }
}

pub(super) fn kill(group: Pid) {
    // The only failure for a group of our own: it has ended.
    let _ = kill_process_group(group, Signal::KILL);
}
