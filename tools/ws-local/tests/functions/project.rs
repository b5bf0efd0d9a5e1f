//! The fixture project, copied to where a test may build and change it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc::{self, UnboundedReceiver};
use ws_local::{
    functions::{FunctionOptions, Functions, Notice},
    template::{Api, Function, Stack},
};

/// Longer than anything here takes, on a machine that is busy too.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A copy of the fixture project.
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Project {
    /// The one that all tests of this program share and none changes: it is built once.
    pub(crate) fn shared() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixture-project");
        copy(&original(), &folder).unwrap();
        Self { folder, _temporary: None }
    }

    /// One of the test's own.
    pub(crate) fn own() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        copy(&original(), &folder).unwrap();
        Self { folder, _temporary: Some(temporary) }
    }

    /// A stack with the function `Worker`, changed as a test needs it.
    pub(crate) fn stack(&self, change: impl FnOnce(&mut Function)) -> Stack {
        let mut function = Function {
            name: "worker-function".to_owned(),
            binary: None,
            code_uri: self.folder.join("worker"),
            environment: BTreeMap::new(),
            memory: 128,
            timeout: LONG,
            reserved_concurrency: None,
        };
        change(&mut function);
        Stack {
            region: "eu-central-1".to_owned(),
            account_id: "123456789012".to_owned(),
            api: Api {
                logical_id: "Api".to_owned(),
                api_id: "api0000000".to_owned(),
                stage: "prod".to_owned(),
                route_selection_expression: "$request.body.action".to_owned(),
                routes: BTreeMap::new(),
                authorizer: None,
            },
            functions: BTreeMap::from([("Worker".to_owned(), function)]),
            tables: Vec::new(),
        }
    }

    /// Replaces `old` in a file; panics when it isn't there.
    pub(crate) fn edit(&self, file: &str, old: &str, new: &str) {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old));
        fs::write(path, text.replace(old, new)).unwrap();
    }
}

/// Runs a stack, and hears what happens.
pub(crate) async fn run(stack: &Stack, options: FunctionOptions) -> (Functions, Notices) {
    let (sender, notices) = mpsc::unbounded_channel();
    let observer = move |notice| drop(sender.send(notice));
    let functions = Functions::start(stack, options, Arc::new(observer)).await.unwrap();
    (functions, Notices(notices))
}

pub(crate) struct Notices(UnboundedReceiver<Notice>);

impl Notices {
    /// The next one of which `pick` wants something.
    pub(crate) async fn find<T>(&mut self, mut pick: impl FnMut(Notice) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = pick(self.0.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(LONG, found).await.unwrap()
    }
}

fn original() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture-project")
}

/// Leaves alone what is the same already, so that nothing is built without need, and no file is half written while
/// another test reads it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry?.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else if fs::read(&from)? != fs::read(&to).unwrap_or_default() {
            let new = tempfile::NamedTempFile::new_in(to.parent().unwrap())?;
            fs::copy(&from, &new)?;
            new.persist(&to)?;
        }
    }
    Ok(())
}
