//! `Project`: a copy of the fixture project that a test may build and change.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc::{self, UnboundedReceiver};
use ws_local::{
    event::{Event, EventSink},
    functions::{FunctionOptions, Functions},
    template::{Api, Function, Stack},
};

/// Longer than any step of a test takes, even on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A copy of the fixture project.
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Project {
    /// The copy that all tests share. No test may change it, so it is built only once.
    pub(crate) fn shared() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixture-project");
        copy(&original(), &folder).unwrap();
        Self { folder, _temporary: None }
    }

    /// A copy that a test may change.
    pub(crate) fn own() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        copy(&original(), &folder).unwrap();
        Self { folder, _temporary: Some(temporary) }
    }

    /// A stack with the function `Worker`, after `change`.
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
            secrets: Vec::new(),
        }
    }

    /// Replaces `old` in a file; panics if the file doesn't contain it.
    pub(crate) fn edit(&self, file: &str, old: &str, new: &str) {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old));
        fs::write(path, text.replace(old, new)).unwrap();
    }
}

/// Runs a stack and receives its events.
pub(crate) async fn run(stack: &Stack, options: FunctionOptions) -> (Functions, Events) {
    let (sender, events) = mpsc::unbounded_channel();
    let sink = EventSink::new(move |event| drop(sender.send(event)));
    let functions = Functions::start(stack, options, sink).await.unwrap();
    (functions, Events(events))
}

pub(crate) struct Events(UnboundedReceiver<Event>);

impl Events {
    /// Waits for the next event for which `pick` returns a value, and returns that value.
    pub(crate) async fn find<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
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

/// Copies a folder. Skips files that are already equal, so that nothing is rebuilt needlessly.
/// Replaces the others atomically, so that no other test reads a partial file.
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
