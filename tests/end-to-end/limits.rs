//! Token expiry, connection limits and rate limits, tested on the complete local system.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use support::{ChatClient, Local, LocalIssuer, User};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Starts the system with these template parameters.
async fn start_with_parameters(parameters: &[(&str, &str)]) -> Local {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Local::start_with(|options| options.parameters.extend(parameters)).await
}

#[tokio::test]
async fn a_socket_does_not_outlive_its_token() {
    let keys = tempfile::tempdir().unwrap();
    let issuer = LocalIssuer::start(keys.path()).await;
    let chat = Local::start_with(|options| issuer.trusted_by(options)).await;
    let connect = async |user: &str, expires_in| {
        let user = User::with_token(user, &issuer.token(user, expires_in));
        ChatClient::connect_as(chat.websocket(), &user).await.unwrap_or_else(|error| panic!("{}: {error}", user.id))
    };
    // `$connect` accepts a token for up to a minute after it expires. Messages have no such
    // tolerance.
    let (alice, bob) = tokio::join!(connect("alice", 3_600), connect("bob", 3_600));
    let (stolen, listening) = tokio::join!(connect("bob", -30), connect("bob", -30));

    assert_eq!(stolen.messages("alice", json!({})).await.unwrap_err().code, "token_expired");
    assert_eq!(stolen.closed().await.unwrap().code, CloseCode::Normal);

    alice.send("bob", "Hi", json!({})).await.unwrap();
    assert_eq!(bob.next_message().await.content, "Hi");
    assert_eq!(listening.next_error().await.code, "token_expired", "it gets the error, and no message");
    assert_eq!(listening.closed().await.unwrap().code, CloseCode::Normal);
    assert_eq!(listening.buffered_frame().await, None);
    chat.wait_for_connections("bob", 1).await;
    chat.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_closes_the_oldest_one() {
    let chat = start_with_parameters(&[("MaxConnections", "2")]).await;
    let first = chat.connect("alice").await;
    let second = chat.connect("alice").await;
    let bob = chat.connect("bob").await;
    let third = chat.connect("alice").await;

    assert_eq!(first.closed().await.unwrap().code, CloseCode::Normal);
    chat.wait_for_connections("alice", 2).await;
    bob.send("alice", "Hi", json!({})).await.unwrap();
    for device in [&second, &third] {
        assert_eq!(device.next_message().await.content, "Hi");
    }
    assert_eq!(first.buffered_frame().await, None);
    chat.stop().await;
}

#[tokio::test]
async fn a_rate_limited_client_loses_no_message_when_it_retries_after_the_given_time() {
    let chat = start_with_parameters(&[("MessageRate", "1"), ("MessageBurst", "8")]).await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let sends = (0..10).map(async |number| {
        let named = json!({ "clientMessageId": number.to_string(), "lastSeq": 0 });
        let mut refused = 0;
        loop {
            match alice.send("bob", &number.to_string(), named.clone()).await {
                Ok(sent) => return (sent.seq, refused),
                Err(error) => {
                    assert_eq!(error.code, "rate_limited", "{error:?}");
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(error.retry_after.unwrap())).await;
                }
            }
        }
    });
    let (mut seqs, refused): (Vec<_>, Vec<u64>) = join_all(sends).await.into_iter().unzip();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    assert!(refused.iter().sum::<u64>() >= 2, "ten at once are two more than the burst of eight");
    let other = bob.send("alice", "Enough", json!({})).await;
    assert_eq!(other.unwrap().seq, 11, "the limit of one user does not slow down another");
    assert_eq!(alice.catch_up("bob", 0).await.len(), 11);
    chat.stop().await;
}
