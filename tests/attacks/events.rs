//! Malformed events: no route panics, and no event acts for a user that the authorizer did not
//! authenticate.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use chat_core::lambda::{AuthorizerEvent, authorize};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use support::{FakeAws, Fixture, in_context};
use tokio::runtime::Runtime;

use crate::routes;

/// A JSON pointer into the event and the new value; `None` removes the member.
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

/// The frame in a response; null if there is none.
fn frame_of(answer: &Value) -> Value {
    answer["body"].as_str().map_or(Value::Null, |body| serde_json::from_str(body).unwrap())
}

/// Whether the frame says that the service failed. The status of a message is then 200, too.
fn is_failure(frame: &Value) -> bool {
    matches!(frame["code"].as_str(), Some("internal" | "unavailable"))
}

#[test]
fn a_malformed_event_never_acts_as_another_user() {
    let runtime = Runtime::new().unwrap();
    let aws = runtime.block_on(FakeAws::start());
    let routes = routes::all(&aws);
    let places = [
        "/body",
        "/isBase64Encoded",
        "/headers",
        "/multiValueHeaders",
        "/multiValueHeaders/Sec-WebSocket-Protocol",
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
            // If the event does not parse, the Lambda runtime returns an error and runs no route.
            if serde_json::from_value::<ApiGatewayWebsocketProxyRequest>(event.value().clone()).is_err() {
                continue;
            }
            let user = event.value().pointer("/requestContext/authorizer/userId").cloned();
            // A connection id must fit in a sort key (1,024 bytes). API Gateway's ids have 16
            // bytes.
            let connection = event.value().pointer("/requestContext/connectionId").and_then(Value::as_str);
            let has_connection = connection.is_some_and(|id| (1..=1_024).contains(&id.len()));
            let answer = runtime.block_on(route.respond(event));
            let status = answer["statusCode"].as_i64().unwrap();
            prop_assert!([200, 400, 401, 403].contains(&status) || !has_connection, "{}: {answer}", route.name);
            let frame = frame_of(&answer);
            prop_assert!(!is_failure(&frame) || !has_connection, "{}: {answer}", route.name);
            if !user.is_some_and(|user| user.is_string()) {
                let refused = status == 401 || matches!(frame["code"].as_str(), Some("unauthenticated" | "token_expired"));
                prop_assert!(refused, "{}: {answer}", route.name);
            }
        }
    });
}

#[test]
fn the_authorizer_never_identifies_another_user_than_the_requested_one() {
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
        let requested = event.value()["multiValueQueryStringParameters"]["userId"].clone();
        let handled = runtime.block_on(authorize(&authorizer, event.lambda(), authorizer::handle));
        if let Ok(policy) = handled.response {
            let policy = serde_json::to_value(policy).unwrap();
            if policy["policyDocument"]["Statement"][0]["Effect"] == "Allow" {
                let user = requested[0].as_str().unwrap();
                prop_assert_eq!(&requested, &json!([user]));
                let encoded = json!(in_context(user));
                prop_assert_eq!((&policy["context"]["userId"], &policy["principalId"]), (&encoded, &encoded));
            }
        }
    });
}

/// API Gateway's clock at 1970, or far from it.
#[test]
fn what_was_stored_by_a_wrong_clock_can_be_read_by_the_right_one() {
    let runtime = Runtime::new().unwrap();
    for time in [i64::MIN, -1, 0, 1, 3_599_999, 3_600_000, 1 << 53, i64::MAX] {
        let aws = runtime.block_on(FakeAws::start());
        for is_wrong in [true, false, true] {
            // New contexts have nothing cached.
            for route in routes::all(&aws) {
                let event = Fixture::named(route.name);
                let event = match is_wrong {
                    true => event.set("/requestContext/requestTimeEpoch", json!(time)),
                    false => event,
                };
                let answer = runtime.block_on(route.respond(event));
                assert!(!is_failure(&frame_of(&answer)), "{time} {}: {answer}", route.name);
            }
        }
    }
}
