//! The invariants of `ARCHITECTURE.md`: which code may know what.

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROUTES: [&str; 7] = ["connect", "disconnect", "fallback", "history", "inbox", "read", "send"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Rust file below this folder: its path from the root, and its code without comments.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                files.push((name, code.join("\n")));
            }
        }
    }
    assert!(!files.is_empty(), "{folder} has sources");
    files
}

/// The code that ends up in a function.
fn product() -> Vec<(String, String)> {
    ["chat-core", "authorizer"].iter().chain(&ROUTES).flat_map(|name| sources(&format!("crates/{name}/src"))).collect()
}

/// Only files whose path begins with one of `places` hold one of `words`, and each of those places does.
#[track_caller]
fn check_only(words: &[&str], places: &[&str]) {
    let holders: Vec<_> = product()
        .into_iter()
        .filter(|(_, code)| words.iter().any(|word| code.contains(word)))
        .map(|(path, _)| path)
        .collect();
    for path in &holders {
        assert!(places.iter().any(|place| path.starts_with(place)), "{path} may not use {words:?}");
    }
    for place in places {
        assert!(holders.iter().any(|path| path.starts_with(place)), "{place} does not use {words:?} any more");
    }
}

#[test]
fn only_the_edge_knows_lambda() {
    check_only(&["lambda_runtime", "aws_lambda_events"], &["crates/chat-core/src/lambda/"]);
}

#[test]
fn only_the_journal_knows_how_cloudwatch_counts() {
    check_only(&["metrique"], &["crates/chat-core/src/lambda/journal.rs"]);
}

#[test]
fn only_the_repositories_know_dynamodb() {
    let repositories =
        ["clients", "conversations", "messages", "dynamodb"].map(|name| format!("crates/chat-core/src/{name}.rs"));
    check_only(&["aws_sdk_dynamodb", "serde_dynamo"], &repositories.each_ref().map(String::as_str));
}

#[test]
fn only_delivery_knows_the_connections_endpoint() {
    check_only(&["aws_sdk_apigatewaymanagement"], &["crates/chat-core/src/delivery.rs"]);
}

#[test]
fn only_the_authorizer_knows_tokens_and_one_module_of_it_fetches_keys() {
    check_only(&["aws_smithy_runtime_api", "HttpRequest"], &["crates/authorizer/src/jwks.rs"]);
    check_only(&["use ring::"], &["crates/authorizer/src/signature.rs"]);
    check_only(&["jsonwebtoken"], &["crates/authorizer/src/"]);
}

#[test]
fn only_configuration_reads_the_environment() {
    let words = ["env::var", "std::env", "_TABLE\"", "_ENDPOINT\"", "_MODE\"", "\"JWT_", "_ORIGINS\"", "_NAMESPACE\""];
    check_only(&words, &["crates/chat-core/src/configuration.rs"]);
}

#[test]
fn values_and_frames_do_no_input_or_output() {
    for name in ["user", "conversation", "message", "rate_limit", "tally", "frames", "error", "request", "origins"] {
        let path = format!("crates/chat-core/src/{name}.rs");
        let code = fs::read_to_string(root().join(&path)).unwrap();
        for word in ["async ", "await", "tokio", "aws_", "tracing", "std::fs", "std::net", "SystemTime"] {
            assert!(!code.contains(word), "{path} may not use {word}");
        }
    }
}

#[test]
fn a_main_is_one_expression() {
    for name in ROUTES.iter().chain(&["authorizer"]) {
        let code = fs::read_to_string(root().join(format!("crates/{name}/src/main.rs"))).unwrap();
        let body = code.split_once("async fn main()").unwrap().1.split_once("{\n").unwrap().1;
        assert_eq!(body.matches('\n').count(), 2, "{name}: one line, and the brace that closes it");
    }
}

#[test]
fn the_functions_of_the_template_are_the_crates_of_the_workspace() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let mut binaries: Vec<_> = template.lines().filter_map(|line| line.trim().strip_prefix("Binary: ")).collect();
    binaries.sort_unstable();
    let mut functions: Vec<_> = ROUTES.iter().copied().chain(["authorizer"]).collect();
    functions.sort_unstable();
    assert_eq!(binaries, functions);
    for name in functions {
        assert!(root().join(format!("events/{name}.json")).exists(), "events/{name}.json");
    }
}

#[test]
fn the_local_system_names_nothing_of_this_project() {
    let names = names_of_the_template();
    for expected in ["ChatApi", "SendFunction", "MessagesTable", "sendMessage", "CLIENTS_TABLE"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is read off the template: {names:?}");
    }
    for (path, code) in sources("tools/ws-local/src") {
        // The tests at the end of a file may use names of any project.
        let code = code.split("#[cfg(test)]").next().unwrap();
        // AWS's own variables are no project's.
        for name in names.iter().filter(|name| !name.starts_with("AWS_")) {
            assert!(!code.contains(name.as_str()), "{path} names {name}");
        }
    }
}

/// The template's logical ids, routes and variables, read off its indentation.
fn names_of_the_template() -> Vec<String> {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let resources = template.split_once("\nResources:\n").unwrap().1.split_once("\nOutputs:").unwrap().0;
    let routes = resources.split_once("      Routes:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let at = |depth: usize, line: &str| {
        let (indent, rest) = line.split_at_checked(depth)?;
        let (name, _) = rest.split_once(':')?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (indent.trim().is_empty() && is_name).then(|| name.to_owned())
    };
    let logical_ids = resources.lines().filter_map(|line| at(2, line));
    let routes = routes.lines().filter_map(|line| at(8, line));
    let variables = resources.lines().filter_map(|line| at(10, line)).filter(|name| name.contains('_'));
    logical_ids.chain(routes).chain(variables).collect()
}
