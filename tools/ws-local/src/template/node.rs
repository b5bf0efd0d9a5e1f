//! `Node`: a parsed template, made of text, lists, maps and calls of intrinsic functions, each with its line.

use std::{collections::HashMap, rc::Rc};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::error::{Fault, Problem};

/// Maximum nesting of lists and maps. The limit prevents a stack overflow in the parser.
const MAX_DEPTH: usize = 100;

/// One unevaluated value of a template.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// Scalars keep their spelling, so that `0123` and `1.10` reach a variable unchanged.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Rc<Node>>),
    Map(Vec<(String, Rc<Node>)>),
    /// A call of an intrinsic function, by its long name (`Fn::Sub`, `Ref`, `Condition`), whichever
    /// form the template uses.
    Call(String, Rc<Node>),
}

/// Parses the one YAML document of a template.
pub(super) fn parse(source: &str) -> Result<Rc<Node>, Fault> {
    let mut reader = Reader { events: Parser::new_from_str(source), anchors: HashMap::new() };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (Event::StreamEnd, span) => {
                return Err(fault(&span, Problem::Expected("a template, not an empty file")));
            }
            event => return reader.node(event, 0),
        }
    }
}

struct Reader<'s> {
    events: Parser<'s, StrInput<'s>>,
    anchors: HashMap<usize, Rc<Node>>,
}

impl<'s> Reader<'s> {
    fn next(&mut self) -> Result<(Event<'s>, Span), Fault> {
        match self.events.next_event() {
            Some(event) => event.map_err(|error| syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// Reads the node that begins with `event`.
    fn node(&mut self, (event, span): (Event<'s>, Span), depth: usize) -> Result<Rc<Node>, Fault> {
        if depth > MAX_DEPTH {
            return Err(fault(&span, Problem::Expected("nested less deeply")));
        }
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null");
                let value = if null { Value::Null } else { Value::Text(text.into_owned()) };
                (value, anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => (self.list(depth)?, anchor, tag),
            Event::MappingStart(anchor, tag) => (self.map(depth)?, anchor, tag),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                return known.ok_or_else(|| fault(&span, Problem::Expected("an alias of an earlier anchor")));
            }
            _ => return Err(fault(&span, Problem::Expected("a value"))),
        };
        let line = span.start.line();
        let node = Rc::new(with_call(Node { line, value }, tag.as_deref()));
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut entries: Vec<(String, Rc<Node>)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(key, _, _, None) => key.into_owned(),
                _ => return Err(fault(&span, Problem::Expected("a key of plain text"))),
            };
            if entries.iter().any(|(name, _)| *name == key) {
                return Err(fault(&span, Problem::DuplicateKey(key)));
            }
            let value = self.next()?;
            entries.push((key, self.node(value, depth + 1)?));
        }
    }
}

/// Turns `!Name value` and `{"Fn::Name": value}` into a call.
fn with_call(node: Node, tag: Option<&Tag>) -> Node {
    let line = node.line;
    if let Some(tag) = tag.filter(|tag| tag.handle == "!") {
        let name = match tag.suffix.as_str() {
            short @ ("Ref" | "Condition") => short.to_owned(),
            short => format!("Fn::{short}"),
        };
        return Node { line, value: Value::Call(name, Rc::new(node)) };
    }
    match node.value {
        Value::Map(mut entries) if matches!(&entries[..], [(key, _)] if key == "Ref" || key.starts_with("Fn::")) => {
            let (name, argument) = entries.remove(0);
            Node { line, value: Value::Call(name, argument) }
        }
        value => Node { line, value },
    }
}

fn syntax(error: &ScanError) -> Fault {
    let line = error.marker().line();
    Fault { line, place: "YAML".to_owned(), problem: Problem::Syntax(error.info().to_owned()) }
}

fn fault(span: &Span, problem: Problem) -> Fault {
    Fault { line: span.start.line(), place: "YAML".to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: &str) -> Value {
        Rc::try_unwrap(parse(source).unwrap()).unwrap().value
    }

    fn fault_of(source: &str) -> String {
        parse(source).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_of_a_function_are_the_same_call() {
        for source in ["!Sub 'a'", "Fn::Sub: a", "{\"Fn::Sub\": \"a\"}"] {
            let Value::Call(name, argument) = value(source) else { panic!("{source} is no call") };
            assert_eq!((name.as_str(), &argument.value), ("Fn::Sub", &Value::Text("a".into())));
        }
        assert!(matches!(value("!Ref a"), Value::Call(name, _) if name == "Ref"));
        assert!(matches!(value("Ref: a"), Value::Call(name, _) if name == "Ref"));
        assert!(matches!(value("!If [a, b, c]"), Value::Call(name, _) if name == "Fn::If"));
    }

    #[test]
    fn scalars_stay_as_they_are_written() {
        for text in ["0123", "1.10", "true", "2010-09-09", "0x1f"] {
            assert_eq!(value(text), Value::Text(text.into()));
        }
        assert_eq!(value("''"), Value::Text(String::new()));
        assert_eq!(value("~"), Value::Null);
    }

    #[test]
    fn an_alias_is_its_anchor() {
        let Value::Map(entries) = value("a: &x [1]\nb: *x") else { panic!("no map") };
        assert_eq!(entries[0].1, entries[1].1);
    }

    #[test]
    fn faults_name_the_line() {
        assert_eq!(fault_of("a: 1\nb: 2\na: 3"), "3: YAML: the key `a` appears twice; remove one");
        assert!(fault_of("a: 1\nb: [1, 2").contains("YAML: this is not valid YAML"));
        assert!(fault_of("").contains("not an empty file"));
        assert!(fault_of(&"[".repeat(200)).contains("nested less deeply"));
    }
}
