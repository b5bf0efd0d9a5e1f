//! `Stack`: the resources of a SAM template that run on one machine, with every parameter, condition and intrinsic
//! function resolved.
//!
//! `node` parses YAML. `place` and `scope` evaluate it on demand with `intrinsics`, and
//! `parameters`, `rules`, `resources` and `api` read the result. `place`, `intrinsics` and `scope` import
//! each other, because the language is recursive: a value may be a function with values as
//! arguments, and a reference leads to another value in the template.

mod api;
mod error;
mod generated;
mod intrinsics;
mod node;
mod parameters;
mod place;
mod resources;
mod rules;
mod scope;
mod stack;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fs, path::Path};

pub use error::{Fault, Problem, TemplateError};
pub use stack::{Api, Authorizer, Function, Route, Secret, SecretValue, Stack, Table};

use place::Place;
use resources::Resource;
use scope::Scope;

/// Reads the template at `path` with these parameter values. Only resources that run on this
/// machine are evaluated, so policies, alarms, outputs and other resources may use any function.
pub fn load(path: &Path, overrides: &BTreeMap<String, String>) -> Result<Stack, TemplateError> {
    let source =
        fs::read_to_string(path).map_err(|source| TemplateError::Unreadable { path: path.to_owned(), source })?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    parse(&source, directory, overrides)
        .map_err(|fault| TemplateError::Invalid { path: path.to_owned(), fault: Box::new(fault) })
}

fn parse(source: &str, directory: &Path, overrides: &BTreeMap<String, String>) -> Result<Stack, Fault> {
    let scope = Scope::without_parameters(node::parse(source)?);
    let parameters = parameters::read(&scope.template(), overrides)?;
    let scope = scope.with_parameters(parameters);
    rules::check(&scope.template())?;
    let resources = Resource::all(&scope.template())?;
    let of_kind = |kind| resources.iter().filter(move |resource| resource.kind == kind);

    let mut functions = BTreeMap::new();
    for resource in of_kind("AWS::Serverless::Function") {
        if let Some(function) = resource.function(directory)? {
            functions.insert(resource.id.clone(), function);
        }
    }
    let apis: Vec<_> = of_kind("AWS::Serverless::WebSocketApi").collect();
    let [api] = apis[..] else {
        let resources = scope.template().need("Resources")?;
        return Err(resources.fault(Problem::Apis(apis.len())));
    };
    let api = api::read(api, &resources, |arn: &Place<'_>| function_of(arn, &resources, &functions))?;

    let (mut tables, mut secrets) = (Vec::new(), Vec::new());
    for resource in &resources {
        match resource.kind.as_str() {
            "AWS::DynamoDB::Table" => tables.push(resource.table()?),
            "AWS::Serverless::SimpleTable" => tables.push(resource.simple_table()?),
            "AWS::SecretsManager::Secret" => secrets.push(resource.secret()?),
            _ => {}
        }
    }
    let (region, account_id) = (scope::REGION.to_owned(), scope::ACCOUNT_ID.to_owned());
    Ok(Stack { region, account_id, api, functions, tables, secrets })
}

/// Logical id of the function with this ARN. Fails if the function can't run on this machine.
fn function_of(
    arn: &Place<'_>,
    resources: &[Resource<'_>],
    functions: &BTreeMap<String, Function>,
) -> Result<String, Fault> {
    let wanted = arn.text()?;
    for resource in resources.iter().filter(|resource| resource.kind == "AWS::Serverless::Function") {
        if arn.scope.attribute(&resource.id, "Arn", arn)? == wanted {
            let runs = functions.contains_key(&resource.id);
            return if runs { Ok(resource.id.clone()) } else { Err(arn.fault(Problem::NotRust(resource.id.clone()))) };
        }
    }
    Err(arn.fault(Problem::NoFunction(wanted)))
}
