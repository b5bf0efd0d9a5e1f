//! The ready file: the addresses as JSON. It exists only while clients can connect.

use std::{fs, io, path::Path};

use anyhow::Context;
use serde_json::Value;

/// Writes the file atomically, so that a reader never sees a partial file.
pub(super) fn write(file: &Path, addresses: &Value) -> anyhow::Result<()> {
    let draft = file.with_extension(format!("{}.draft", std::process::id()));
    let written = fs::write(&draft, addresses.to_string()).and_then(|()| fs::rename(draft, file));
    written.with_context(|| format!("can't write {}", file.display()))
}

/// Removes the file, whether this run or an earlier one wrote it. A missing file is not an error.
pub(super) fn remove(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_file_of_an_earlier_run_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ready.json");
        fs::write(&file, "old").unwrap();
        remove(&file).unwrap();
        remove(&file).unwrap();
        assert!(!file.exists());
    }
}
