//! What the whole chat on this machine does with tokens that expire, and with who wants too much.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use support::{Client, Issuer, Local, Person};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// With these parameters of the template.
async fn chat_with(parameters: &[(&str, &str)]) -> Local {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Local::start_with(|options| options.parameters.extend(parameters)).await
}

#[tokio::test]
async fn a_socket_does_not_outlive_its_token() {
    let keys = tempfile::tempdir().unwrap();
    let issuer = Issuer::start(keys.path()).await;
    let chat = Local::start_with(|options| issuer.trusted_by(options)).await;
    let connect = async |user: &str, expires_in| {
        let person = Person::with_token(user, &issuer.token(user, expires_in));
        Client::connect_as(chat.websocket(), &person).await.unwrap_or_else(|error| panic!("{user}: {error}"))
    };
    // A token may be a minute late on connecting; messages are measured to the second.
    let (alice, bob) = tokio::join!(connect("alice", 3_600), connect("bob", 3_600));
    let (stolen, listening) = tokio::join!(connect("bob", -30), connect("bob", -30));

    let refused = stolen.ask(json!({ "action": "getMessages", "targetId": "alice" })).await;
    assert_eq!(refused["code"], "token_expired");
    assert_eq!(stolen.closed().await.unwrap().code, CloseCode::Normal);

    assert_eq!(alice.send("bob", "Hi", json!({})).await["type"], "sent");
    assert_eq!(bob.next().await["value"]["content"], "Hi");
    assert_eq!(listening.next().await["code"], "token_expired", "it hears that, and no message");
    assert_eq!(listening.closed().await.unwrap().code, CloseCode::Normal);
    assert_eq!(listening.already_there().await, None);
    chat.until_connections("bob", 1).await;
    chat.stop().await;
}

#[tokio::test]
async fn the_oldest_connection_makes_room_for_one_too_many() {
    let chat = chat_with(&[("MaxConnections", "2")]).await;
    let first = chat.connect("alice").await;
    let second = chat.connect("alice").await;
    let bob = chat.connect("bob").await;
    let third = chat.connect("alice").await;

    assert_eq!(first.closed().await.unwrap().code, CloseCode::Normal);
    chat.until_connections("alice", 2).await;
    bob.send("alice", "Hi", json!({})).await;
    for device in [&second, &third] {
        assert_eq!(device.next().await["value"]["content"], "Hi");
    }
    assert_eq!(first.already_there().await, None);
    chat.stop().await;
}

#[tokio::test]
async fn who_sends_too_fast_loses_nothing_by_repeating_when_told() {
    let chat = chat_with(&[("MessageRate", "1"), ("MessageBurst", "8")]).await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let sends = (0..10).map(async |number| {
        let named = json!({ "clientMessageId": number.to_string(), "lastSeq": 0 });
        let mut refused = 0;
        loop {
            let answer = alice.send("bob", &number.to_string(), named.clone()).await;
            if answer["type"] == "sent" {
                return (answer["value"]["seq"].as_u64().unwrap(), refused);
            }
            assert_eq!(answer["code"], "rate_limited", "{answer}");
            refused += 1;
            let wait = answer["retryAfter"].as_u64().unwrap();
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    });
    let (mut seqs, refused): (Vec<_>, Vec<u64>) = join_all(sends).await.into_iter().unzip();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    assert!(refused.iter().sum::<u64>() >= 2, "ten at once are two more than eight");
    assert_eq!(bob.send("alice", "Enough", json!({})).await["value"]["seq"], 11, "nobody else is slowed down");
    assert_eq!(alice.catch_up("bob", 0).await.len(), 11);
    chat.stop().await;
}
