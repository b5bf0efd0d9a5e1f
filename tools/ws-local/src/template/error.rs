//! What can be wrong with a template: every message names the place and what to change there.

use std::{io, path::PathBuf};

/// Why a template can't be run on this machine.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file is not there, or is not UTF-8.
    #[error("the template {} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Something in it is not as AWS SAM, or this crate, needs it.
    #[error("{}:{fault}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What it is, and where.
        fault: Box<Fault>,
    },
}

/// One problem and its place in the template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {place}: {problem}")]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// The path of keys, such as `Resources.Orders.Properties.TableName`.
    pub place: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not YAML at all.
    #[error("this is not valid YAML: {0}")]
    Syntax(String),
    /// YAML would let the last one win.
    #[error("the key `{0}` is there twice; remove one")]
    DuplicateKey(String),
    /// Another kind of value is needed.
    #[error("this must be {0}")]
    Expected(&'static str),
    /// A property without which the resource can't be.
    #[error("`{0}` is missing; add it")]
    Missing(&'static str),
    /// An intrinsic function outside the supported ones.
    #[error(
        "the function `{0}` is not understood here; use Ref, Sub, GetAtt, If, Equals, Not, And, Or, Join or Condition"
    )]
    UnknownFunction(String),
    /// An intrinsic function with the wrong arguments.
    #[error("`{function}` needs {needs}")]
    Arguments {
        /// Its long name.
        function: String,
        /// What it takes.
        needs: &'static str,
    },
    /// A name that nothing in the template has.
    #[error("`{0}` is no parameter, resource or pseudo parameter of this template; correct the name or declare it")]
    UnknownReference(String),
    /// An attribute that the resource does not have, or that has no counterpart on this machine.
    #[error("`{attribute}` of `{resource}` has no value on this machine; remove it, or make it depend on a parameter")]
    UnknownAttribute {
        /// Logical id.
        resource: String,
        /// What was asked of it.
        attribute: String,
    },
    /// `If`, `Condition` or a resource names a condition that is not under `Conditions`.
    #[error("there is no condition `{0}`; declare it under Conditions")]
    UnknownCondition(String),
    /// A reference to a resource whose condition is false.
    #[error("`{0}` is not created, because its condition is false; refer to it under the same condition")]
    AbsentResource(String),
    /// Names that lead back to themselves.
    #[error("this refers to itself")]
    Cycle,
    /// A parameter without a value is used.
    #[error("the parameter `{0}` has no default; give it with --parameter {0}=VALUE")]
    NoValue(String),
    /// A parameter that AWS reads from the Parameter Store.
    #[error("the parameter `{0}` is read from AWS Systems Manager; give its value with --parameter {0}=VALUE")]
    Stored(String),
    /// A parameter's value breaks its own rules.
    #[error("the value {value:?} is refused: {rule}")]
    Refused {
        /// The default or the override.
        value: String,
        /// The rule it breaks, or the `ConstraintDescription`.
        rule: String,
    },
    /// `--parameter` or `samconfig.toml` names a parameter that is not there.
    #[error("a value is given for `{name}`, which is no parameter of this template; it has {known}")]
    UnknownParameter {
        /// As given.
        name: String,
        /// What there is.
        known: String,
    },
    /// None, or more than one.
    #[error("exactly one AWS::Serverless::WebSocketApi is needed, and there are {0}")]
    Apis(usize),
    /// A target that is the ARN of no function here.
    #[error("`{0}` is the ARN of no function of this template; write !GetAtt FUNCTION.Arn")]
    NoFunction(String),
    /// A route needs a function that can't be run here.
    #[error("`{0}` can't be run here: its Metadata needs `BuildMethod: rust-cargolambda`")]
    NotRust(String),
    /// Neither a special route nor letters and digits.
    #[error("the route key `{0}` must be letters and digits, or $connect, $disconnect or $default")]
    RouteKey(String),
    /// Two routes whose generated logical ids are the same.
    #[error("the route key `{0}` differs from another one only in upper and lower case, which SAM can't tell apart")]
    RouteKeyTwice(String),
    /// A misspelt property of a route would be ignored without a word.
    #[error("a route has no property `{0}`; correct or remove it")]
    RouteProperty(String),
    /// SAM has taken other spellings for "no authorizer", and opened the API.
    #[error("the AuthType {0:?} must be CUSTOM or NONE, in capitals")]
    AuthType(String),
    /// An authorizer runs on `$connect` and nowhere else.
    #[error("an authorizer needs a $connect route; add one")]
    AuthWithoutConnect,
    /// Names that API Gateway refuses, or that could not stand in a path.
    #[error("the stage name {0:?} must be letters, digits, hyphens and underscores")]
    StageName(String),
    /// A `RouteResponse` for something that is not a route.
    #[error("`{0}` is no route of this template's API")]
    NoRoute(String),
}
