//! Resources that SAM generates for an API. The template does not declare them, but other resources
//! may refer to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::node::{Node, Value};

pub(super) struct Generated {
    /// The API's logical id.
    pub(super) api: String,
    /// Whether the resource is a stage. `Ref` of a stage returns its name; `Ref` of another
    /// generated resource returns an id that this crate does not use.
    pub(super) is_stage: bool,
}

/// Logical id that SAM generates for a route. SAM uses Python's `capitalize()`, which makes all
/// letters except the first lower case.
pub(super) fn route_id(api: &str, route_key: &str) -> String {
    let key = route_key.trim_start_matches('$');
    let (first, rest) = key.split_at_checked(1).unwrap_or((key, ""));
    format!("{api}{}{}Route", first.to_ascii_uppercase(), rest.to_ascii_lowercase())
}

/// Generated resources by logical id. Reads the unevaluated template, because SAM creates these ids
/// before it evaluates any function except `Ref` of a parameter.
pub(super) fn generated(root: &Node) -> BTreeMap<String, Generated> {
    let mut generated = BTreeMap::new();
    let apis = resources_of(root).filter(|(_, node)| kind_of(node).as_deref() == Some("AWS::Serverless::WebSocketApi"));
    for (api, node) in apis {
        let mut add = |id: String, is_stage| generated.insert(id, Generated { api: api.clone(), is_stage });
        let properties = child(node, "Properties");
        let stage = properties.and_then(|properties| child(properties, "StageName"));
        let stage = match stage.map(|stage| &stage.value) {
            Some(Value::Text(name)) if name != "default" => name,
            Some(Value::Call(..)) => "",
            _ => "Default",
        };
        add(format!("{api}{stage}Stage"), true);
        add(format!("{api}ConnectAuthorizer"), false);
        let routes = properties.and_then(|properties| child(properties, "Routes"));
        let keys: BTreeSet<_> = routes.map(entries).into_iter().flatten().map(|(key, _)| key).collect();
        for key in keys {
            let route = route_id(api, key);
            add(format!("{}Integration", route.strip_suffix("Route").unwrap_or(&route)), false);
            add(route, false);
        }
    }
    generated
}

pub(super) fn resources_of(root: &Node) -> impl Iterator<Item = &(String, Rc<Node>)> {
    child(root, "Resources").map(entries).into_iter().flatten()
}

pub(super) fn kind_of(resource: &Node) -> Option<String> {
    match &child(resource, "Type")?.value {
        Value::Text(kind) => Some(kind.clone()),
        _ => None,
    }
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    entries(node).iter().find(|(name, _)| name == key).map(|(_, node)| &**node)
}

fn entries(node: &Node) -> &[(String, Rc<Node>)] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}
