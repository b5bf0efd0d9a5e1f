//! `Group`: a process and everything that it starts, killed together.

use std::{io, sync::Arc};

use rustix::process::Pid;
use tokio::process::{Child, Command};

use super::watchdog::{Watchdog, kill_group};

/// A process group that is killed when this value is dropped. If there is a watchdog, the group is
/// also killed when this program ends, even by SIGKILL.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    watchdog: Option<Arc<Watchdog>>,
}

impl Group {
    /// Starts `command` as the leader of a new group. Ctrl-C in a terminal does not reach the
    /// group, so this program decides when it ends.
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

    /// The id of the group, which is also the process id of its leader.
    pub(super) fn id(&self) -> u32 {
        self.id.as_raw_pid().cast_unsigned()
    }

    pub(super) fn kill(&self) {
        kill_group(self.id);
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
