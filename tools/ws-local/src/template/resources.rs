//! The resources of a template that run here: functions, tables and secrets.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{
    error::{Fault, Problem},
    place::Place,
    scope,
    stack::{Function, Secret, SecretValue, Table},
};

/// Resource types that this crate reads. Resources of other types are skipped, including their
/// conditions.
const TYPES: [&str; 6] = [
    "AWS::ApiGatewayV2::RouteResponse",
    "AWS::DynamoDB::Table",
    "AWS::SecretsManager::Secret",
    "AWS::Serverless::Function",
    "AWS::Serverless::SimpleTable",
    "AWS::Serverless::WebSocketApi",
];

/// A resource of one of these types that is created: it has no condition, or its condition is true.
pub(super) struct Resource<'s> {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) place: Place<'s>,
}

impl<'s> Resource<'s> {
    /// All resources, in the template's order.
    pub(super) fn all(template: &Place<'s>) -> Result<Vec<Self>, Fault> {
        let mut resources = Vec::new();
        for (id, place) in template.need("Resources")?.entries()? {
            let kind = place.need("Type")?.text()?;
            if TYPES.contains(&kind.as_str()) && scope::exists(&place)? {
                resources.push(Self { id, kind, place });
            }
        }
        Ok(resources)
    }

    /// The property of the resource, or of `Globals` for its type if the resource does not have it.
    pub(super) fn property(&self, name: &str) -> Result<Option<Place<'s>>, Fault> {
        let properties = self.place.get("Properties")?;
        match properties {
            // The resource's own property overrides the property of `Globals`, even if its value is
            // AWS::NoValue.
            Some(properties) if properties.has(name) => properties.get(name),
            _ => self.globals()?.map_or(Ok(None), |globals| globals.get(name)),
        }
    }

    fn globals(&self) -> Result<Option<Place<'s>>, Fault> {
        let Some(kind) = self.kind.strip_prefix("AWS::Serverless::") else {
            return Ok(None);
        };
        let globals = self.place.scope.template().get("Globals")?;
        globals.map_or(Ok(None), |globals| globals.get(kind))
    }

    /// An `AWS::Serverless::Function`. `None` unless `rust-cargolambda` builds it.
    pub(super) fn function(&self, directory: &Path) -> Result<Option<Function>, Fault> {
        let metadata = self.place.get("Metadata")?;
        let method = metadata.as_ref().map(|metadata| metadata.get("BuildMethod")).transpose()?.flatten();
        if method.map(|method| method.text()).transpose()?.as_deref() != Some("rust-cargolambda") {
            return Ok(None);
        }
        let build = metadata.map(|metadata| metadata.get("BuildProperties")).transpose()?.flatten();
        let binary = build.map(|build| build.get("Binary")).transpose()?.flatten();
        let code_uri = self.property("CodeUri")?.ok_or_else(|| self.place.fault(Problem::Missing("CodeUri")))?;
        let name = self.property("FunctionName")?.map_or_else(|| Ok(self.id.clone()), |name| name.text())?;
        Ok(Some(Function {
            name,
            binary: binary.map(|binary| binary.text()).transpose()?,
            code_uri: directory.join(code_uri.text()?),
            environment: self.environment()?,
            memory: self.number("MemorySize", 128..=10_240, "128 to 10240 (MB)")?.unwrap_or(128),
            timeout: Duration::from_secs(self.number("Timeout", 1..=900, "1 to 900 (seconds)")?.unwrap_or(3).into()),
            reserved_concurrency: self.number(
                "ReservedConcurrentExecutions",
                0..=1_000_000,
                "0 to 1000000 (invocations at once)",
            )?,
        }))
    }

    fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u32>,
        needs: &'static str,
    ) -> Result<Option<u32>, Fault> {
        self.property(name)?.map(|number| number.number(range, needs)).transpose()
    }

    /// The variables of `Globals`, overridden by the function's own variables.
    fn environment(&self) -> Result<BTreeMap<String, String>, Fault> {
        let mut variables = BTreeMap::new();
        for layer in [self.globals()?, self.place.get("Properties")?].into_iter().flatten() {
            let environment = layer.get("Environment")?;
            let Some(own) = environment.map(|environment| environment.get("Variables")).transpose()?.flatten() else {
                continue;
            };
            let entries = own.entries()?;
            // A variable whose value is AWS::NoValue removes the variable of the same name from
            // `Globals`.
            variables.retain(|name: &String, _| !own.has(name));
            for (name, value) in entries {
                variables.insert(name, value.text()?);
            }
        }
        Ok(variables)
    }

    /// An `AWS::DynamoDB::Table`.
    pub(super) fn table(&self) -> Result<Table, Fault> {
        let properties = self.place.need("Properties")?;
        let name = self.table_name()?;
        let mut create = serde_json::json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": properties.need("KeySchema")?.json()?,
            "AttributeDefinitions": properties.need("AttributeDefinitions")?.json()?,
        });
        for kind in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
            let Some(indexes) = properties.get(kind)? else {
                continue;
            };
            create[kind] = indexes.items()?.iter().map(index).collect::<Result<_, _>>()?;
        }
        Ok(Table { name, create, ttl_attribute: ttl_attribute(&properties)? })
    }

    /// An `AWS::Serverless::SimpleTable`: one key, `id` unless the template names another.
    pub(super) fn simple_table(&self) -> Result<Table, Fault> {
        let name = self.table_name()?;
        let (key, kind) = match self.property("PrimaryKey")? {
            None => ("id".to_owned(), "S"),
            Some(primary) => {
                let kind = primary.need("Type")?;
                let letter = match kind.text()?.as_str() {
                    "String" => "S",
                    "Number" => "N",
                    "Binary" => "B",
                    _ => return Err(kind.fault(Problem::Expected("String, Number or Binary"))),
                };
                (primary.need("Name")?.text()?, letter)
            }
        };
        let create = serde_json::json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind}],
        });
        Ok(Table { name, create, ttl_attribute: None })
    }

    /// An `AWS::SecretsManager::Secret`. Generated ones consist of letters and digits, whatever else the template allows.
    pub(super) fn secret(&self) -> Result<Secret, Fault> {
        let name = self.property("Name")?.map_or_else(|| Ok(self.id.clone()), |name| name.text())?;
        let value = match self.property("SecretString")? {
            Some(text) => SecretValue::Text(text.text()?),
            None => {
                let generate = self.property("GenerateSecretString")?;
                if let Some(template) =
                    generate.as_ref().and_then(|generate| generate.get("SecretStringTemplate").transpose())
                {
                    return Err(template?.fault(Problem::Expected("absent: JSON secrets are not supported here")));
                }
                let length = generate.map(|generate| generate.get("PasswordLength")).transpose()?.flatten();
                let length = length.map(|length| length.number(1..=4096, "1 to 4096 (characters)")).transpose()?;
                SecretValue::Generated { length: length.unwrap_or(32) as usize }
            }
        };
        Ok(Secret { id: self.id.clone(), name, value })
    }

    fn table_name(&self) -> Result<String, Fault> {
        self.property("TableName")?.map_or_else(|| Ok(self.id.clone()), |name| name.text())
    }
}

/// An index definition without its provisioned capacity, because every local table is on demand.
fn index(index: &Place<'_>) -> Result<serde_json::Value, Fault> {
    Ok(serde_json::json!({
        "IndexName": index.need("IndexName")?.text()?,
        "KeySchema": index.need("KeySchema")?.json()?,
        "Projection": index.need("Projection")?.json()?,
    }))
}

fn ttl_attribute(properties: &Place<'_>) -> Result<Option<String>, Fault> {
    let Some(ttl) = properties.get("TimeToLiveSpecification")? else {
        return Ok(None);
    };
    let enabled = ttl.need("Enabled")?.boolean()?;
    Ok(if enabled { Some(ttl.need("AttributeName")?.text()?) } else { None })
}
