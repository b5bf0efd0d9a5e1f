//! Tests of `@connections`, with plain HTTP and with the SDK that functions use.

use aws_sdk_apigatewaymanagement::{
    Client as Management,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    operation::post_to_connection::PostToConnectionError,
    primitives::Blob,
};
use serde_json::json;
use tokio::io::AsyncReadExt;
use ws_local::gateway::Rate;

use crate::{harness::*, wire::*};

fn setup() -> Setup {
    Setup::new().quiet("$connect").quiet("$disconnect")
}

/// The functions' client, without retries.
fn sdk(gateway: &TestGateway) -> Management {
    let config = aws_sdk_apigatewaymanagement::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(format!("http://{}/prod", gateway.address()))
        .build();
    Management::from_conf(config)
}

async fn post(gateway: &TestGateway, id: &str, data: Vec<u8>) -> Result<(), PostToConnectionError> {
    let call = sdk(gateway).post_to_connection().connection_id(id).data(Blob::new(data));
    soon(call.send()).await.map(drop).map_err(|error| error.into_service_error())
}

#[tokio::test]
async fn the_sdk_posts_reads_and_deletes() {
    let gateway = setup().start().await;
    let (mut client, id) = gateway.connect_known().await;
    post(&gateway, &id, "Grüße".into()).await.unwrap();
    assert_eq!(client.text().await, "Grüße");

    let sdk = sdk(&gateway);
    let description = sdk.get_connection().connection_id(&id).send().await.unwrap();
    assert!(description.last_active_at() >= description.connected_at());
    assert_eq!(description.identity().unwrap().source_ip(), Some("127.0.0.1"));

    sdk.delete_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(client.closed().await.0, 1000);
    let gone = sdk.get_connection().connection_id(&id).send().await.unwrap_err();
    assert!(gone.into_service_error().is_gone_exception());
}

#[tokio::test]
async fn the_sdk_knows_the_errors() {
    let gateway = setup().start().await;
    let (_client, id) = gateway.connect_known().await;
    let gone = post(&gateway, "L0SM9cOFvHcCIhw=", b"hello".into()).await.unwrap_err();
    assert!(gone.is_gone_exception(), "{gone:?}");
    let long = post(&gateway, &id, vec![b'x'; 131_073]).await.unwrap_err();
    assert!(long.is_payload_too_large_exception(), "{long:?}");
    post(&gateway, &id, vec![b'x'; 131_072]).await.unwrap();

    let none = Rate { per_second: 0, burst: 0 };
    let gateway = setup().limits(|limits| limits.requests = none).start().await;
    let throttled = post(&gateway, &id, b"hello".into()).await.unwrap_err();
    assert!(throttled.is_limit_exceeded_exception(), "{throttled:?}");
}

#[tokio::test]
async fn post_is_200_get_is_200_with_json_and_delete_is_204() {
    let gateway = setup().start().await;
    let mut client = gateway.connect_with("", &[("user-agent", "test")]).await;
    let event = gateway.event("$connect").await;
    let id = event["requestContext"]["connectionId"].as_str().unwrap();

    let posted = gateway.manage("POST", id, b"hello").await;
    assert_eq!((posted.status, posted.body.as_str()), (200, ""));
    assert_eq!(client.text().await, "hello");

    let description = gateway.manage("GET", id, b"").await;
    assert_eq!(description.status, 200);
    let description = description.json();
    assert_eq!(description["identity"], json!({"sourceIp": "127.0.0.1", "userAgent": "test"}));
    for time in ["connectedAt", "lastActiveAt"] {
        let time = description[time].as_str().unwrap();
        assert_eq!((time.len(), &time[10..11], &time[23..]), (24, "T", "Z"), "{time}");
    }

    assert_eq!(gateway.manage("DELETE", id, b"").await.status, 204);
    assert_eq!(client.closed().await.0, 1000);
    let end = gateway.event("$disconnect").await;
    assert_eq!(end["requestContext"]["disconnectStatusCode"], 1000);
    for method in ["POST", "GET", "DELETE"] {
        let gone = gateway.manage(method, id, b"").await;
        assert_eq!((gone.status, gone.header("x-amzn-errortype")), (410, Some("GoneException")));
    }
}

#[tokio::test]
async fn messages_queued_before_a_delete_are_sent_before_the_close() {
    let gateway = setup().limits(|limits| limits.queue = 4).start().await;
    let mut slow = raw(&gateway).await;
    let id = gateway.event("$connect").await["requestContext"]["connectionId"].clone();
    let id = id.as_str().unwrap();
    let long = vec![b'x'; 131_072];
    let mut taken = 0;
    while gateway.manage("POST", id, &long).await.status == 200 {
        taken += 1;
    }
    assert_eq!(gateway.manage("DELETE", id, b"").await.status, 204);
    for _ in 0..taken {
        for first in [TEXT_FIRST, TEXT_NEXT, TEXT_NEXT, TEXT_LAST] {
            assert_eq!(soon(slow.read_u8()).await.unwrap(), first);
            soon(slow.read_exact(&mut [0; 32_768 + 3])).await.unwrap();
        }
    }
    assert_eq!(soon(slow.read_u8()).await.unwrap(), 0x88, "a close frame");
    assert_eq!(slow.read_u8().await.unwrap(), 2);
    assert_eq!(slow.read_u16().await.unwrap(), 1000);
}

#[tokio::test]
async fn an_id_may_be_percent_encoded_or_plain() {
    let gateway = setup().start().await;
    let (_client, id) = gateway.connect_known().await;
    for path in [id.clone(), id.replace('=', "%3D"), id.replace('=', "%3d")] {
        let path = format!("/prod/@connections/{path}");
        let response = gateway.http("GET", &path, &[("Authorization", SIGNED)], b"").await;
        assert_eq!(response.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_call_without_a_signature_is_forbidden() {
    let gateway = setup().start().await;
    let (_client, id) = gateway.connect_known().await;
    let path = format!("/prod/@connections/{id}");
    let other_service = SIGNED.replace("execute-api", "dynamodb");
    let cut = SIGNED.replace("fe5f80f7", "");
    let unsigned = ["", "Bearer abc", "AWS4-HMAC-SHA256 nonsense", &other_service, &cut];
    for authorization in unsigned {
        for method in ["POST", "GET", "DELETE"] {
            let headers = [("Authorization", authorization)];
            let response = gateway.http(method, &path, &headers, b"").await;
            let error = response.header("x-amzn-errortype");
            assert_eq!((response.status, error), (403, Some("ForbiddenException")), "{authorization}");
        }
    }
    assert_eq!(gateway.http("GET", &path, &[], b"").await.status, 403);
    assert_eq!(gateway.manage("GET", &id, b"").await.status, 200);
}

#[tokio::test]
async fn data_that_is_not_text_is_refused() {
    let gateway = setup().start().await;
    let (_client, id) = gateway.connect_known().await;
    assert_eq!(gateway.manage("POST", &id, b"\xff\xfe").await.status, 400);
}

#[tokio::test]
async fn a_client_whose_queue_is_full_gives_429_and_delays_no_other() {
    let gateway = setup().replying("hi", async |_| reply("hello")).limits(|limits| limits.queue = 4).start().await;
    let mut slow = raw(&gateway).await;
    let slow_id = gateway.event("$connect").await["requestContext"]["connectionId"].clone();
    let slow_id = slow_id.as_str().unwrap();
    let (mut brisk, brisk_id) = gateway.connect_known().await;

    let long = vec![b'x'; 131_072];
    let mut taken = 0;
    let refused = loop {
        let response = gateway.manage("POST", slow_id, &long).await;
        if response.status != 200 {
            break response;
        }
        taken += 1;
        assert!(taken < 1_000, "no end of room");
    };
    assert_eq!((refused.status, refused.header("x-amzn-errortype")), (429, Some("LimitExceededException")));

    assert_eq!(gateway.manage("POST", &brisk_id, b"at once").await.status, 200);
    assert_eq!(brisk.text().await, "at once");
    brisk.call("hi").await;
    assert_eq!(brisk.text().await, "hello");
    assert_eq!(gateway.manage("GET", slow_id, b"").await.status, 200, "429 is no reason to drop it");

    // When the client reads, it gets every accepted message: four frames each, with their headers.
    let mut received = vec![0; taken * 4 * (32_768 + 4)];
    soon(slow.read_exact(&mut received)).await.unwrap();
    soon(async { while gateway.manage("POST", slow_id, b"again").await.status != 200 {} }).await;
}

#[tokio::test]
async fn a_slow_reader_can_still_send() {
    use tokio::io::AsyncWriteExt;
    let gateway = setup().quiet("$default").limits(|limits| limits.queue = 1).start().await;
    let mut slow = raw(&gateway).await;
    let id = gateway.event("$connect").await["requestContext"]["connectionId"].clone();
    let long = vec![b'x'; 131_072];
    while gateway.manage("POST", id.as_str().unwrap(), &long).await.status == 200 {}
    slow.write_all(&frame(TEXT, b"me too")).await.unwrap();
    assert_eq!(gateway.event("$default").await["body"], "me too");
}
