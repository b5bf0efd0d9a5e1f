//! Which route a message asks for.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Value, value::RawValue};

/// A `RouteSelectionExpression` that looks into the message: `$request.body.action`, or deeper.
#[derive(Debug)]
pub(super) struct Selection {
    path: Vec<String>,
}

impl Selection {
    /// Reads an expression; `None` for one that a WebSocket API doesn't take or that isn't known here.
    pub(super) fn parse(expression: &str) -> Option<Self> {
        let inner = match expression.strip_prefix("${") {
            Some(braced) => braced.strip_suffix('}')?,
            None => expression.strip_prefix('$')?,
        };
        let path: Vec<String> = inner.strip_prefix("request.body.")?.split('.').map(str::to_owned).collect();
        let named =
            |name: &String| !name.is_empty() && !name.contains(|c: char| "${}[]".contains(c) || c.is_whitespace());
        path.iter().all(named).then_some(Self { path })
    }

    /// The route key that this message names: `""` when it names none or isn't JSON.
    ///
    /// Only what lies on the way to it is read: what else a message holds, however odd, is for the function to judge.
    pub(super) fn of(&self, message: &str) -> String {
        self.find(message).unwrap_or_default()
    }

    fn find(&self, message: &str) -> Option<String> {
        let mut at: &RawValue = serde_json::from_str(message).ok()?;
        for name in &self.path {
            let mut fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(at.get()).ok()?;
            at = fields.remove(name.as_str())?;
        }
        match serde_json::from_str(at.get()).ok()? {
            Value::String(key) => Some(key),
            other => Some(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(expression: &str, message: &str, key: &str) {
        assert_eq!(Selection::parse(expression).unwrap().of(message), key);
    }

    #[test]
    fn the_field_that_the_expression_names_is_the_route() {
        check("$request.body.action", r#"{"action":"send"}"#, "send");
        check("${request.body.action}", r#"{"action":"send"}"#, "send");
        check("$request.body.a.b", r#"{"a":{"b":"deep"}}"#, "deep");
    }

    #[test]
    fn oddities_elsewhere_in_the_message_change_nothing() {
        let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for odd in [r#""\ud83d""#, "1e400", nested.as_str()] {
            check("$request.body.action", &format!(r#"{{"content":{odd},"action":"send"}}"#), "send");
        }
    }

    #[test]
    fn a_missing_field_counts_as_empty() {
        for message in ["{}", "[]", "\"action\"", "7", "{\"a\":\"b\"}"] {
            check("$request.body.a.b", message, "");
        }
    }

    #[test]
    fn what_is_not_json_names_no_route() {
        check("$request.body.action", "hello", "");
        check("$request.body.action", "", "");
        check("$request.body.action", r#"{"action":"send""#, "");
    }

    #[test]
    fn a_value_that_is_not_a_string_is_made_one() {
        check("$request.body.action", r#"{"action":7}"#, "7");
        check("$request.body.action", r#"{"action":true}"#, "true");
        check("$request.body.action", r#"{"action":{"a":1}}"#, r#"{"a":1}"#);
    }

    proptest! {
        #![proptest_config(support::strategies::cases(2_000))]

        /// What a JSON reader that takes the whole message finds is found; beyond that, anything but a panic.
        #[test]
        fn whatever_a_message_is_it_names_a_route(
            message in support::strategies::mutated(vec![
                r#"{"action":"send","ref":"1","content":"\u00e9"}"#.to_owned(),
                r#"{"content":{"action":"x"},"action":[1,{"a":null}]}"#.to_owned(),
            ]),
        ) {
            let key = Selection::parse("$request.body.action").unwrap().of(&message);
            if let Ok(Value::Object(fields)) = serde_json::from_str(&message) {
                match fields.get("action") {
                    Some(Value::String(action)) => prop_assert_eq!(key, action.as_str()),
                    Some(other) => prop_assert_eq!(key, other.to_string()),
                    None => prop_assert_eq!(key, ""),
                }
            }
        }
    }

    #[test]
    fn an_expression_of_another_kind_is_not_taken() {
        for expression in [
            "",
            "$request.header.action",
            "request.body.action",
            "$request.body.",
            "$request.body.a..b",
            "${request.body.a",
            "$request.body.a $request.body.b",
        ] {
            assert!(Selection::parse(expression).is_none(), "{expression}");
        }
    }
}
