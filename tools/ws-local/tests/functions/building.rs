//! Tests of finding, building and replacing executables.

use std::fs;

use ws_local::{
    event::{Event, EventSink},
    functions::{FunctionOptions, Functions},
    invoke::Invoke,
    template::Stack,
};

use crate::project::{Events, Project, run};

async fn refusal(stack: &Stack) -> String {
    match Functions::start(stack, FunctionOptions::default(), EventSink::default()).await {
        Ok(_) => panic!("it started"),
        Err(error) => format!("{error:#}"),
    }
}

async fn word(functions: &Functions) -> String {
    let result = functions.invoke("Worker", b"\"word\"".to_vec()).await.unwrap();
    serde_json::from_slice(&result).unwrap()
}

#[tokio::test]
async fn a_binary_is_found_by_its_name_anywhere_in_the_workspace() {
    let project = Project::shared();
    let stack = project.stack(|function| {
        function.code_uri = project.folder.clone();
        function.binary = Some("worker".to_owned());
    });
    let (functions, _events) = run(&stack, FunctionOptions::default()).await;
    assert_eq!(word(&functions).await, "first");
}

#[tokio::test]
async fn a_binary_that_is_missing_or_ambiguous_is_an_error_that_says_so() {
    let project = Project::shared();
    let unknown = project.stack(|function| function.binary = Some("other".to_owned()));
    let error = refusal(&unknown).await;
    assert!(error.contains("function Worker: there is no binary `other`"), "{error}");

    let unnamed = project.stack(|function| function.code_uri = project.folder.join("pair"));
    let error = refusal(&unnamed).await;
    assert!(error.contains("has to name one of the binaries left, right"), "{error}");

    let twice = Project::own();
    fs::create_dir_all(twice.folder.join("twin/src")).unwrap();
    fs::write(twice.folder.join("twin/src/main.rs"), "fn main() {}").unwrap();
    let manifest =
        "[package]\nname = \"twin\"\nedition = \"2024\"\n[[bin]]\nname = \"worker\"\npath = \"src/main.rs\"\n";
    fs::write(twice.folder.join("twin/Cargo.toml"), manifest).unwrap();
    twice.edit("Cargo.toml", "\"worker\"", "\"worker\", \"twin\"");
    for named in [None, Some("worker".to_owned())] {
        let error = refusal(&twice.stack(|function| function.binary = named)).await;
        assert!(error.contains("function Worker: more than one package has a binary `worker`"), "{error}");
    }

    let nowhere = project.stack(|function| function.code_uri = project.folder.join("nowhere"));
    let error = refusal(&nowhere).await;
    assert!(error.contains("nowhere"), "{error}");
}

#[tokio::test]
async fn code_that_does_not_compile_is_one_error() {
    let project = Project::own();
    project.edit("word/src/lib.rs", "\"first\"", "1");
    let error = refusal(&project.stack(|_| {})).await;
    assert!(error.contains("can't build the functions in") && error.contains("`cargo build` failed"));
    assert!(!error.contains('\n'), "{error}");
}

#[tokio::test]
async fn a_changed_source_replaces_the_processes_and_a_broken_one_does_not() {
    let project = Project::own();
    let options = FunctionOptions { watch: true, ..FunctionOptions::default() };
    let (functions, mut events) = run(&project.stack(|_| {}), options).await;
    assert_eq!(word(&functions).await, "first");
    let old = functions.processes("Worker").remove(0);

    // Edit a package that the function depends on, outside the function's own folder.
    project.edit("word/src/lib.rs", "\"first\"", "\"second\"");
    assert_eq!(outcome(&mut events).await, Ok(vec!["Worker".to_owned()]));
    assert_eq!(word(&functions).await, "second");
    old.ended().await;

    project.edit("word/src/lib.rs", "\"second\"", "\"second");
    assert!(outcome(&mut events).await.is_err());
    assert_eq!(word(&functions).await, "second");
    assert_eq!(functions.started("Worker"), 2);

    // Changes to other files do not start a build, so the next outcome belongs to the fix.
    fs::write(project.folder.join("word/notes.txt"), "nothing").unwrap();
    project.edit("word/src/lib.rs", "\"second", "\"third\"");
    assert_eq!(outcome(&mut events).await, Ok(vec!["Worker".to_owned()]));
    assert_eq!(word(&functions).await, "third");
    functions.stop().await;
}

async fn outcome(events: &mut Events) -> Result<Vec<String>, String> {
    events
        .find(|event| match event {
            Event::Rebuilt(functions) => Some(Ok(functions)),
            Event::BuildFailed(error) => Some(Err(error)),
            _ => None,
        })
        .await
}
