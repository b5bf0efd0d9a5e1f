//! Watches folders for changes, by the operating system's notifications.

use std::path::Path;

use anyhow::Context;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Calls `on_change` for each change in the folders that are watched later, on a thread of its own. Reading a file is no
/// change.
///
/// # Errors
/// If the machine has no notifications.
pub(crate) fn watcher(mut on_change: impl FnMut(notify::Event) + Send + 'static) -> anyhow::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && !event.kind.is_access()
        {
            on_change(event);
        }
    })
    .context("can't watch files; start with --no-watch")
}

/// Watches one more folder.
///
/// # Errors
/// If the folder can't be watched.
pub(crate) fn watch(watcher: &mut RecommendedWatcher, folder: &Path, mode: RecursiveMode) -> anyhow::Result<()> {
    let watched = watcher.watch(folder, mode);
    watched.with_context(|| format!("can't watch {}; start with --no-watch", folder.display()))
}
