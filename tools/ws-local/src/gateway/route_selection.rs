//! `RouteSelection`: the route key of a message.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Value, value::RawValue};

/// A `RouteSelectionExpression` over the message's body: `$request.body.action`, or a longer path.
#[derive(Debug)]
pub(super) struct RouteSelection {
    path: Vec<String>,
}

impl RouteSelection {
    /// `None` for an expression that a WebSocket API refuses or that is not supported here.
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

    /// The route key in this message: `""` if there is none or the message isn't JSON.
    ///
    /// Only the path to the key is parsed. The rest of the message must be valid JSON syntax but
    /// may contain any values.
    pub(super) fn route_key(&self, message: &str) -> String {
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
        assert_eq!(RouteSelection::parse(expression).unwrap().route_key(message), key);
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
    fn a_value_that_is_not_a_string_becomes_its_json() {
        check("$request.body.action", r#"{"action":7}"#, "7");
        check("$request.body.action", r#"{"action":true}"#, "true");
        check("$request.body.action", r#"{"action":{"a":1}}"#, r#"{"a":1}"#);
    }

    proptest! {
        #![proptest_config(support::strategies::cases(2_000))]

        /// The result must equal the result of a JSON parser that reads the whole message. If that
        /// parser fails, any result is allowed, but no panic.
        #[test]
        fn every_message_selects_a_route(
            message in support::strategies::mutated(vec![
                r#"{"action":"send","ref":"1","content":"\u00e9"}"#.to_owned(),
                r#"{"content":{"action":"x"},"action":[1,{"a":null}]}"#.to_owned(),
            ]),
        ) {
            let key = RouteSelection::parse("$request.body.action").unwrap().route_key(&message);
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
    fn an_expression_of_another_kind_is_refused() {
        for expression in [
            "",
            "$request.header.action",
            "request.body.action",
            "$request.body.",
            "$request.body.a..b",
            "${request.body.a",
            "$request.body.a $request.body.b",
        ] {
            assert!(RouteSelection::parse(expression).is_none(), "{expression}");
        }
    }
}
