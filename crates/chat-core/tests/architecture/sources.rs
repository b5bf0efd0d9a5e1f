//! The source files, and the `use` statements in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::ROUTES;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Rust file below this folder: its path from the root, and its code without comments.
pub(crate) fn sources(folder: &str) -> Vec<(String, String)> {
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
pub(crate) fn product() -> Vec<(String, String)> {
    ["chat-core", "authorizer"].iter().chain(&ROUTES).flat_map(|name| sources(&format!("crates/{name}/src"))).collect()
}

/// Code without the unit tests at its end.
pub(crate) fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]").next().unwrap()
}

/// The words of a text: identifiers and numbers.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The statements that begin with `keyword`, up to their semicolon.
pub(crate) fn statements<'a>(code: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    let starts = code.match_indices(keyword).filter(|(at, _)| *at == 0 || code[..*at].ends_with('\n'));
    starts.map(|(at, _)| code[at..].split(';').next().unwrap())
}

/// The paths that a `use` statement imports, without braces: `use a::{b, c::d}` has `a::b` and `a::c::d`.
pub(crate) fn imported_paths(statement: &str) -> Vec<String> {
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
