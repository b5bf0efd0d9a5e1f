//! `Sources`: reports changes of the functions' source files.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode};
use tokio::{sync::mpsc, time::timeout};

use crate::file_changes;

/// How long the files must be unchanged before a build. Editors save several files, and each file
/// in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// The folders of the packages that the functions are built from.
pub(super) struct Sources {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    changes: mpsc::UnboundedReceiver<notify::Event>,
}

impl Sources {
    pub(super) fn new() -> anyhow::Result<Self> {
        let (sender, changes) = mpsc::unbounded_channel();
        let watcher = file_changes::watcher(move |event| {
            // An error means that `Sources` was dropped.
            let _ = sender.send(event);
        })?;
        Ok(Self { watcher, watched: BTreeSet::new(), changes })
    }

    /// Watches these packages as well, each with its workspace's `Cargo.lock`.
    pub(super) fn watch(&mut self, packages: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
        for package in packages {
            let package = package.canonicalize()?;
            self.watch_folder(&package, RecursiveMode::NonRecursive)?;
            for entry in package.read_dir()? {
                let path = entry?.path();
                if path.is_dir() && !is_output(path.file_name()) {
                    self.watch_folder(&path, RecursiveMode::Recursive)?;
                }
            }
            let workspace = package.ancestors().find(|folder| folder.join("Cargo.lock").exists());
            if let Some(workspace) = workspace {
                self.watch_folder(workspace, RecursiveMode::NonRecursive)?;
            }
        }
        Ok(())
    }

    /// Waits for a change, and then until nothing has changed for [`QUIET`].
    pub(super) async fn changed(&mut self) {
        self.next().await;
        while timeout(QUIET, self.next()).await.is_ok() {}
    }

    async fn next(&mut self) {
        while let Some(event) = self.changes.recv().await {
            if event.paths.iter().any(|path| self.holds(path)) {
                return;
            }
        }
    }

    /// Whether `path` is a source file in a watched folder and not below a `target` folder.
    fn holds(&self, path: &Path) -> bool {
        let inside = |folder: &PathBuf| path.strip_prefix(folder).ok();
        is_source(path)
            && (self.watched.iter().filter_map(inside)).any(|path| !path.iter().any(|part| part == "target"))
    }

    fn watch_folder(&mut self, folder: &Path, mode: RecursiveMode) -> anyhow::Result<()> {
        if self.watched.contains(folder) {
            return Ok(());
        }
        self.watched.insert(folder.to_owned());
        file_changes::watch(&mut self.watcher, folder, mode)
    }
}

fn is_source(path: &Path) -> bool {
    let named = |name: &str| path.file_name() == Some(OsStr::new(name));
    path.extension() == Some(OsStr::new("rs")) || named("Cargo.toml") || named("Cargo.lock")
}

/// Whether a folder holds files that tools write.
fn is_output(name: Option<&OsStr>) -> bool {
    name.is_none_or(|name| name == "target" || name.as_encoded_bytes().starts_with(b"."))
}
