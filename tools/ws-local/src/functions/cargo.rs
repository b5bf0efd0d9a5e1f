//! `Builder`: builds the functions' executables with Cargo, and reads their paths and source
//! folders from Cargo's messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::SystemTime,
};

use anyhow::{Context, bail, ensure};
use cargo_metadata::{Message, MetadataCommand, Package};
use tokio::process::Command;

use super::{group::Group, watchdog::Watchdog};
use crate::template::Stack;

/// The results of one build.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// Executables by logical id.
    pub(super) executables: BTreeMap<String, Executable>,
    /// The folders of all local packages that the executables were built from.
    pub(super) packages: BTreeSet<PathBuf>,
}

impl Built {
    /// Finds executables that are already built: `NAME/bootstrap` below `folder` for each function.
    pub(super) fn find(stack: &Stack, folder: &Path) -> anyhow::Result<Self> {
        let mut built = Self::default();
        for (id, function) in &stack.functions {
            let binary = function.binary.as_deref().with_context(|| format!("function {id} names no binary"))?;
            let path = folder.join(binary).join("bootstrap");
            let executable = Executable::at(path.clone()).with_context(|| format!("there is no {}", path.display()))?;
            built.executables.insert(id.clone(), executable);
        }
        Ok(built)
    }
}

/// One version of an executable. Equal paths with different modification times are different
/// versions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Executable {
    pub(super) path: PathBuf,
    modified: SystemTime,
}

impl Executable {
    fn at(path: PathBuf) -> io::Result<Self> {
        let modified = path.metadata().and_then(|metadata| metadata.modified())?;
        Ok(Self { path, modified })
    }
}

/// Whether Cargo shows what it compiles. It shows errors and warnings in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Shown,
    Hidden,
}

/// Builds the functions of one stack.
#[derive(Debug)]
pub(super) struct Builder {
    /// By folder: the logical id of each function, and its binary if the template names it.
    folders: BTreeMap<PathBuf, Vec<(String, Option<String>)>>,
    release: bool,
    watchdog: Option<Arc<Watchdog>>,
}

impl Builder {
    pub(super) fn new(stack: &Stack, release: bool, watchdog: Option<Arc<Watchdog>>) -> Self {
        let mut folders: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, function) in &stack.functions {
            let wanted = (id.clone(), function.binary.clone());
            folders.entry(function.code_uri.clone()).or_default().push(wanted);
        }
        Self { folders, release, watchdog }
    }

    /// Builds everything that has changed, with one call of Cargo per folder. Cargo's progress and
    /// the compiler's messages go to standard error at once.
    pub(super) async fn build(&self, progress: Progress) -> anyhow::Result<Built> {
        let mut built = Built::default();
        for (folder, functions) in &self.folders {
            self.build_folder(folder, functions, progress, &mut built)
                .await
                .with_context(|| format!("can't build the functions in {}", folder.display()))?;
        }
        Ok(built)
    }

    async fn build_folder(
        &self,
        folder: &Path,
        functions: &[(String, Option<String>)],
        progress: Progress,
        built: &mut Built,
    ) -> anyhow::Result<()> {
        let packages = self.packages(folder).await?;
        // With `--workspace` the dependencies have the same features as in `cargo build --workspace` and
        // `cargo test --workspace`, so that none of them is compiled twice. `--package` would select other features.
        let mut arguments = vec!["build".to_owned(), "--workspace".to_owned()];
        arguments.push("--message-format=json-render-diagnostics".to_owned());
        arguments.extend(self.release.then(|| "--release".to_owned()));
        arguments.extend((progress == Progress::Hidden).then(|| "--quiet".to_owned()));
        let mut binaries = BTreeMap::new();
        for (id, wanted) in functions {
            let binary = binary(folder, &packages, wanted.as_deref()).with_context(|| format!("function {id}"))?;
            arguments.push(format!("--bin={binary}"));
            binaries.entry(binary).or_insert_with(Vec::new).push(id);
        }
        let output = self.cargo(folder, &arguments, Stdio::inherit()).await?;
        ensure!(output.status.success(), "`cargo build` failed ({}); its messages are above", output.status);
        for message in Message::parse_stream(output.stdout.as_slice()) {
            let Message::CompilerArtifact(artifact) = message? else {
                continue;
            };
            if artifact.package_id.repr.contains("path+file://") {
                built.packages.extend(artifact.manifest_path.parent().map(|folder| folder.as_std_path().to_owned()));
            }
            let Some(path) = artifact.executable else {
                continue;
            };
            let executable = Executable::at(path.into())?;
            for id in binaries.remove(artifact.target.name.as_str()).unwrap_or_default() {
                built.executables.insert(id.clone(), executable.clone());
            }
        }
        ensure!(binaries.is_empty(), "Cargo reported no executable for {:?}", binaries.keys());
        Ok(())
    }

    /// The packages of the workspace that `folder` belongs to.
    async fn packages(&self, folder: &Path) -> anyhow::Result<Vec<Package>> {
        let arguments = ["metadata", "--no-deps", "--format-version=1"].map(str::to_owned);
        let output = self.cargo(folder, &arguments, Stdio::piped()).await?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(MetadataCommand::parse(str::from_utf8(&output.stdout)?)?.packages)
    }

    async fn cargo(&self, folder: &Path, arguments: &[String], errors: Stdio) -> anyhow::Result<Output> {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        // `cargo run` and `cargo test` set variables that describe the package. Build scripts such
        // as ring's depend on these variables. If they were inherited, Cargo would recompile those
        // crates and everything that depends on them.
        for (name, _) in env::vars_os().filter(|(name, _)| describes_a_package(name)) {
            command.env_remove(name);
        }
        let (child, _group) = Group::spawn(&mut command, self.watchdog.clone()).context("can't start `cargo`")?;
        Ok(child.wait_with_output().await?)
    }
}

/// Whether Cargo sets this variable for a program of a package.
fn describes_a_package(variable: &OsStr) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    variable.to_str().is_some_and(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
}

/// Name of a function's binary. If the template names a binary, it may be anywhere in the
/// workspace. Otherwise, it is the only binary of the package in `folder`.
fn binary<'a>(folder: &Path, packages: &'a [Package], wanted: Option<&str>) -> anyhow::Result<&'a str> {
    let all = || packages.iter().flat_map(|package| binaries(package).map(move |name| (package, name)));
    let name = match wanted {
        Some(wanted) => match all().find(|(_, name)| *name == wanted) {
            Some((_, name)) => name,
            None => bail!("there is no binary `{wanted}`"),
        },
        None => {
            let manifest = folder.canonicalize()?.join("Cargo.toml");
            let own: Vec<_> = all().filter(|(package, _)| package.manifest_path == manifest).collect();
            match own.as_slice() {
                [(_, name)] => *name,
                [] => bail!("the package has no binary"),
                several => {
                    let names: Vec<_> = several.iter().map(|(_, name)| *name).collect();
                    bail!("the template has to name one of the binaries {}", names.join(", "))
                }
            }
        }
    };
    ensure!(all().filter(|(_, other)| *other == name).count() == 1, "more than one package has a binary `{name}`");
    Ok(name)
}

fn binaries(package: &Package) -> impl Iterator<Item = &str> {
    package.targets.iter().filter(|target| target.is_bin()).map(|target| target.name.as_str())
}
