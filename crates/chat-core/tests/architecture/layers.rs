//! The layers of chat-core, and circles among its modules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{
    CORE,
    sources::{imported_paths, root, sources, statements, without_tests},
};

/// The layers of chat-core. Each imports only from those before it; `start` and `lib` are above all.
const LAYERS: [&str; 7] = ["model", "protocol", "store", "push", "log", "lambda", "configuration"];

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
