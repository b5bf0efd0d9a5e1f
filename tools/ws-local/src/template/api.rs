//! The WebSocket API of a template: its stage, routes and authorizer.

use std::{collections::BTreeMap, time::Duration};

use super::{
    error::{Fault, Problem},
    generated,
    place::Place,
    resources::Resource,
    scope,
    stack::{Api, Authorizer, Route},
};

/// Maximum integration time-out of API Gateway, and also its default.
const MAX_INTEGRATION: Duration = Duration::from_secs(29);

/// Valid properties of a route. SAM silently ignores all others, so this crate refuses them.
const ROUTE_PROPERTIES: [&str; 8] = [
    "ApiKeyRequired",
    "FunctionArn",
    "IntegrationTimeout",
    "ModelSelectionExpression",
    "OperationName",
    "RequestModels",
    "RequestParameters",
    "RouteResponseSelectionExpression",
];

/// Reads the API. `function_of` returns the logical id of the function that an ARN identifies.
pub(super) fn read(
    api: &Resource<'_>,
    resources: &[Resource<'_>],
    function_of: impl Fn(&Place<'_>) -> Result<String, Fault>,
) -> Result<Api, Fault> {
    let properties = api.place.need("Properties")?;
    let declared = properties.need("Routes")?;
    let entries = declared.entries()?;
    if entries.is_empty() {
        return Err(declared.fault(Problem::Expected("one route or more")));
    }
    let mut routes = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for (key, place) in entries {
        if !is_route_key(&key) {
            return Err(place.fault(Problem::RouteKey(key)));
        }
        if by_id.insert(generated::route_id(&api.id, &key), key.clone()).is_some() {
            return Err(place.fault(Problem::RouteKeyTwice(key)));
        }
        let route = route(&place, &function_of)?;
        routes.insert(key, route);
    }
    let replying = replying_routes(resources)?;
    for (id, response) in &replying {
        if !by_id.contains_key(id) {
            return Err(response.fault(Problem::NoRoute(id.clone())));
        }
    }
    for (id, key) in &by_id {
        if let Some(route) = routes.get_mut(key) {
            // As on AWS, a reply needs both the route's expression and a `RouteResponse`.
            route.replies &= replying.contains_key(id);
        }
    }
    let authorizer = authorizer(api, &function_of)?;
    if authorizer.is_some() && !routes.contains_key("$connect") {
        return Err(declared.fault(Problem::AuthWithoutConnect));
    }
    let selection = api.property("RouteSelectionExpression")?;
    let selection = selection.ok_or_else(|| properties.fault(Problem::Missing("RouteSelectionExpression")))?;
    Ok(Api {
        logical_id: api.id.clone(),
        api_id: scope::api_id(&api.id),
        stage: stage(api)?,
        route_selection_expression: selection.text()?,
        routes,
        authorizer,
    })
}

fn is_route_key(key: &str) -> bool {
    matches!(key, "$connect" | "$disconnect" | "$default")
        || (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn route(place: &Place<'_>, function_of: impl Fn(&Place<'_>) -> Result<String, Fault>) -> Result<Route, Fault> {
    for (property, value) in place.entries()? {
        if !ROUTE_PROPERTIES.contains(&property.as_str()) {
            return Err(value.fault(Problem::RouteProperty(property)));
        }
    }
    let expression = place.get("RouteResponseSelectionExpression")?;
    let replies = match expression {
        None => false,
        Some(expression) if expression.text()? == "$default" => true,
        Some(expression) => return Err(expression.fault(Problem::Expected("$default"))),
    };
    let timeout = match place.get("IntegrationTimeout")? {
        Some(timeout) => Duration::from_millis(timeout.number(50..=29_000, "50 to 29000 (milliseconds)")?.into()),
        None => MAX_INTEGRATION,
    };
    Ok(Route { function: function_of(&place.need("FunctionArn")?)?, replies, timeout })
}

/// The logical ids of the routes that have a `RouteResponse` with the key `$default`.
fn replying_routes<'s>(resources: &[Resource<'s>]) -> Result<BTreeMap<String, Place<'s>>, Fault> {
    let mut replying = BTreeMap::new();
    for resource in resources.iter().filter(|resource| resource.kind == "AWS::ApiGatewayV2::RouteResponse") {
        let properties = resource.place.need("Properties")?;
        let key = properties.need("RouteResponseKey")?;
        if key.text()? != "$default" {
            return Err(key.fault(Problem::Expected("$default")));
        }
        let route = properties.need("RouteId")?;
        replying.insert(route.text()?, route);
    }
    Ok(replying)
}

fn authorizer(
    api: &Resource<'_>,
    function_of: impl Fn(&Place<'_>) -> Result<String, Fault>,
) -> Result<Option<Authorizer>, Fault> {
    let Some(auth) = api.property("Auth")? else {
        return Ok(None);
    };
    let kind = auth.need("AuthType")?;
    match kind.text()?.as_str() {
        "CUSTOM" => {}
        "NONE" => return Ok(None),
        "AWS_IAM" => {
            return Err(kind.fault(Problem::Expected("CUSTOM or NONE, because this machine has no IAM")));
        }
        other => return Err(kind.fault(Problem::AuthType(other.to_owned()))),
    }
    let sources = match auth.get("IdentitySource")? {
        Some(sources) => sources.items()?.iter().map(Place::text).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let function = function_of(&auth.need("AuthArn")?)?;
    Ok(Some(Authorizer { function, identity_sources: sources }))
}

fn stage(api: &Resource<'_>) -> Result<String, Fault> {
    let Some(stage) = api.property("StageName")? else {
        return Ok("default".to_owned());
    };
    let name = stage.text()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(stage.fault(Problem::StageName(name)));
    }
    Ok(name)
}
