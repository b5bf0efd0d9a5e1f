//! Events as no API Gateway sends them: no panic, and nobody is taken for somebody whom the authorizer did not name.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use chat_core::lambda::{AuthorizerEvent, authorize};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use support::{FakeAws, Fixture};
use tokio::runtime::Runtime;

use crate::routes;

/// What becomes of one place of an event.
fn change(places: &[&str]) -> impl Strategy<Value = (String, Option<Value>)> + use<> {
    let strings = [
        "alice",
        "mallory",
        "CONNECT",
        "MESSAGE",
        "DISCONNECT",
        "0",
        "99999999999999999999",
        "chat.v1",
        "dm:5:alice:bob",
    ];
    let places = select(places.iter().map(|place| (*place).to_owned()).collect::<Vec<_>>());
    (places, prop::option::weighted(0.8, support::strategies::json_value(strings.map(str::to_owned).to_vec())))
}

fn apply(event: Fixture, changes: &[(String, Option<Value>)]) -> Fixture {
    changes.iter().fold(event, |event, (place, value)| {
        let parent = place.rsplit_once('/').unwrap().0;
        match (event.value().pointer(parent).is_some_and(Value::is_object), value) {
            (false, _) => event,
            (true, Some(value)) => event.set(place, value.clone()),
            (true, None) => event.without(place),
        }
    })
}

#[test]
fn an_event_of_another_shape_is_refused_and_never_somebody_else_s() {
    let runtime = Runtime::new().unwrap();
    let aws = runtime.block_on(FakeAws::start());
    let routes = routes::all(&aws);
    let places = [
        "/body",
        "/isBase64Encoded",
        "/headers",
        "/multiValueHeaders",
        "/headers/Sec-WebSocket-Protocol",
        "/queryStringParameters",
        "/requestContext",
        "/requestContext/authorizer",
        "/requestContext/authorizer/userId",
        "/requestContext/authorizer/principalId",
        "/requestContext/authorizer/expiresAt",
        "/requestContext/connectionId",
        "/requestContext/eventType",
        "/requestContext/routeKey",
        "/requestContext/requestTimeEpoch",
        "/requestContext/connectedAt",
        "/requestContext/identity",
        "/requestContext/stage",
    ];
    proptest!(support::strategies::cases(500), |(changes in prop::collection::vec(change(&places), 1..4))| {
        for route in &routes {
            let event = apply(Fixture::named(route.name), &changes);
            // What isn't of the event's type never reaches a route: the runtime answers an error.
            if serde_json::from_value::<ApiGatewayWebsocketProxyRequest>(event.value().clone()).is_err() {
                continue;
            }
            let user = event.value().pointer("/requestContext/authorizer/userId").cloned();
            // Without an id that fits a key (1,024 bytes) no connection can be remembered, and API Gateway's have 16.
            let connection = event.value().pointer("/requestContext/connectionId").and_then(Value::as_str);
            let has_connection = connection.is_some_and(|id| (1..=1_024).contains(&id.len()));
            let answer = runtime.block_on(route.answer(event));
            let status = answer["statusCode"].as_i64().unwrap();
            prop_assert!([200, 400, 401, 403].contains(&status) || !has_connection, "{}: {answer}", route.name);
            let frame: Value = answer["body"].as_str().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
            if !user.is_some_and(|user| user.is_string()) {
                let refused = status == 401 || matches!(frame["code"].as_str(), Some("unauthenticated" | "token_expired"));
                prop_assert!(refused, "{}: {answer}", route.name);
            }
        }
    });
}

#[test]
fn the_authorizer_takes_nothing_for_a_user_that_is_not_the_one_that_is_asked_for() {
    let runtime = Runtime::new().unwrap();
    let aws = runtime.block_on(FakeAws::start());
    let authorizer: authorizer::Context = aws.context();
    let places = [
        "/methodArn",
        "/headers",
        "/multiValueHeaders",
        "/multiValueHeaders/Origin",
        "/multiValueHeaders/Sec-WebSocket-Protocol",
        "/queryStringParameters",
        "/multiValueQueryStringParameters",
        "/multiValueQueryStringParameters/userId",
        "/multiValueQueryStringParameters/token",
        "/requestContext/requestTimeEpoch",
        "/requestContext",
    ];
    proptest!(support::strategies::cases(1_000), |(changes in prop::collection::vec(change(&places), 1..4))| {
        let event = apply(Fixture::named("authorizer"), &changes);
        if serde_json::from_value::<AuthorizerEvent>(event.value().clone()).is_err() {
            return Ok(());
        }
        let asked = event.value()["multiValueQueryStringParameters"]["userId"].clone();
        let answered = runtime.block_on(authorize(&authorizer, event.lambda(), authorizer::handle));
        if let Ok(decision) = answered.response {
            let decision = serde_json::to_value(decision).unwrap();
            if decision["policyDocument"]["Statement"][0]["Effect"] == "Allow" {
                let user = &decision["context"]["userId"];
                prop_assert_eq!(&asked, &json!([user]));
                prop_assert_eq!(user, &decision["principalId"]);
            }
        }
    });
}
