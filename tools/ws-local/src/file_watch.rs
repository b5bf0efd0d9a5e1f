//! `FileWatch`: reports that a file which is read only at the start has changed.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use notify::{RecommendedWatcher, RecursiveMode};

use crate::{
    event::{Event, EventSink},
    file_changes,
};

/// Reports each of its files once when the content differs from that at the start, and again after it was as at the start.
/// Dropping it ends the reports.
#[derive(Debug)]
pub(crate) struct FileWatch {
    _watcher: RecommendedWatcher,
}

#[derive(Debug)]
struct WatchedFile {
    at_start: Vec<u8>,
    was_reported: bool,
}

impl FileWatch {
    /// Watches these files. One that does not exist counts as empty.
    pub(crate) fn start(files: impl IntoIterator<Item = PathBuf>, events: EventSink) -> anyhow::Result<Self> {
        let mut watched: HashMap<PathBuf, WatchedFile> =
            files.into_iter().map(|file| (file.clone(), WatchedFile::new(&file))).collect();
        // Editors replace a file instead of writing to it, so the folder is watched.
        let folders: Vec<_> = watched.keys().map(|file| folder(file).to_owned()).collect();
        let mut watcher = file_changes::watcher(move |_| {
            for (path, file) in &mut watched {
                if file.is_news(path) {
                    events.send(Event::NeedsRestart(path.clone()));
                }
            }
        })?;
        for folder in folders {
            file_changes::watch(&mut watcher, &folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self { _watcher: watcher })
    }
}

impl WatchedFile {
    fn new(path: &Path) -> Self {
        Self { at_start: fs::read(path).unwrap_or_default(), was_reported: false }
    }

    /// Whether the content has changed since the last report. A file that is missing or empty is one that an editor is
    /// about to write.
    fn is_news(&mut self, path: &Path) -> bool {
        let content = fs::read(path).unwrap_or_default();
        if content.is_empty() {
            return false;
        }
        let has_changed = content != self.at_start;
        let is_news = has_changed && !self.was_reported;
        self.was_reported = has_changed;
        is_news
    }
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
