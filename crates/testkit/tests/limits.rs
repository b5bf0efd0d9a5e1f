//! What the whole chat on this machine does with tokens that expire, and with who wants too much.

#![allow(clippy::unwrap_used, reason = "clippy.toml's allowance does not reach helpers of integration tests")]

use serde_json::{Value, json};
use testkit::{Client, Issuer, Local, Person};
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
async fn who_sends_too_fast_loses_nothing_by_repeating() {
    let chat = chat_with(&[("MessageRate", "20"), ("MessageBurst", "5")]).await;
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let mut refused = 0;
    for number in 0..15 {
        let named = json!({ "clientMessageId": number.to_string(), "lastSeq": number });
        loop {
            let answer = alice.send("bob", &number.to_string(), named.clone()).await;
            if answer["code"] == "rate_limited" {
                refused += 1;
                continue;
            }
            assert_eq!(answer["value"]["seq"], number + 1, "{answer}");
            break;
        }
    }
    assert!(refused > 0, "fifteen at once are more than five and what comes back meanwhile");
    assert_eq!(bob.send("alice", "Enough", json!({})).await["value"]["seq"], 16);
    let stored = alice.catch_up("bob", 0).await;
    let texts: Vec<_> = stored.iter().map(|message| message["content"].clone()).collect();
    let expected: Vec<_> =
        (0..15).map(|number| json!(number.to_string())).chain([json!("Enough")]).collect::<Vec<Value>>();
    assert_eq!(texts, expected);
    chat.stop().await;
}
