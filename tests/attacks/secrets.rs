//! No key and no token of anybody's lies in this folder: what Git would take is looked through.

use std::{fs, path::Path};

/// What Git ignores, and Git itself.
const LEFT_OUT: [&str; 7] = ["target", ".venv", ".local", ".aws-sam", ".git", "node_modules", "__pycache__"];
/// How files of keys and of variables end.
const KEPT_ELSEWHERE: [&str; 6] = [".pem", ".pk8", ".key", ".p12", ".env", ".jks"];

fn look(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
        if path.is_dir() {
            if !LEFT_OUT.contains(&name.as_str()) {
                look(&path, found);
            }
        } else if KEPT_ELSEWHERE.iter().any(|end| name.ends_with(end)) || holds_a_secret(&fs::read(&path).unwrap()) {
            found.push(path.display().to_string());
        }
    }
}

/// A private key as OpenSSL and SSH write it, an AWS access key, or a token of GitHub's.
fn holds_a_secret(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let after = |mark: &str, length: usize| {
        text.match_indices(mark).any(|(at, _)| {
            let rest = &text.as_bytes()[at + mark.len()..];
            rest.len() >= length && rest[..length].iter().all(u8::is_ascii_alphanumeric)
        })
    };
    text.contains(concat!("PRIVATE ", "KEY-----")) || after("AKIA", 16) || after("ghp_", 36) || after("github_pat_", 22)
}

#[test]
fn no_secret_lies_in_the_repository() {
    let mut found = Vec::new();
    look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert!(holds_a_secret(format!("x {}{}", "AKIA", "1".repeat(16)).as_bytes()), "what is looked for would be found");
}
