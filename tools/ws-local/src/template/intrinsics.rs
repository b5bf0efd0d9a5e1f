//! Evaluates the intrinsic functions of CloudFormation.

use std::rc::Rc;

use super::{
    error::{Fault, Problem},
    node::{Node, Value},
    place::Place,
};

/// The value of the function `name` at `place`. `None` if it is `AWS::NoValue`.
pub(super) fn evaluate<'s>(place: &Place<'s>, name: &str, argument: &Rc<Node>) -> Result<Option<Place<'s>>, Fault> {
    let text = |text: String| Ok(Some(place.with(Value::Text(text))));
    match name {
        "Ref" => {
            let Value::Text(target) = &argument.value else {
                return Err(arguments(place, name, "a name"));
            };
            Ok(place.scope.reference(target, place)?.map(|value| place.with(value)))
        }
        "Fn::GetAtt" => text(attribute(place, argument)?),
        "Fn::Sub" => text(substitute(place, argument)?),
        "Fn::Join" => text(join(place, argument)?),
        "Fn::If" => {
            let [condition, yes, no] = list(argument) else {
                return Err(arguments(place, name, "a condition and two values"));
            };
            let Value::Text(condition) = &condition.value else {
                return Err(arguments(place, name, "the name of a condition first"));
            };
            let chosen = if place.scope.condition(condition, place)? { yes } else { no };
            Place::at(place.scope, place.path.clone(), chosen)
        }
        "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" | "Condition" => {
            Err(place.fault(Problem::Expected("a value; declare conditions under Conditions and use them with !If")))
        }
        _ => Err(place.fault(Problem::UnknownFunction(name.to_owned()))),
    }
}

/// Evaluates the condition at `place`.
pub(super) fn condition(place: &Place<'_>) -> Result<bool, Fault> {
    let (name, argument) = match &place.node.value {
        Value::Call(name, argument) => (name.as_str(), argument),
        // The long form `{Condition: NAME}`. Elsewhere, `Condition` is a property of a resource.
        Value::Map(entries) if matches!(&entries[..], [(key, _)] if key == "Condition") => ("Condition", &entries[0].1),
        _ => {
            return Err(place.fault(Problem::Expected("a condition: Equals, Not, And, Or or Condition")));
        }
    };
    let operand = |index: usize, node: &Rc<Node>| {
        let path = format!("{}.{name}[{index}]", place.path);
        Place { node: Rc::clone(node), path, scope: place.scope }
    };
    let mut all = list(argument).iter().enumerate().map(|(index, node)| condition(&operand(index, node)));
    match name {
        "Condition" => match &argument.value {
            Value::Text(name) => place.scope.condition(name, place),
            _ => Err(arguments(place, name, "the name of a condition")),
        },
        "Fn::Equals" => {
            let [left, right] = list(argument) else {
                return Err(arguments(place, name, "two values"));
            };
            Ok(comparable(&operand(0, left))? == comparable(&operand(1, right))?)
        }
        "Fn::Not" => match (all.next(), all.next()) {
            (Some(condition), None) => Ok(!condition?),
            _ => Err(arguments(place, name, "a list with one condition")),
        },
        // Evaluates every operand, so that an error in any of them is reported whatever the
        // parameter values are.
        "Fn::And" | "Fn::Or" => match all.collect::<Result<Vec<_>, _>>()? {
            values if !(2..=10).contains(&values.len()) => Err(arguments(place, name, "2 to 10 conditions")),
            values if name == "Fn::And" => Ok(!values.contains(&false)),
            values => Ok(values.contains(&true)),
        },
        _ => Err(place.fault(Problem::UnknownFunction(name.to_owned()))),
    }
}

fn comparable(place: &Place<'_>) -> Result<serde_json::Value, Fault> {
    let value = Place::at(place.scope, place.path.clone(), &place.node)?;
    value.ok_or_else(|| place.fault(Problem::Expected("a value, not AWS::NoValue")))?.json()
}

fn attribute(place: &Place<'_>, argument: &Rc<Node>) -> Result<String, Fault> {
    let parts = match &argument.value {
        Value::Text(path) => path.split_once('.').map(|(resource, name)| (resource.to_owned(), name.to_owned())),
        Value::List(_) => {
            let path = format!("{}.Fn::GetAtt", place.path);
            let parts = Place { node: Rc::clone(argument), path, scope: place.scope }.items()?;
            match &parts[..] {
                [resource, name] => Some((resource.text()?, name.text()?)),
                _ => None,
            }
        }
        _ => None,
    };
    let (resource, name) = parts.ok_or_else(|| arguments(place, "Fn::GetAtt", "a resource and an attribute"))?;
    place.scope.attribute(&resource, &name, place)
}

fn join(place: &Place<'_>, argument: &Rc<Node>) -> Result<String, Fault> {
    let [separator, parts] = list(argument) else {
        return Err(arguments(place, "Fn::Join", "a separator and a list"));
    };
    let Value::Text(separator) = &separator.value else {
        return Err(arguments(place, "Fn::Join", "a separator of plain text first"));
    };
    let Some(parts) = Place::at(place.scope, format!("{}.Fn::Join[1]", place.path), parts)? else {
        return Ok(String::new());
    };
    let parts: Vec<_> = parts.items()?.iter().map(Place::text).collect::<Result<_, _>>()?;
    Ok(parts.join(separator))
}

/// `Fn::Sub`: `${Name}`, `${Resource.Attribute}` and `${!Literal}`. The long form also defines its
/// own variables.
fn substitute(place: &Place<'_>, argument: &Rc<Node>) -> Result<String, Fault> {
    let (template, own) = match (&argument.value, list(argument)) {
        (Value::Text(template), _) => (template, None),
        (_, [template, own]) => {
            let Value::Text(template) = &template.value else {
                return Err(arguments(place, "Fn::Sub", "a text first"));
            };
            (template, Place::at(place.scope, format!("{}.Fn::Sub[1]", place.path), own)?)
        }
        _ => {
            return Err(arguments(place, "Fn::Sub", "a text, or a list of a text and a map"));
        }
    };
    let mut result = String::new();
    let mut rest = template.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(arguments(place, "Fn::Sub", "a } for every ${"));
        };
        result.push_str(before);
        rest = after;
        if let Some(literal) = name.strip_prefix('!') {
            result.push_str(&format!("${{{literal}}}"));
            continue;
        }
        result.push_str(&variable(place, name, own.as_ref())?);
    }
    Ok(result + rest)
}

fn variable(place: &Place<'_>, name: &str, own: Option<&Place<'_>>) -> Result<String, Fault> {
    if let Some(value) = own.map(|own| own.get(name)).transpose()?.flatten() {
        return value.text();
    }
    match name.split_once('.') {
        // SAM's `Api.Stage` is a reference, not an attribute.
        Some((resource, attribute)) if attribute != "Stage" => place.scope.attribute(resource, attribute, place),
        _ => match place.scope.reference(name, place)? {
            Some(value) => place.with(value).text(),
            None => Err(place.fault(Problem::Expected("made of values other than AWS::NoValue"))),
        },
    }
}

fn list(argument: &Node) -> &[Rc<Node>] {
    match &argument.value {
        Value::List(items) => items,
        // Return an empty list for a single value: functions that take a list refuse an empty list.
        _ => &[],
    }
}

fn arguments(place: &Place<'_>, function: &str, needs: &'static str) -> Fault {
    place.fault(Problem::Arguments { function: function.to_owned(), needs })
}
