//! Crates, the template, the documents, and the lists in them that a new route must be added to.

use std::{collections::BTreeSet, fs};

use chat_core::model::error::Error;

use crate::{
    OTHERS, ROUTES,
    sources::{root, sources, without_tests},
};

#[test]
fn a_main_is_one_expression() {
    for name in ROUTES.iter().chain(&OTHERS) {
        let code = fs::read_to_string(root().join(format!("crates/{name}/src/main.rs"))).unwrap();
        let body = code.split_once("async fn main()").unwrap().1.split_once("{\n").unwrap().1;
        assert_eq!(body.matches('\n').count(), 2, "{name}: one line, and the brace that closes it");
    }
}

/// The table of a manifest, such as `[dependencies]`: the names on the left.
fn manifest_table(manifest: &str, table: &str) -> Vec<String> {
    let Some((_, rest)) = manifest.split_once(&format!("\n[{table}]\n")) else { return Vec::new() };
    let lines = rest.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_deployed_crate_depends_on_a_tool_or_a_test() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let not_deployed: BTreeSet<_> = workspace
        .lines()
        .filter(|line| line.contains("path = \"tools/") || line.contains("path = \"tests/"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(not_deployed.contains("support"), "{not_deployed:?}");
    for folder in fs::read_dir(root().join("crates")).unwrap() {
        let path = folder.unwrap().path().join("Cargo.toml");
        let manifest = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for name in manifest_table(&manifest, "dependencies") {
            assert!(
                !not_deployed.contains(name.as_str()),
                "{} depends on {name}, which is not deployed: make it a dev-dependency",
                path.display()
            );
        }
    }
}

#[test]
fn every_crate_is_a_function_of_the_template_with_an_event() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let binaries: BTreeSet<_> = template.lines().filter_map(|line| line.trim().strip_prefix("Binary: ")).collect();
    let functions: BTreeSet<_> = ROUTES.iter().copied().chain(OTHERS).collect();
    assert_eq!(binaries, functions, "each function of template.yaml is in this test's ROUTES, and each of those there");
    let crates: BTreeSet<_> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected: BTreeSet<_> =
        functions.iter().map(|name| (*name).to_owned()).chain(["chat-core".to_owned()]).collect();
    assert_eq!(crates, expected, "crates/ holds chat-core and the functions of template.yaml, and nothing else");
    for name in functions {
        let event = format!("events/{name}.json");
        assert!(root().join(&event).exists(), "function {name} has no event for `sam local invoke`: add {event}");
    }
}

#[test]
fn every_route_has_an_event_and_stands_in_the_documents() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let routes = template.split_once("      Routes:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let routes: Vec<_> = routes
        .lines()
        .filter_map(|line| line.strip_prefix("        ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '))
        .collect();
    assert!(routes.contains(&"sendMessage") && routes.contains(&"$default"), "{routes:?}");
    let events: Vec<_> = fs::read_dir(root().join("events"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let protocol = fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let asyncapi = fs::read_to_string(root().join("docs/asyncapi.yaml")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let advice = Error::UnknownAction.message();
    for route in routes {
        let key = format!("\"routeKey\": \"{route}\"");
        assert!(
            events.iter().any(|event| event.contains(&key)),
            "route {route} has no event: add one to events/ with {key}"
        );
        let response = format!("ChatApi{}{}Route", route[..1].to_uppercase(), route[1..].to_lowercase());
        assert!(
            readme.contains(&format!("│ {route} ")) || readme.contains(&format!("└ {route} ")),
            "README.md: {route} is missing in \"How it works\""
        );
        if !route.starts_with('$') {
            assert!(advice.contains(route), "the message of `Error::UnknownAction` does not name {route}: add it");
            assert!(
                template.contains(&format!("RouteId: !Ref {response}\n")),
                "route {route} has no route response, so API Gateway drops its replies: add one to template.yaml"
            );
            assert!(protocol.contains(&format!("`{route}`")), "docs/protocol.md does not describe {route}: add it");
            assert!(
                asyncapi.contains(&format!("action: {{const: {route}}}")),
                "docs/asyncapi.yaml has no message of {route}: add one with `action: {{const: {route}}}`"
            );
        }
    }
}

#[test]
fn every_guarantee_names_a_test_that_exists() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows: Vec<_> = document.lines().filter(|line| line.starts_with("| G")).collect();
    assert_eq!(rows.len(), 7, "ARCHITECTURE.md lists the guarantees G1 to G7");
    for row in rows {
        let (name, tests) = row.trim_end_matches([' ', '|']).rsplit_once(" | ").unwrap();
        // Files, folders, and the names of tests in these files.
        let (paths, names): (Vec<_>, Vec<_>) = tests.split('`').skip(1).step_by(2).partition(|text| text.contains('/'));
        assert!(!paths.is_empty(), "{name} names no test");
        let mut sources = String::new();
        for path in paths {
            let file = root().join(path);
            assert!(
                file.exists(),
                "{path}, which proves a guarantee in ARCHITECTURE.md, does not exist: name its successor"
            );
            if file.is_file() {
                sources += &fs::read_to_string(file).unwrap();
            }
        }
        for test in names {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "the test {test} of ARCHITECTURE.md does not exist: name its successor there"
            );
        }
    }
}

#[test]
fn ws_local_names_nothing_of_this_project() {
    let names = names_of_the_template();
    for expected in ["ChatApi", "SendFunction", "MessagesTable", "sendMessage", "CLIENTS_TABLE"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is read off the template: {names:?}");
    }
    for (path, code) in sources("tools/ws-local/src") {
        // The tests at the end of a file may use names of any project.
        let code = without_tests(&code);
        // AWS's own variables belong to no project.
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
