//! The invariants of `ARCHITECTURE.md`, checked on the sources. A failure says which rule is broken and what to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const ROUTES: [&str; 7] = ["connect", "disconnect", "fallback", "history", "inbox", "read", "send"];

/// The layers of chat-core. Each imports only from those before it; `start` and `lib` are above all.
const LAYERS: [&str; 6] = ["model", "protocol", "store", "push", "lambda", "configuration"];

const CORE: &str = "crates/chat-core/src/";

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
    assert!(!files.is_empty(), "{folder} has no sources");
    files
}

/// The code of the deployed functions.
fn product() -> Vec<(String, String)> {
    ["chat-core", "authorizer"].iter().chain(&ROUTES).flat_map(|name| sources(&format!("crates/{name}/src"))).collect()
}

/// Code without the unit tests at its end.
fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]").next().unwrap()
}

/// The words of a text: identifiers and numbers.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Checks that only files whose path begins with one of `places` contain one of `terms`, and that each place does.
#[track_caller]
fn check_only(terms: &[&str], places: &[&str]) {
    let holders: Vec<_> = product()
        .into_iter()
        .filter(|(_, code)| terms.iter().any(|term| code.contains(term)))
        .map(|(path, _)| path)
        .collect();
    for path in &holders {
        assert!(
            places.iter().any(|place| path.starts_with(place)),
            "{path} uses one of {terms:?}: move that code to {places:?}"
        );
    }
    for place in places {
        assert!(
            holders.iter().any(|path| path.starts_with(place)),
            "{place} no longer uses {terms:?}: update this test and ARCHITECTURE.md"
        );
    }
}

/// The statements that begin with `keyword`, up to their semicolon.
fn statements<'a>(code: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    let starts = code.match_indices(keyword).filter(|(at, _)| *at == 0 || code[..*at].ends_with('\n'));
    starts.map(|(at, _)| code[at..].split(';').next().unwrap())
}

/// The paths that a `use` statement imports, without braces: `use a::{b, c::d}` has `a::b` and `a::c::d`.
fn imported_paths(statement: &str) -> Vec<String> {
    let (mut paths, mut prefixes, mut current) = (Vec::new(), Vec::new(), String::new());
    for c in statement.trim_start_matches("pub ").trim_start_matches("use ").chars() {
        match c {
            '{' => prefixes.push(std::mem::take(&mut current)),
            ',' | '}' => {
                if !current.is_empty() {
                    paths.push(prefixes.concat() + &std::mem::take(&mut current));
                }
                if c == '}' {
                    prefixes.pop();
                }
            }
            c if c.is_whitespace() => {}
            c => current.push(c),
        }
    }
    if !current.is_empty() {
        paths.push(current);
    }
    paths
}

/// The modules of chat-core (`store::messages`), each with the modules that it imports.
fn modules_of_the_core() -> BTreeMap<String, BTreeSet<String>> {
    let module = |path: &str| path[CORE.len()..].trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    let files = sources(CORE);
    let names: BTreeSet<_> = files.iter().map(|(path, _)| module(path)).collect();
    let imports = |path: &str, code: &str| {
        let own = module(path);
        let parent = own.rsplit_once("::").map_or(own.as_str(), |(parent, _)| parent).to_owned();
        let is_mod = path.ends_with("/mod.rs");
        let uses: Vec<_> =
            statements(code, "use ").chain(statements(code, "pub use ")).flat_map(imported_paths).collect();
        let absolute = uses.into_iter().filter_map(|path| {
            let relative = |rest: &str| if is_mod { rest.to_owned() } else { format!("{parent}::{rest}") };
            path.strip_prefix("crate::").map(str::to_owned).or_else(|| path.strip_prefix("super::").map(relative))
        });
        // The longest prefix of the path that is a module.
        let module_of = |path: String| {
            let parts: Vec<_> = path.split("::").collect();
            (1..=parts.len()).rev().map(|length| parts[..length].join("::")).find(|name| names.contains(name))
        };
        absolute.filter_map(module_of).filter(|name| *name != own).collect::<BTreeSet<_>>()
    };
    files.iter().map(|(path, code)| (module(path), imports(path, without_tests(code)))).collect()
}

#[test]
fn a_layer_imports_only_from_the_layers_before_it() {
    let layer = |module: &str| LAYERS.iter().position(|layer| module.split("::").next() == Some(*layer));
    let modules = modules_of_the_core();
    for (module, imports) in &modules {
        let Some(own) = layer(module) else {
            assert!(
                ["lib", "start"].contains(&module.as_str()),
                "chat-core's module {module} is in no layer: put it into one of {LAYERS:?}"
            );
            continue;
        };
        for import in imports {
            assert!(
                layer(import).is_some_and(|layer| layer <= own),
                "chat-core's {module} imports {import}, which is in a later layer: move one of them ({LAYERS:?})"
            );
        }
    }
    let declared: Vec<_> = fs::read_to_string(root().join(CORE).join("lib.rs"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    assert_eq!(declared, LAYERS, "lib.rs lists the layers in reading order");
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let modules = modules_of_the_core();
    assert!(modules.values().map(BTreeSet::len).sum::<usize>() > 30, "imports are found: {modules:?}");
    // Removes modules that import nothing that is left, until only circles are left.
    let mut left = modules.clone();
    loop {
        let done: Vec<_> = left
            .iter()
            .filter(|(_, imports)| imports.iter().all(|import| !left.contains_key(import)))
            .map(|(module, _)| module.clone())
            .collect();
        if done.is_empty() {
            break;
        }
        for module in done {
            left.remove(&module);
        }
    }
    assert!(left.is_empty(), "these modules of chat-core import each other in a circle: {left:?}");
}

#[test]
fn only_the_edge_knows_lambda() {
    check_only(&["lambda_runtime", "aws_lambda_events"], &["crates/chat-core/src/lambda/"]);
}

#[test]
fn only_the_request_log_knows_the_metric_format() {
    check_only(&["metrique"], &["crates/chat-core/src/lambda/request_log.rs"]);
}

#[test]
fn only_the_store_knows_dynamodb() {
    check_only(&["aws_sdk_dynamodb", "serde_dynamo"], &["crates/chat-core/src/store/"]);
}

#[test]
fn only_the_connections_api_knows_the_connections_endpoint() {
    check_only(&["aws_sdk_apigatewaymanagement"], &["crates/chat-core/src/push/connections_api.rs"]);
}

/// A type of the SDK in a public signature would let another layer depend on the SDK without naming its crate.
#[test]
fn no_type_of_an_aws_sdk_leaves_the_layer_that_confines_it() {
    // Connection settings, from which `configuration` makes the clients.
    const ALLOWED: &str = "SdkConfig";
    let mut checked = 0;
    for (path, code) in product() {
        let code = without_tests(&code);
        let types: BTreeSet<_> = statements(code, "use ")
            .flat_map(imported_paths)
            .filter(|path| {
                path.starts_with("aws_sdk") || path.starts_with("aws_smithy") || path.starts_with("aws_config")
            })
            .filter_map(|path| path.rsplit("::").next().map(str::to_owned))
            .filter(|name| name.starts_with(char::is_uppercase) && name != ALLOWED)
            .collect();
        for signature in public_signatures(code) {
            checked += 1;
            let leaked = words(signature).find(|word| types.contains(*word) || word.starts_with("aws_sdk"));
            assert!(
                leaked.is_none(),
                "{path} shows the SDK's {leaked:?} in `{signature}`: return a type of the model, or make it pub(super)"
            );
        }
    }
    assert!(checked > 100, "signatures are found: {checked}");
}

/// The heads of functions, fields and aliases that code of other layers can use.
fn public_signatures(code: &str) -> impl Iterator<Item = &str> {
    code.split('\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len() + 1;
            Some((start, line.trim_start()))
        })
        .filter(|(_, line)| line.starts_with("pub ") || line.starts_with("pub(crate) "))
        .filter(|(_, line)| !line.contains("pub use ") && !line.contains(" mod "))
        .map(|(start, _)| code[start..].split(['{', ';', '=']).next().unwrap())
        .map(|signature| signature.split("pub(super)").next().unwrap().trim())
}

#[test]
fn repositories_know_neither_each_other_nor_the_rate_limit() {
    let repositories = ["Connections", "Messages", "Inboxes"];
    for (file, own) in [("connections", "Connections"), ("messages", "Messages"), ("inboxes", "Inboxes")] {
        let path = format!("{CORE}store/{file}.rs");
        let code = fs::read_to_string(root().join(&path)).unwrap();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for name in words(&code) {
            assert!(
                name == own || !repositories.contains(&name),
                "{path} uses the repository {name}: let the route call both"
            );
            assert!(!name.starts_with("Rate"), "{path} uses {name}: limits are the route's business");
        }
    }
}

#[test]
fn only_send_appends() {
    let callers: Vec<_> =
        product().into_iter().filter(|(_, code)| code.contains(".put_if_vacant(")).map(|(path, _)| path).collect();
    assert_eq!(callers, ["crates/send/src/append.rs"], "appending is the algorithm of crates/send/src/append.rs");
}

#[test]
fn only_the_authorizer_knows_tokens_and_one_module_of_it_fetches_keys() {
    check_only(&["aws_smithy_runtime_api", "HttpRequest"], &["crates/authorizer/src/jwks.rs"]);
    check_only(&["use ring::"], &["crates/authorizer/src/signature.rs"]);
    check_only(&["jsonwebtoken"], &["crates/authorizer/src/"]);
}

#[test]
fn only_configuration_reads_the_environment() {
    let terms = ["env::var", "std::env", "_TABLE\"", "_ENDPOINT\"", "_MODE\"", "\"JWT_", "_ORIGINS\"", "_NAMESPACE\""];
    check_only(&terms, &["crates/chat-core/src/configuration/"]);
}

#[test]
fn model_and_protocol_do_no_input_or_output() {
    // `deadline` waits, and `metrics` reads the clock.
    let files = sources(&format!("{CORE}model")).into_iter().chain(sources(&format!("{CORE}protocol")));
    for (path, code) in files.filter(|(path, _)| !["deadline.rs", "metrics.rs"].iter().any(|name| path.ends_with(name)))
    {
        for term in ["async ", "await", "tokio", "aws_", "tracing", "std::fs", "std::net", "SystemTime::now"] {
            assert!(!without_tests(&code).contains(term), "{path} uses {term}: model and protocol are values only");
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
    let functions: BTreeSet<_> = ROUTES.iter().copied().chain(["authorizer"]).collect();
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
    for route in routes {
        let key = format!("\"routeKey\": \"{route}\"");
        assert!(
            events.iter().any(|event| event.contains(&key)),
            "route {route} has no event: add one to events/ with {key}"
        );
        let response = format!("ChatApi{}{}Route", route[..1].to_uppercase(), route[1..].to_lowercase());
        if !route.starts_with('$') {
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
