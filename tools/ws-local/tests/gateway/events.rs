//! The functions' events, compared with the formats that AWS documents.

use serde_json::{Value, json};

use crate::harness::*;

/// The keys of an object, sorted.
fn keys(of: &Value) -> Vec<&str> {
    of.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Checks the fields of a context that describe the connection.
fn check_context(gateway: &TestGateway, context: &Value, connected: &Value) {
    for key in ["connectionId", "connectedAt"] {
        assert_eq!(context[key], connected[key], "{key}");
    }
    assert_eq!(context["messageDirection"], "IN");
    assert_eq!(context["stage"], "prod");
    assert_eq!(context["apiId"], "abcdef1234");
    assert_eq!(context["domainName"], gateway.address().to_string());
    assert_eq!(context["identity"], json!({"sourceIp": "127.0.0.1", "userAgent": "test"}));
    for id in ["requestId", "extendedRequestId", "connectionId"] {
        let id = context[id].as_str().unwrap();
        assert_eq!((id.len(), id.find('=')), (16, Some(15)), "{id}");
    }
    let time = context["requestTime"].as_str().unwrap();
    assert_eq!((time.len(), &time[2..3], &time[20..]), (26, "/", " +0000"), "{time}");
    let at = context["requestTimeEpoch"].as_i64().unwrap();
    assert!(at >= context["connectedAt"].as_i64().unwrap());
}

const COMMON: [&str; 13] = [
    "apiId",
    "connectedAt",
    "connectionId",
    "domainName",
    "eventType",
    "extendedRequestId",
    "identity",
    "messageDirection",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "routeKey",
    "stage",
];

fn with_common(more: &[&'static str]) -> Vec<&'static str> {
    let mut all = [&COMMON, more].concat();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn the_three_events_have_exactly_the_keys_that_aws_sends() {
    let gateway = Setup::new().quiet("$connect").quiet("send").quiet("$disconnect").start().await;
    let headers = [("origin", "https://chat.example"), ("user-agent", "test")];
    let mut client = gateway.connect_with("?userId=alice", &headers).await;
    let connect = gateway.event("$connect").await;
    client.call("send").await;
    let message = gateway.event("send").await;
    client.socket.close(None).await.unwrap();
    let disconnect = gateway.event("$disconnect").await;

    let context = &connect["requestContext"];
    assert_eq!(
        keys(&connect),
        [
            "headers",
            "isBase64Encoded",
            "multiValueHeaders",
            "multiValueQueryStringParameters",
            "queryStringParameters",
            "requestContext"
        ]
    );
    assert_eq!(keys(context), with_common(&[]));
    assert_eq!((&context["routeKey"], &context["eventType"]), (&json!("$connect"), &json!("CONNECT")));
    assert_eq!(connect["queryStringParameters"], json!({"userId": "alice"}));
    assert_eq!(connect["multiValueQueryStringParameters"], json!({"userId": ["alice"]}));
    assert_eq!(connect["headers"]["Host"], gateway.address().to_string());
    assert_eq!(connect["headers"]["Origin"], "https://chat.example");
    assert_eq!(connect["headers"]["Sec-WebSocket-Version"], "13");
    assert_eq!(connect["headers"]["X-Forwarded-For"], "127.0.0.1");
    assert_eq!(connect["multiValueHeaders"]["Host"], json!([gateway.address().to_string()]));
    assert_eq!(connect["isBase64Encoded"], false);
    check_context(&gateway, context, context);

    assert_eq!(keys(&message), ["body", "isBase64Encoded", "requestContext"]);
    let of_message = &message["requestContext"];
    assert_eq!(keys(of_message), with_common(&["messageId"]));
    assert_eq!((&of_message["routeKey"], &of_message["eventType"]), (&json!("send"), &json!("MESSAGE")));
    assert_eq!(message["body"], r#"{"action":"send"}"#);
    assert_eq!(of_message["messageId"].as_str().unwrap().len(), 16);
    check_context(&gateway, of_message, context);
    assert_ne!(of_message["requestId"], context["requestId"]);

    assert_eq!(keys(&disconnect), ["headers", "isBase64Encoded", "multiValueHeaders", "requestContext"]);
    let of_end = &disconnect["requestContext"];
    assert_eq!(keys(of_end), with_common(&["disconnectReason", "disconnectStatusCode"]));
    assert_eq!((&of_end["routeKey"], &of_end["eventType"]), (&json!("$disconnect"), &json!("DISCONNECT")));
    let host = gateway.address().to_string();
    assert_eq!(disconnect["headers"], json!({"Host": host, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}));
    check_context(&gateway, of_end, context);
}

#[tokio::test]
async fn without_query_parameters_the_connect_event_has_none() {
    let gateway = Setup::new().quiet("$connect").start().await;
    gateway.connect("").await;
    let event = gateway.event("$connect").await;
    assert_eq!(keys(&event), ["headers", "isBase64Encoded", "multiValueHeaders", "requestContext"]);
    let context = &event["requestContext"];
    assert_eq!(context["identity"], json!({"sourceIp": "127.0.0.1"}), "no user agent was named");
}

#[tokio::test]
async fn every_event_is_recorded_with_connection_route_status_and_duration() {
    let gateway = Setup::new().quiet("$connect").quiet("send").start().await;
    let (mut client, id) = gateway.connect_known().await;
    client.call("send").await;
    let mut lines = vec![gateway.record("$connect").await, gateway.record("send").await];
    client.socket.close(None).await.unwrap();
    lines.push(gateway.record("$disconnect").await);
    for record in lines {
        assert_eq!((&record.connection, record.status), (&id, 200));
        assert!(record.to_string().contains(" 200 "), "{record}");
    }
}
