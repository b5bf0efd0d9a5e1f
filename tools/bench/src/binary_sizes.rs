//! Sizes of the binaries, plain and compressed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
};

use flate2::{Compression, write::DeflateEncoder};

use crate::{actions, report::BinarySize};

/// The size of every binary that the actions use, by name.
///
/// # Errors
/// If a binary is missing.
pub fn binary_sizes(folder: &Path) -> anyhow::Result<BTreeMap<String, BinarySize>> {
    let stack = actions::stack()?;
    let names: BTreeSet<_> = stack.functions.values().filter_map(|function| function.binary.clone()).collect();
    let mut sizes = BTreeMap::new();
    for name in names {
        let binary = fs::read(folder.join(&name).join("bootstrap"))?;
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(&binary)?;
        sizes.insert(name, BinarySize { bytes: binary.len(), zipped: deflate.finish()?.len() });
    }
    Ok(sizes)
}
