//! Tests that load complete templates.

mod fuzz;
mod parameters;
mod refusals;
mod values;

use std::{path::Path, time::Duration};

use serde_json::json;

use super::*;

fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn project(name: &str, pairs: &[(&str, &str)]) -> Stack {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates").join(name);
    load(&path, &overrides(pairs)).unwrap()
}

#[test]
fn a_large_template_becomes_a_stack() {
    let stack = project("auction.yaml", &[("LogLevel", "trace")]);
    let api = &stack.api;
    assert_eq!(api.stage, "live");
    assert_eq!(api.route_selection_expression, "$request.body.kind");
    assert_eq!(api.api_id.len(), 10);
    assert_eq!(
        api.authorizer,
        Some(Authorizer {
            function: "DoormanFunction".into(),
            identity_sources: vec!["route.request.querystring.ticket".into()]
        })
    );
    let routes: Vec<_> = api.routes.iter().map(|(key, route)| (key.as_str(), route.replies)).collect();
    let one_way = |key| (key, false);
    assert_eq!(
        routes,
        [one_way("$connect"), one_way("$default"), one_way("$disconnect"), one_way("listBids"), ("placeBid", true)]
    );
    assert_eq!(api.routes["$default"].function, "BidFunction");
    assert_eq!(api.routes["placeBid"].timeout, Duration::from_secs(5));
    assert_eq!(api.routes["$connect"].timeout, Duration::from_secs(29));

    let doorman = &stack.functions["DoormanFunction"];
    assert_eq!(doorman.name, "local-doorman");
    assert_eq!(doorman.binary.as_deref(), Some("doorman"));
    assert_eq!((doorman.memory, doorman.timeout), (256, Duration::from_secs(2)));
    assert_eq!(doorman.reserved_concurrency, Some(5));
    assert_eq!(doorman.environment, overrides(&[("LOG_LEVEL", "debug"), ("DOORS", "guarded")]));

    let enter = &stack.functions["EnterFunction"];
    assert!(enter.code_uri.ends_with("tests/templates/enter"));
    assert_eq!((enter.binary.as_deref(), enter.memory, enter.timeout), (None, 128, Duration::from_secs(10)));

    let bid = &stack.functions["BidFunction"].environment;
    assert_eq!(bid["LOG_LEVEL"], "trace");
    assert_eq!(bid["HOUSES"], "london|paris");
    assert_eq!(bid["BIDS_TABLE"], "BidsTable");
    assert_eq!(bid["PUSH"], format!("https://{}.execute-api.us-east-1.amazonaws.com/live", api.api_id));
    assert!(!bid.contains_key("AWS_ENDPOINT_URL_DYNAMODB"));

    let [bids] = &stack.tables[..] else { panic!("one table") };
    assert_eq!(bids.ttl_attribute.as_deref(), Some("endsAt"));
    assert_eq!(bids.create["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(
        bids.create["GlobalSecondaryIndexes"],
        json!([{
            "IndexName": "byBidder",
            "KeySchema": [{"AttributeName": "bidder", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"}
        }])
    );
}

#[test]
fn an_override_changes_conditions() {
    let stack = project("auction.yaml", &[("Doors", "open"), ("DatabaseEndpoint", "http://localhost")]);
    assert!(stack.api.routes["listBids"].replies);
    assert_eq!(stack.functions["DoormanFunction"].environment["DOORS"], "open");
    assert_eq!(stack.functions["EnterFunction"].environment["AWS_ENDPOINT_URL_DYNAMODB"], "http://localhost");
}

#[test]
fn a_small_template_in_long_forms_becomes_a_stack_with_defaults() {
    let stack = project("echo.yaml", &[]);
    assert_eq!(stack.api.stage, "default");
    assert_eq!(stack.api.authorizer, None);
    assert_eq!(stack.functions.keys().collect::<Vec<_>>(), ["Echo"]);
    let echo = &stack.functions["Echo"];
    assert_eq!((echo.memory, echo.timeout), (128, Duration::from_secs(3)));
    assert_eq!(echo.environment["WHERE"], format!("wss://{}.execute-api.us-east-1.amazonaws.com", stack.api.api_id));
    assert_eq!(echo.environment["LITERAL"], "${NotMine}-arn:aws:dynamodb:us-east-1:123456789012:table/Counter");
    assert_eq!(
        stack.tables[0].create,
        json!({
            "TableName": "Counter",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]
        })
    );
}
