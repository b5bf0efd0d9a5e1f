//! Builds the functions' executables with Cargo, and learns from it where they and their sources are.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::SystemTime,
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::{group::Group, watchdog::Watchdog};
use crate::template::Stack;

/// What one build has made.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// By logical id.
    pub(super) executables: BTreeMap<String, Executable>,
    /// The folders of all packages on this machine that went into them.
    pub(super) packages: BTreeSet<PathBuf>,
}

impl Built {
    /// What somebody else has built: `NAME/bootstrap` for each function, in one folder.
    pub(super) fn found(stack: &Stack, folder: &Path) -> anyhow::Result<Self> {
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

/// A binary in one of its versions: built anew, it is another one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Executable {
    pub(super) path: PathBuf,
    modified: SystemTime,
}

impl Executable {
    /// The one that stands there now.
    fn at(path: PathBuf) -> io::Result<Self> {
        let modified = path.metadata().and_then(|metadata| metadata.modified())?;
        Ok(Self { path, modified })
    }
}

/// How the functions of a stack are built.
#[derive(Debug)]
pub(super) struct Builder {
    /// By folder: logical id and, where the template names it, binary.
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

    /// Builds what has changed, with one call of Cargo per folder. Its progress and the compiler's messages go to
    /// standard error as they come.
    pub(super) async fn build(&self) -> anyhow::Result<Built> {
        let mut built = Built::default();
        for (folder, functions) in &self.folders {
            self.build_folder(folder, functions, &mut built)
                .await
                .with_context(|| format!("can't build the functions in {}", folder.display()))?;
        }
        Ok(built)
    }

    async fn build_folder(
        &self,
        folder: &Path,
        functions: &[(String, Option<String>)],
        built: &mut Built,
    ) -> anyhow::Result<()> {
        let packages = self.packages(folder).await?;
        let mut binaries = BTreeMap::new();
        let mut arguments = vec!["build".to_owned(), "--message-format=json-render-diagnostics".to_owned()];
        arguments.extend(self.release.then(|| "--release".to_owned()));
        for (id, wanted) in functions {
            let (package, binary) =
                binary(folder, &packages, wanted.as_deref()).with_context(|| format!("function {id}"))?;
            // Naming the packages keeps the features of the workspace's other members out of the functions.
            arguments.extend([format!("--package={package}"), format!("--bin={binary}")]);
            binaries.entry(binary).or_insert_with(Vec::new).push(id);
        }
        let output = self.cargo(folder, &arguments, Stdio::inherit()).await?;
        ensure!(output.status.success(), "`cargo build` failed ({}); what it said of it stands above", output.status);
        for line in output.stdout.split(|byte| *byte == b'\n') {
            let Ok(Message::CompilerArtifact(artifact)) = serde_json::from_slice(line) else {
                continue; // a message of another kind, or what a build script printed
            };
            if artifact.package_id.contains("path+file://") {
                built.packages.extend(artifact.manifest_path.parent().map(Path::to_owned));
            }
            let Some(path) = artifact.executable else {
                continue;
            };
            let executable = Executable::at(path)?;
            for id in binaries.remove(artifact.target.name.as_str()).unwrap_or_default() {
                built.executables.insert(id.clone(), executable.clone());
            }
        }
        ensure!(binaries.is_empty(), "Cargo doesn't say where it has put {:?}", binaries.keys());
        Ok(())
    }

    async fn packages(&self, folder: &Path) -> anyhow::Result<Vec<Package>> {
        let arguments = ["metadata", "--no-deps", "--format-version=1"].map(str::to_owned);
        let output = self.cargo(folder, &arguments, Stdio::piped()).await?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
        Ok(metadata.packages)
    }

    async fn cargo(&self, folder: &Path, arguments: &[String], errors: Stdio) -> anyhow::Result<Output> {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let (child, _group) = Group::spawn(&mut command, self.watchdog.clone()).context("can't start `cargo`")?;
        Ok(child.wait_with_output().await?)
    }
}

/// Which binary of which package a function is.
fn binary<'a>(folder: &Path, packages: &'a [Package], wanted: Option<&str>) -> anyhow::Result<(&'a str, &'a str)> {
    let manifest = folder.canonicalize()?.join("Cargo.toml");
    let own = |package: &&Package| wanted.is_some() || package.manifest_path == manifest;
    let found: Vec<_> = packages
        .iter()
        .filter(own)
        .flat_map(|package| package.binaries().map(|binary| (package.name.as_str(), binary)))
        .filter(|(_, binary)| wanted.is_none_or(|wanted| wanted == *binary))
        .collect();
    let names = || found.iter().map(|(_, binary)| *binary).collect::<Vec<_>>().join(", ");
    match (found.as_slice(), wanted) {
        ([one], _) => Ok(*one),
        ([], Some(wanted)) => bail!("there is no binary `{wanted}`"),
        (_, Some(wanted)) => bail!("more than one package has a binary `{wanted}`"),
        ([], None) => bail!("the package has no binary"),
        (_, None) => bail!("the template has to name one of the binaries {}", names()),
    }
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    manifest_path: PathBuf,
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Package {
    fn binaries(&self) -> impl Iterator<Item = &str> {
        let is_binary = |target: &&Target| target.kind.iter().any(|kind| kind == "bin");
        self.targets.iter().filter(is_binary).map(|target| target.name.as_str())
    }
}
