//! `TemplateError`: an error in a template. Every message names the place and says what to change
//! there.

use std::{io, path::PathBuf};

/// Why a template can't be run on this machine.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file is missing or not UTF-8.
    #[error("the template {} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// The template is invalid for SAM or not supported by this crate.
    #[error("{}:{fault}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The problem and its place.
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
    /// The problem at that place.
    pub problem: Problem,
}

/// A problem at one place of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is not YAML.
    #[error("this is not valid YAML: {0}")]
    Syntax(String),
    /// A map has a key twice. A YAML parser would ignore the first one.
    #[error("the key `{0}` appears twice; remove one")]
    DuplicateKey(String),
    /// The value has another type or range.
    #[error("this must be {0}")]
    Expected(&'static str),
    /// A required property is missing.
    #[error("`{0}` is missing; add it")]
    Missing(&'static str),
    /// An intrinsic function that is not supported.
    #[error(
        "the function `{0}` is not supported here; use Ref, Sub, GetAtt, If, Equals, Not, And, Or, Join or Condition"
    )]
    UnknownFunction(String),
    /// An intrinsic function has the wrong arguments.
    #[error("`{function}` needs {needs}")]
    Arguments {
        /// Its long name.
        function: String,
        /// The arguments that it takes.
        needs: &'static str,
    },
    /// A name that the template doesn't declare.
    #[error("`{0}` is not a parameter, resource or pseudo parameter of this template; correct the name or declare it")]
    UnknownReference(String),
    /// An attribute that the resource does not have or that has no value on this machine.
    #[error("`{attribute}` of `{resource}` has no value on this machine; remove it, or make it depend on a parameter")]
    UnknownAttribute {
        /// Logical id.
        resource: String,
        /// The name of the attribute.
        attribute: String,
    },
    /// `If`, `Condition` or a resource names a condition that is not under `Conditions`.
    #[error("there is no condition `{0}`; declare it under Conditions")]
    UnknownCondition(String),
    /// A reference to a resource whose condition is false.
    #[error("`{0}` is not created, because its condition is false; refer to it under the same condition")]
    AbsentResource(String),
    /// A condition or reference that depends on itself.
    #[error("this refers to itself")]
    Cycle,
    /// A parameter is used, but has no value.
    #[error("the parameter `{0}` has no default; give it with --parameter {0}=VALUE")]
    NoValue(String),
    /// A parameter whose value AWS reads from the Parameter Store.
    #[error("the parameter `{0}` is read from AWS Systems Manager; give its value with --parameter {0}=VALUE")]
    Stored(String),
    /// A parameter's value breaks the parameter's rules.
    #[error("the value {value:?} is refused: {rule}")]
    Refused {
        /// The default or the override.
        value: String,
        /// The rule it breaks, or the `ConstraintDescription`.
        rule: String,
    },
    /// The parameters break a rule of the template. The text is its `AssertDescription`.
    #[error("{0}")]
    Rule(String),
    /// `--parameter` or `samconfig.toml` names a parameter that the template doesn't declare.
    #[error("a value is given for `{name}`, which is not a parameter of this template; it has {known}")]
    UnknownParameter {
        /// The name that the caller gave.
        name: String,
        /// The declared parameters.
        known: String,
    },
    /// The template has no WebSocket API, or more than one.
    #[error("exactly one AWS::Serverless::WebSocketApi is needed, but there are {0}")]
    Apis(usize),
    /// A target that is not the ARN of a function of this template.
    #[error("`{0}` is not the ARN of a function of this template; write !GetAtt FUNCTION.Arn")]
    NoFunction(String),
    /// A route needs a function that can't run here.
    #[error("`{0}` can't run here: its Metadata needs `BuildMethod: rust-cargolambda`")]
    NotRust(String),
    /// A route key that API Gateway refuses, or that SAM can't make a logical id from.
    #[error("the route key `{0}` must be letters and digits, or $connect, $disconnect or $default")]
    RouteKey(String),
    /// Two routes whose generated logical ids are the same.
    #[error("the route key `{0}` differs from another one only in upper and lower case, which SAM can't tell apart")]
    RouteKeyTwice(String),
    /// An unknown property of a route. SAM ignores it silently.
    #[error("a route has no property `{0}`; correct or remove it")]
    RouteProperty(String),
    /// An `AuthType` in another spelling. SAM treats such a value as "no authorizer", which opens
    /// the API to every client.
    #[error("the AuthType {0:?} must be CUSTOM or NONE, in capitals")]
    AuthType(String),
    /// There is an authorizer but no `$connect` route to run it on.
    #[error("an authorizer needs a $connect route; add one")]
    AuthWithoutConnect,
    /// A stage name that API Gateway refuses, or that can't be part of a path.
    #[error("the stage name {0:?} must be letters, digits, hyphens and underscores")]
    StageName(String),
    /// A `RouteResponse` whose `RouteId` is not a route.
    #[error("`{0}` is not a route of this template's API")]
    NoRoute(String),
}
