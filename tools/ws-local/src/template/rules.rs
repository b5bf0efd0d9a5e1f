//! The `Rules` of a template: combinations of parameter values that CloudFormation refuses.

use super::{
    error::{Fault, Problem},
    intrinsics,
    place::Place,
};

/// Checks the parameters against every rule. A rule with a function that this crate does not support, such as
/// `Fn::Contains`, is checked only at deployment.
pub(super) fn check(template: &Place<'_>) -> Result<(), Fault> {
    let Some(rules) = template.get("Rules")? else { return Ok(()) };
    for (_, rule) in rules.entries()? {
        match check_rule(&rule) {
            Err(Fault { problem: Problem::UnknownFunction(_), .. }) => {}
            result => result?,
        }
    }
    Ok(())
}

fn check_rule(rule: &Place<'_>) -> Result<(), Fault> {
    if !condition(rule, "RuleCondition")?.unwrap_or(true) {
        return Ok(());
    }
    for assertion in rule.need("Assertions")?.items()? {
        let holds = condition(&assertion, "Assert")?;
        if !holds.ok_or_else(|| assertion.fault(Problem::Missing("Assert")))? {
            let description = assertion.get("AssertDescription")?.map(|text| text.text()).transpose()?;
            let fault =
                assertion.fault(Problem::Rule(description.unwrap_or_else(|| "the assertion is false".to_owned())));
            return Err(Fault { place: rule.path.clone(), ..fault });
        }
    }
    Ok(())
}

/// The condition at `key`. `None` if there is none.
fn condition(place: &Place<'_>, key: &'static str) -> Result<Option<bool>, Fault> {
    let Some(node) = place.raw(key) else { return Ok(None) };
    let condition = Place { node: node.clone(), path: format!("{}.{key}", place.path), scope: place.scope };
    intrinsics::condition(&condition).map(Some)
}
