//! The repository contains no private key and no token: every file that Git would add is scanned.

use std::{fs, path::Path};

/// Folders that Git ignores, and `.git` itself.
const IGNORED: [&str; 7] = ["target", ".venv", ".local", ".aws-sam", ".git", "node_modules", "__pycache__"];
/// Suffixes of files that hold keys or environment variables.
const SECRET_FILES: [&str; 6] = [".pem", ".pk8", ".key", ".p12", ".env", ".jks"];

fn scan(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
        if path.is_dir() {
            if !IGNORED.contains(&name.as_str()) {
                scan(&path, found);
            }
        } else if SECRET_FILES.iter().any(|end| name.ends_with(end)) || contains_secret(&fs::read(&path).unwrap()) {
            found.push(path.display().to_string());
        }
    }
}

/// Whether the bytes contain a PEM private key (OpenSSL or SSH), an AWS access key ID or a GitHub
/// token.
fn contains_secret(bytes: &[u8]) -> bool {
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
fn the_repository_contains_no_secret() {
    let mut found = Vec::new();
    scan(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert!(contains_secret(format!("x {}{}", "AKIA", "1".repeat(16)).as_bytes()), "the scan finds a secret");
}
