//! `Policy`: the IAM policy that an authorizer returns, evaluated for one `$connect`.

use serde::Deserialize;
use serde_json::Value;

/// The action that a connection request performs.
const INVOKE: &str = "execute-api:Invoke";

/// The part of IAM's policy language that authorizers use. A policy with `Condition`, `NotResource` or other elements
/// doesn't parse, because ignoring them would give wrong decisions.
#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    #[serde(rename = "Statement")]
    statements: OneOrMany<Statement>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(default, rename = "Sid")]
    _id: Option<Value>,
    effect: Effect,
    action: OneOrMany<String>,
    resource: OneOrMany<String>,
    #[serde(default, rename = "Condition")]
    _condition: Option<Unsupported>,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

/// A type without values, so that the element parses only if it is absent or `null`.
#[derive(Debug, Deserialize)]
enum Unsupported {}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Policy {
    /// Whether a statement allows invoking this method and no statement denies it.
    pub(super) fn allows(&self, method_arn: &str) -> bool {
        let applies = |statement: &&Statement| {
            let actions = statement.action.as_slice();
            let resources = statement.resource.as_slice();
            actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &INVOKE.to_ascii_lowercase()))
                && resources.iter().any(|pattern| matches(pattern, method_arn))
        };
        let (mut allowed, mut denied) = (false, false);
        for statement in self.statements.as_slice().iter().filter(applies) {
            allowed |= statement.effect == Effect::Allow;
            denied |= statement.effect == Effect::Deny;
        }
        allowed && !denied
    }
}

/// IAM's wildcards: `*` matches any characters, including `/` and `:`; `?` matches one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Position of the last star and the text that it matches so far. If the rest does not match,
    // the star matches one more character.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CONNECT: &str = "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/prod/$connect";

    fn statement(effect: &str, resource: &str) -> Value {
        json!({"Effect": effect, "Action": INVOKE, "Resource": resource})
    }

    fn allows(statements: Value) -> bool {
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        serde_json::from_value::<Policy>(policy).unwrap().allows(CONNECT)
    }

    #[test]
    fn a_policy_allows_what_its_resource_covers() {
        for resource in [
            CONNECT,
            "*",
            "arn:aws:execute-api:*:*:*/prod/$connect",
            "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/*",
            "arn:aws:execute-api:eu-west-1:123456789012:abcdef123?/prod/?connect",
        ] {
            assert!(allows(json!([statement("Allow", resource)])), "{resource}");
            assert!(allows(statement("Allow", resource)), "{resource}, not in a list");
        }
    }

    #[test]
    fn a_rest_style_resource_does_not_cover_connect() {
        let of_rest = "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/prod/*/*";
        assert!(!allows(json!([statement("Allow", of_rest)])));
    }

    #[test]
    fn a_resource_elsewhere_does_not_cover_it() {
        for resource in ["", "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/dev/$connect", "prod"] {
            assert!(!allows(json!([statement("Allow", resource)])), "{resource}");
        }
    }

    #[test]
    fn an_explicit_deny_wins_in_any_order() {
        let (allow, deny) = (statement("Allow", "*"), statement("Deny", CONNECT));
        assert!(!allows(json!([allow, deny])));
        assert!(!allows(json!([deny, allow])));
        assert!(!allows(json!([])));
        assert!(allows(json!([allow, statement("Deny", "arn:elsewhere")])));
    }

    #[test]
    fn only_the_action_of_invoking_counts() {
        let with = |action: Value| json!({"Effect": "Allow", "Action": action, "Resource": "*"});
        assert!(allows(with(json!(["s3:GetObject", "execute-api:*"]))));
        assert!(allows(with(json!("EXECUTE-API:invoke"))));
        assert!(!allows(with(json!("execute-api:ManageConnections"))));
    }

    #[test]
    fn elements_that_are_not_supported_do_not_parse() {
        for (key, value) in [("Condition", json!({"Bool": {}})), ("NotResource", json!("*"))] {
            let mut odd = statement("Deny", "*");
            odd[key] = value;
            let parsed = serde_json::from_value::<Policy>(json!({"Statement": [odd]}));
            assert!(parsed.is_err(), "{key}");
        }
        let mut none = statement("Allow", "*");
        none["Condition"] = Value::Null;
        assert!(allows(json!([none])));
    }
}
