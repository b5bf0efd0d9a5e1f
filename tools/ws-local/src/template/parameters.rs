//! The `Parameters` of a template, with the values that the caller gives.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::{
    error::{Fault, Problem},
    place::Place,
    scope::{Parameter, Parameters},
};

/// Reads the parameters, and checks every value against its parameter's rules.
pub(super) fn read(template: &Place<'_>, overrides: &BTreeMap<String, String>) -> Result<Parameters, Fault> {
    let declared = match template.get("Parameters")? {
        Some(parameters) => parameters.entries()?,
        None => Vec::new(),
    };
    if let Some(name) = overrides.keys().find(|name| !declared.iter().any(|(known, _)| known == *name)) {
        let known: Vec<_> = declared.iter().map(|(name, _)| name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let fault = template.fault(Problem::UnknownParameter { name: name.clone(), known });
        return Err(Fault { place: "Parameters".to_owned(), ..fault });
    }
    let parameter = |(name, place): (String, Place<'_>)| {
        let value = parameter(&place, overrides.get(&name))?;
        Ok((name, value))
    };
    declared.into_iter().map(parameter).collect()
}

fn parameter(place: &Place<'_>, given: Option<&String>) -> Result<Parameter, Fault> {
    let kind = place.need("Type")?.text()?;
    let default = place.get("Default")?.map(|default| default.text()).transpose()?;
    let value = match (given, default) {
        (Some(given), _) => given.clone(),
        (None, Some(_)) if kind.starts_with("AWS::SSM::") => return Ok(Parameter::Stored),
        (None, Some(default)) => default,
        (None, None) => return Ok(Parameter::NoValue),
    };
    if kind == "CommaDelimitedList" || kind.contains("List<") {
        let values: Vec<_> = value.split(',').map(|value| value.trim().to_owned()).collect();
        values.iter().try_for_each(|value| check(place, value, kind == "List<Number>"))?;
        return Ok(Parameter::List(values));
    }
    check(place, &value, kind == "Number")?;
    Ok(Parameter::Text(value))
}

/// Checks a value against CloudFormation's rules: `AllowedValues`, `AllowedPattern`, and the limits
/// on length and value.
fn check(place: &Place<'_>, value: &str, is_number: bool) -> Result<(), Fault> {
    let limit = |name: &str| {
        let limit = place.get(name)?.map(|limit| Ok((limit.text()?, limit)));
        let parse = |(text, limit): (String, Place<'_>)| {
            text.parse::<f64>().map_err(|_| limit.fault(Problem::Expected("a number")))
        };
        limit.transpose()?.map(parse).transpose()
    };
    let broken = |rule: String| {
        let described = place.get("ConstraintDescription")?.map(|rule| rule.text()).transpose()?;
        let rule = described.unwrap_or(rule);
        Err(place.fault(Problem::Refused { value: value.to_owned(), rule }))
    };
    if let Some(allowed) = place.get("AllowedValues")? {
        let allowed: Vec<_> = allowed.items()?.iter().map(Place::text).collect::<Result<_, _>>()?;
        if !allowed.iter().any(|allowed| allowed == value) {
            return broken(format!("it must be one of {}", allowed.join(", ")));
        }
    }
    if let Some(pattern) = place.get("AllowedPattern")? {
        let pattern = pattern.text()?;
        // CloudFormation uses Java's pattern syntax. A pattern that Rust can't parse is checked
        // only at deployment.
        let matches = Regex::new(&format!("^(?:{pattern})$")).map(|regex| regex.is_match(value));
        if matches == Ok(false) {
            return broken(format!("it must match {pattern}"));
        }
    }
    let length = value.chars().count() as f64;
    if let Some(range) = missed_range(length, limit("MinLength")?, limit("MaxLength")?) {
        return broken(format!("its length must be {range}"));
    }
    if is_number {
        let Ok(number) = value.parse::<f64>() else {
            return broken("it must be a number".to_owned());
        };
        if let Some(range) = missed_range(number, limit("MinValue")?, limit("MaxValue")?) {
            return broken(format!("it must be {range}"));
        }
    }
    Ok(())
}

/// The range in words, if `number` is outside.
fn missed_range(number: f64, least: Option<f64>, most: Option<f64>) -> Option<String> {
    let is_outside = least.is_some_and(|limit| number < limit) || most.is_some_and(|limit| number > limit);
    is_outside.then(|| match (least, most) {
        (Some(least), Some(most)) => format!("from {least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, most) => format!("at most {}", most.unwrap_or_default()),
    })
}
