//! The template's secrets, in place of AWS Secrets Manager: each is made once and stored in the data folder.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use uuid::Uuid;

use crate::{
    dynamodb::Storage,
    private_file,
    template::{Secret, SecretValue, Stack},
};

/// How a value refers to a secret:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-secretsmanager.html>.
const REFERENCE: &str = "{{resolve:secretsmanager:";

/// Replaces the references to secrets in the functions' variables, as CloudFormation does.
///
/// # Errors
/// If a value can't be stored, or a reference names no secret of the template.
pub(crate) fn resolve(stack: &mut Stack, storage: &Storage) -> anyhow::Result<()> {
    let values: BTreeMap<_, _> = stack
        .secrets
        .iter()
        .map(|secret| Ok((secret.name.clone(), value(secret, storage)?)))
        .collect::<anyhow::Result<_>>()?;
    for (function, properties) in &mut stack.functions {
        for (name, text) in &mut properties.environment {
            *text = substitute(text, &values).with_context(|| format!("the variable {name} of {function}"))?;
        }
    }
    Ok(())
}

fn value(secret: &Secret, storage: &Storage) -> anyhow::Result<String> {
    let length = match &secret.value {
        SecretValue::Text(text) => return Ok(text.clone()),
        SecretValue::Generated { length } => *length,
    };
    match storage {
        Storage::Memory => Ok(generate(length)),
        Storage::Directory(folder) => {
            let name = format!("{}.secret", secret.id);
            let (content, _) = private_file::read_or_make(folder, &name, || Ok(generate(length).into_bytes()))?;
            String::from_utf8(content).with_context(|| format!("{name} is not a secret; delete it to get a new one"))
        }
    }
}

/// Hexadecimal digits, which no exclusion of characters affects that leaves letters and digits.
fn generate(length: usize) -> String {
    let mut digits = String::new();
    while digits.len() < length {
        digits.push_str(&Uuid::new_v4().simple().to_string());
    }
    digits.truncate(length);
    digits
}

fn substitute(text: &str, values: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, reference)) = rest.split_once(REFERENCE) {
        let Some((reference, after)) = reference.split_once("}}") else { bail!("needs }}}} for every {{{{") };
        // The whole text of the secret; keys of a JSON text are not supported.
        let name = reference.trim_end_matches(':').trim_end_matches(":SecretString");
        let Some(value) = values.get(name) else {
            bail!("refers to {name}, which is not an AWS::SecretsManager::Secret of the template; declare it there")
        };
        result.extend([before, value]);
        rest = after;
    }
    Ok(result + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(length: usize) -> Secret {
        Secret { id: "Key".to_owned(), name: "app/key".to_owned(), value: SecretValue::Generated { length } }
    }

    #[test]
    fn a_secret_is_made_once_and_has_the_template_s_length() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::Directory(folder.path().join("new"));
        let made = value(&secret(70), &storage).unwrap();
        assert_eq!(made.len(), 70);
        assert_eq!(value(&secret(70), &storage).unwrap(), made);
        assert_ne!(value(&secret(70), &Storage::Memory).unwrap(), made);
    }

    #[test]
    fn each_reference_is_replaced_and_one_to_no_secret_is_refused() {
        let values = BTreeMap::from([("key".to_owned(), "value".to_owned())]);
        for (text, expected) in [
            ("plain {{resolve:ssm:other}}", "plain {{resolve:ssm:other}}"),
            ("{{resolve:secretsmanager:key}}", "value"),
            ("{{resolve:secretsmanager:key:SecretString}}", "value"),
            ("{{resolve:secretsmanager:key:SecretString::}}", "value"),
            ("a{{resolve:secretsmanager:key}}b{{resolve:secretsmanager:key}}c", "avaluebvaluec"),
        ] {
            assert_eq!(substitute(text, &values).unwrap(), expected, "{text}");
        }
        for (text, problem) in [
            ("{{resolve:secretsmanager:other}}", "refers to other, which is not an AWS::SecretsManager::Secret"),
            ("{{resolve:secretsmanager:key:SecretString:part}}", "refers to key:SecretString:part"),
            ("{{resolve:secretsmanager:key", "needs }} for every {{"),
        ] {
            let error = substitute(text, &values).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
