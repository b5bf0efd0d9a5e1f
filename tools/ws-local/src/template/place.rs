//! `Place`: a value of a template and its path, so that every error can name its place. Functions
//! are evaluated only when their value is read.

use std::{ops::RangeInclusive, rc::Rc};

use super::{
    error::{Fault, Problem},
    intrinsics,
    node::{Node, Value},
    scope::Scope,
};

/// A value that is not a function, or a function's value.
#[derive(Clone)]
pub(super) struct Place<'s> {
    pub(super) scope: &'s Scope,
    pub(super) node: Rc<Node>,
    pub(super) path: String,
}

impl<'s> Place<'s> {
    /// Evaluates `node`. `None` if it is `AWS::NoValue`.
    pub(super) fn at(scope: &'s Scope, path: String, node: &Rc<Node>) -> Result<Option<Self>, Fault> {
        let place = Self { scope, node: Rc::clone(node), path };
        match &node.value {
            Value::Call(name, argument) => scope.nested(&place, || intrinsics::evaluate(&place, name, argument)),
            _ => Ok(Some(place)),
        }
    }

    /// An error at this place.
    pub(super) fn fault(&self, problem: Problem) -> Fault {
        Fault { line: self.node.line, place: self.path.clone(), problem }
    }

    /// The same place with another value, such as a function's result.
    pub(super) fn with(&self, value: Value) -> Self {
        Self { node: Rc::new(Node { line: self.node.line, value }), ..self.clone() }
    }

    /// Whether the map has the key, even if its value is `AWS::NoValue`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    /// The value of `key`. `None` if it is absent or `AWS::NoValue`.
    pub(super) fn get(&self, key: &str) -> Result<Option<Self>, Fault> {
        self.map()?;
        match self.raw(key) {
            Some(node) => Self::at(self.scope, self.below(key), node),
            None => Ok(None),
        }
    }

    /// The value of `key`, or an error if it is absent.
    pub(super) fn need(&self, key: &'static str) -> Result<Self, Fault> {
        self.get(key)?.ok_or_else(|| self.fault(Problem::Missing(key)))
    }

    /// The entries of a map in the template's order, except those that are `AWS::NoValue`.
    pub(super) fn entries(&self) -> Result<Vec<(String, Self)>, Fault> {
        let mut entries = Vec::new();
        for (key, node) in self.map()? {
            if key.starts_with("Fn::") {
                return Err(self.fault(Problem::UnknownFunction(key.clone())));
            }
            if let Some(place) = Self::at(self.scope, self.below(key), node)? {
                entries.push((key.clone(), place));
            }
        }
        Ok(entries)
    }

    /// The items of a list, except those that are `AWS::NoValue`.
    pub(super) fn items(&self) -> Result<Vec<Self>, Fault> {
        let Value::List(nodes) = &self.node.value else {
            return Err(self.fault(Problem::Expected("a list")));
        };
        let places = nodes.iter().enumerate();
        places
            .filter_map(|(index, node)| Self::at(self.scope, format!("{}[{index}]", self.path), node).transpose())
            .collect()
    }

    /// A string, or a number or boolean in the template's spelling.
    pub(super) fn text(&self) -> Result<String, Fault> {
        match &self.node.value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.fault(Problem::Expected("text"))),
        }
    }

    /// A whole number in `range`, which `needs` describes for the error.
    pub(super) fn number(&self, range: RangeInclusive<u32>, needs: &'static str) -> Result<u32, Fault> {
        let number = self.text()?.parse().ok();
        number.filter(|number| range.contains(number)).ok_or_else(|| self.fault(Problem::Expected(needs)))
    }

    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.fault(Problem::Expected("true or false"))),
        }
    }

    /// The value as JSON with all functions evaluated. All scalars are strings, as in requests of an AWS API.
    pub(super) fn json(&self) -> Result<serde_json::Value, Fault> {
        match &self.node.value {
            Value::Map(_) => {
                let entries = self.entries()?.into_iter();
                let values = entries.map(|(key, place)| Ok((key, place.json()?)));
                Ok(serde_json::Value::Object(values.collect::<Result<_, Fault>>()?))
            }
            Value::List(_) => self.items()?.iter().map(Self::json).collect(),
            _ => self.text().map(serde_json::Value::String),
        }
    }

    fn map(&self) -> Result<&[(String, Rc<Node>)], Fault> {
        match &self.node.value {
            Value::Map(entries) => Ok(entries),
            _ => Err(self.fault(Problem::Expected("a map of names and values"))),
        }
    }

    /// The value of `key`, not evaluated.
    pub(super) fn raw(&self, key: &str) -> Option<&Rc<Node>> {
        let Value::Map(entries) = &self.node.value else {
            return None;
        };
        entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
