//! `Scope`: the names of a template: pseudo parameters, parameters, conditions and resources.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use super::{
    error::{Fault, Problem},
    generated::{Generated, generated, kind_of, resources_of},
    intrinsics,
    node::{Node, Value},
    place::Place,
};

/// `AWS::Region`.
pub(super) const REGION: &str = "us-east-1";
/// `AWS::AccountId`.
pub(super) const ACCOUNT_ID: &str = "123456789012";

const STACK_NAME: &str = "local";
const URL_SUFFIX: &str = "amazonaws.com";
const PARTITION: &str = "aws";

/// Maximum nesting of conditions, references and functions. Deeper nesting is reported as a cycle.
const MAX_NESTING: usize = 200;

pub(super) struct Scope {
    root: Rc<Node>,
    parameters: Parameters,
    /// Resources that SAM generates, by logical id.
    generated: BTreeMap<String, Generated>,
    nesting: Cell<usize>,
}

/// Values by the name of the parameter.
pub(super) type Parameters = BTreeMap<String, Parameter>;

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parameter {
    Text(String),
    /// A `CommaDelimitedList`.
    List(Vec<String>),
    /// Neither a default nor an override. It is an error only if the parameter is used.
    NoValue,
    /// The default names an entry of the Parameter Store, which this machine doesn't have.
    Stored,
}

impl Scope {
    /// A scope without parameters, used to read `Parameters` itself.
    pub(super) fn without_parameters(root: Rc<Node>) -> Self {
        Self { root, parameters: Parameters::new(), generated: BTreeMap::new(), nesting: Cell::new(0) }
    }

    pub(super) fn with_parameters(self, parameters: Parameters) -> Self {
        let mut scope = Self { parameters, ..self };
        scope.generated = generated(&scope.root);
        scope
    }

    /// The whole template.
    pub(super) fn template(&self) -> Place<'_> {
        Place { scope: self, node: Rc::clone(&self.root), path: String::new() }
    }

    /// Runs `evaluate` one level deeper. Fails with [`Problem::Cycle`] at [`MAX_NESTING`].
    pub(super) fn nested<T>(&self, place: &Place<'_>, evaluate: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        if self.nesting.get() >= MAX_NESTING {
            return Err(place.fault(Problem::Cycle));
        }
        self.nesting.set(self.nesting.get() + 1);
        let value = evaluate();
        self.nesting.set(self.nesting.get() - 1);
        value
    }

    /// Evaluates a condition by its name.
    pub(super) fn condition(&self, name: &str, user: &Place<'_>) -> Result<bool, Fault> {
        let conditions = self.template().get("Conditions")?;
        let Some(node) = conditions.as_ref().and_then(|conditions| conditions.raw(name)) else {
            return Err(user.fault(Problem::UnknownCondition(name.to_owned())));
        };
        let place = Place { scope: self, node: Rc::clone(node), path: format!("Conditions.{name}") };
        self.nested(user, || intrinsics::condition(&place))
    }

    /// The value of `Ref`. `None` for `AWS::NoValue`.
    pub(super) fn reference(&self, name: &str, user: &Place<'_>) -> Result<Option<Value>, Fault> {
        let text = |text: &str| Ok(Some(Value::Text(text.to_owned())));
        match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => return text(REGION),
            "AWS::AccountId" => return text(ACCOUNT_ID),
            "AWS::StackName" => return text(STACK_NAME),
            "AWS::StackId" => {
                return text(&arn("cloudformation", &format!("stack/{STACK_NAME}/local")));
            }
            "AWS::Partition" => return text(PARTITION),
            "AWS::URLSuffix" => return text(URL_SUFFIX),
            _ => {}
        }
        match self.parameters.get(name) {
            Some(Parameter::Text(value)) => return text(value),
            Some(Parameter::List(values)) => {
                let line = user.node.line;
                let item = |value: &String| Rc::new(Node { line, value: Value::Text(value.clone()) });
                return Ok(Some(Value::List(values.iter().map(item).collect())));
            }
            Some(Parameter::NoValue) => return Err(user.fault(Problem::NoValue(name.to_owned()))),
            Some(Parameter::Stored) => return Err(user.fault(Problem::Stored(name.to_owned()))),
            None => {}
        }
        // `Api.Stage` is SAM's notation for the stage that it generates.
        if let Some(api) = name.strip_suffix(".Stage").filter(|api| self.is_api(api)) {
            return self.stage_name(api).map(|stage| Some(Value::Text(stage)));
        }
        match self.generated.get(name) {
            Some(Generated { api, is_stage: true }) => self.stage_name(api).map(|stage| Some(Value::Text(stage))),
            Some(Generated { .. }) => text(name),
            None => self.physical_id(name, user).map(|id| Some(Value::Text(id))),
        }
    }

    /// The value of `GetAtt`.
    pub(super) fn attribute(&self, resource: &str, attribute: &str, user: &Place<'_>) -> Result<String, Fault> {
        let id = self.physical_id(resource, user)?;
        let host = format!("{id}.execute-api.{REGION}.{URL_SUFFIX}");
        match (self.kind(resource).as_deref(), attribute) {
            (Some("AWS::Serverless::Function"), "Arn") => Ok(arn("lambda", &format!("function:{id}"))),
            (Some("AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable"), "Arn") => {
                Ok(arn("dynamodb", &format!("table/{id}")))
            }
            (Some("AWS::Serverless::WebSocketApi"), "ApiId") => Ok(id),
            (Some("AWS::Serverless::WebSocketApi"), "ApiEndpoint") => Ok(format!("wss://{host}")),
            _ => Err(user
                .fault(Problem::UnknownAttribute { resource: resource.to_owned(), attribute: attribute.to_owned() })),
        }
    }

    /// The resource's name on AWS: its name property, or its logical id if it has none.
    fn physical_id(&self, id: &str, user: &Place<'_>) -> Result<String, Fault> {
        let Some(resource) = self.resource(id)? else {
            return Err(user.fault(Problem::UnknownReference(id.to_owned())));
        };
        if !exists(&resource)? {
            return Err(user.fault(Problem::AbsentResource(id.to_owned())));
        }
        let name = match self.kind(id).as_deref() {
            Some("AWS::Serverless::WebSocketApi") => return Ok(api_id(id)),
            Some("AWS::Serverless::Function") => "FunctionName",
            Some("AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable") => "TableName",
            Some("AWS::SecretsManager::Secret") => "Name",
            _ => return Ok(id.to_owned()),
        };
        let properties = resource.get("Properties")?;
        let name = properties.map(|properties| properties.get(name)).transpose()?.flatten();
        name.map_or_else(|| Ok(id.to_owned()), |name| name.text())
    }

    fn stage_name(&self, api: &str) -> Result<String, Fault> {
        let properties = self.resource(api)?.map(|resource| resource.get("Properties")).transpose()?.flatten();
        let stage = properties.map(|properties| properties.get("StageName")).transpose()?.flatten();
        stage.map_or_else(|| Ok("default".to_owned()), |stage| stage.text())
    }

    fn resource(&self, id: &str) -> Result<Option<Place<'_>>, Fault> {
        self.template().get("Resources")?.map_or(Ok(None), |resources| resources.get(id))
    }

    fn kind(&self, id: &str) -> Option<String> {
        kind_of(&resources_of(&self.root).find(|(name, _)| name == id)?.1)
    }

    fn is_api(&self, id: &str) -> bool {
        self.kind(id).as_deref() == Some("AWS::Serverless::WebSocketApi")
    }
}

/// Whether the resource is created: it has no condition, or its condition is true.
pub(super) fn exists(resource: &Place<'_>) -> Result<bool, Fault> {
    match resource.get("Condition")? {
        Some(condition) => resource.scope.condition(&condition.text()?, &condition),
        None => Ok(true),
    }
}

/// An API id in AWS's format of ten letters and digits, derived from the logical id.
pub(super) fn api_id(logical_id: &str) -> String {
    // FNV-1a. The result need not be unpredictable, only different for different logical ids.
    let hash = logical_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let digits = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..10).map(|place| digits[(hash >> (6 * place)) as usize % digits.len()] as char).collect()
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:{PARTITION}:{service}:{REGION}:{ACCOUNT_ID}:{resource}")
}
