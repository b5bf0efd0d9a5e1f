//! The parameter values in `samconfig.toml`, which is in the folder of the template.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use toml::{Table, Value};

/// SAM's default environment.
const DEFAULT_ENVIRONMENT: &str = "default";

/// Reads `parameter_overrides` from `[ENVIRONMENT.deploy.parameters]`, or else from
/// `[ENVIRONMENT.global.parameters]`. If the file is missing, there are no values. If the caller
/// names an `environment`, it must be in the file.
pub fn parameter_overrides(template: &Path, environment: Option<&str>) -> anyhow::Result<BTreeMap<String, String>> {
    let path = file(template);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            ensure!(environment.is_none(), "there is no {} with the environment", path.display());
            return Ok(BTreeMap::new());
        }
        text => text.with_context(|| format!("can't read {}", path.display()))?,
    };
    read(&text, environment).with_context(|| format!("in {}", path.display()))
}

/// The configuration file of a template.
pub(crate) fn file(template: &Path) -> PathBuf {
    template.with_file_name("samconfig.toml")
}

fn read(text: &str, environment: Option<&str>) -> anyhow::Result<BTreeMap<String, String>> {
    let config: Table = text.parse()?;
    let name = environment.unwrap_or(DEFAULT_ENVIRONMENT);
    let Some(section) = config.get(name) else {
        ensure!(environment.is_none(), "there is no environment `{name}`");
        return Ok(BTreeMap::new());
    };
    let overrides = |command: &str| section.get(command)?.get("parameters")?.get("parameter_overrides");
    match overrides("deploy").or_else(|| overrides("global")) {
        None => Ok(BTreeMap::new()),
        Some(Value::String(line)) => words(line)?.iter().map(|word| pair(word)).collect(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| pair(item.as_str().context("each item of parameter_overrides must be text")?))
            .collect(),
        Some(_) => bail!("parameter_overrides must be text or a list of texts"),
    }
}

/// Reads `NAME=VALUE`, or SAM's longer `ParameterKey=NAME,ParameterValue=VALUE`.
pub(crate) fn pair(text: &str) -> anyhow::Result<(String, String)> {
    let long = text.strip_prefix("ParameterKey=").and_then(|rest| rest.split_once(",ParameterValue="));
    let (name, value) = long
        .or_else(|| text.split_once('='))
        .filter(|(name, _)| !name.is_empty())
        .with_context(|| format!("`{text}` is not NAME=VALUE"))?;
    Ok((name.to_owned(), unquoted(value).to_owned()))
}

/// Removes one pair of quotes. Values in a list often have their own quotes inside the TOML quotes.
fn unquoted(value: &str) -> &str {
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

/// Splits a line as SAM does: at whitespace outside quotes. A library for shell words can't be
/// used, because SAM also treats a backslash as an escape within single quotes.
fn words(line: &str) -> anyhow::Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => word.get_or_insert_default().extend(characters.next()),
            (_, Some(open)) if character == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, None) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    ensure!(quote.is_none(), "a quote in parameter_overrides is not closed");
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(overrides: &str, expected: &[(&str, &str)]) {
        let text = format!("[default.deploy.parameters]\nparameter_overrides = {overrides}");
        let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(read(&text, None).unwrap(), expected, "{overrides}");
    }

    #[test]
    fn the_formats_that_sam_accepts_are_read() {
        check("'A=1 B=two'", &[("A", "1"), ("B", "two")]);
        check(r#"'A="one two" B=""  C=x=y'"#, &[("A", "one two"), ("B", ""), ("C", "x=y")]);
        check(r#""A=\"one two\" B='three \\\"'""#, &[("A", "one two"), ("B", "three \"")]);
        check(r#"['A=1', 'B="one two"', 'C=a b']"#, &[("A", "1"), ("B", "one two"), ("C", "a b")]);
        check("'ParameterKey=A,ParameterValue=1 ParameterKey=B,ParameterValue=\"x y\"'", &[("A", "1"), ("B", "x y")]);
        check("''", &[]);
    }

    #[test]
    fn deploy_comes_before_global_and_environments_are_separate() {
        let text = "
            version = 0.1
            [default.global.parameters]
            parameter_overrides = 'A=global'
            [test.global.parameters]
            parameter_overrides = 'A=global'
            [test.deploy.parameters]
            parameter_overrides = 'A=test'";
        assert_eq!(read(text, None).unwrap()["A"], "global");
        assert_eq!(read(text, Some("test")).unwrap()["A"], "test");
        let missing = read(text, Some("prod")).unwrap_err();
        assert_eq!(missing.to_string(), "there is no environment `prod`");
    }

    #[test]
    fn a_malformed_override_is_named() {
        let error = |overrides: &str| {
            let text = format!("[default.deploy.parameters]\nparameter_overrides = {overrides}");
            read(&text, None).unwrap_err().to_string()
        };
        assert_eq!(error("'A'"), "`A` is not NAME=VALUE");
        assert_eq!(error("'=1'"), "`=1` is not NAME=VALUE");
        assert_eq!(error("'A=\"1'"), "a quote in parameter_overrides is not closed");
        assert_eq!(error("[1]"), "each item of parameter_overrides must be text");
        assert_eq!(error("1"), "parameter_overrides must be text or a list of texts");
    }

    #[test]
    fn a_project_without_the_file_has_no_overrides() {
        let directory = tempfile::tempdir().unwrap();
        let template = directory.path().join("template.yaml");
        assert!(parameter_overrides(&template, None).unwrap().is_empty());
        assert!(parameter_overrides(&template, Some("test")).is_err());
    }
}
