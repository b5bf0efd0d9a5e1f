//! Files with keys: made once, and readable by their owner only.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, anyhow};
use uuid::Uuid;

/// Reads the file `name` in `folder`. Makes both if they are missing, with the content that `make` returns. Returns the
/// content, and whether this call made the file.
///
/// # Errors
/// If the file can't be read or written.
pub(crate) fn read_or_make(
    folder: &Path,
    name: &str,
    make: impl FnOnce() -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<(Vec<u8>, bool)> {
    let file = folder.join(name);
    let mut is_new = false;
    let content = match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            is_new = make()
                .and_then(|content| link(folder, name, &content))
                .with_context(|| format!("can't make the key {}; give --data another folder", file.display()))?;
            fs::read(&file)
        }
        read => read,
    };
    let content = content.map_err(|error| anyhow!(error).context(format!("can't read the key {}", file.display())))?;
    Ok((content, is_new))
}

/// Creates the file atomically, so that two programs that start at once use the same key. Returns whether this call
/// created it.
fn link(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<bool> {
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!("{name}.{}.draft", Uuid::new_v4()));
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?.write_all(content)?;
    let linked = fs::hard_link(&draft, folder.join(name));
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    }
}
