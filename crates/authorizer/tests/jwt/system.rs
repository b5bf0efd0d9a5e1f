//! The same attacks on the whole local system: real upgrades, their statuses, and every logged line.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use serde_json::json;
use support::{ChatClient, Local, User};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest, http::HeaderValue},
};
use ws_local::{event::EventSink, functions::FunctionOptions};

use crate::{
    Claims,
    forged::{Keys, forged},
    log::assert_absent,
};
use support::jwt::{JwksServer, Key};

/// API Gateway's maximum length of a URL in characters, less room for the host.
const LONGEST_QUERY: usize = 4_000;

/// Starts the system in JWT mode with this issuer, at the lowest log level, and captures its lines.
async fn start(issuer: &JwksServer) -> (Local, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let parameters = [
        ("AuthMode", "jwt"),
        ("JwtJwksUrl", issuer.url.as_str()),
        ("JwtIssuer", "https://issuer.example/"),
        ("JwtAudience", "chat"),
    ];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let chat = Local::start_with(|options| {
        options.parameters = parameters.into();
        let environment = [("AWS_LAMBDA_LOG_LEVEL".to_owned(), "TRACE".to_owned())].into();
        options.functions = FunctionOptions { environment, ..FunctionOptions::default() };
        options.events = EventSink::new(move |event| written.lock().unwrap().push(format!("{event:?}")));
    });
    (chat.await, lines)
}

/// The status of an upgrade with this query and these subprotocols (101 if it succeeds), and the rest of the response.
async fn upgrade(chat: &Local, query: &str, subprotocols: &str) -> (u16, String) {
    let mut request = format!("{}?{query}", chat.websocket()).into_client_request().unwrap();
    if !subprotocols.is_empty() {
        let header = HeaderValue::from_str(subprotocols).unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", header);
    }
    match connect_async(request).await {
        Ok((_, answer)) => (answer.status().as_u16(), format!("{:?}", answer.headers())),
        Err(Error::Http(refusal)) => {
            let body = String::from_utf8_lossy(refusal.body().as_deref().unwrap_or_default()).into_owned();
            (refusal.status().as_u16(), format!("{:?} {body}", refusal.headers()))
        }
        Err(other) => panic!("{other}"),
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'.' | b'-' | b'_' => (byte as char).to_string(),
            _ if byte.is_ascii_alphanumeric() => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn current_claims() -> Claims {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    Claims { now, lasting: 600 }
}

#[tokio::test]
async fn no_forged_token_opens_a_connection_and_none_is_logged() {
    let keys = Keys::new();
    let issuer = JwksServer::start(&keys.all()).await;
    let (chat, lines) = start(&issuer).await;
    let (mut tokens, mut refused) = (Vec::new(), 0);
    for (attack, token, status) in forged(&keys, current_claims()) {
        let query = format!("token={}", encoded(&token));
        if query.len() < LONGEST_QUERY {
            let (code, response) = upgrade(&chat, &query, "").await;
            assert_eq!(code, status, "{attack}");
            assert_absent(&response, &token, &attack);
            refused += 1;
        }
        if token.len() < 100_000 && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
            let (code, response) = upgrade(&chat, "", &format!("chat.v1, {token}")).await;
            assert_eq!(code, status, "{attack}");
            assert_absent(&response, &token, &attack);
            refused += 1;
        }
        tokens.push(token);
    }
    assert!(refused > 400, "{refused}");

    // Valid tokens open connections, and are not logged either.
    let of = current_claims();
    let good: Vec<_> = keys
        .all()
        .iter()
        .flat_map(|key| [of.claims(), of.claiming("sub", "bob")].map(|claims| key.token(&claims)))
        .collect();
    for token in &good {
        assert_eq!(upgrade(&chat, &format!("token={token}"), "").await.0, 101);
        let (code, response) = upgrade(&chat, "", &format!("chat.v1, {token}")).await;
        assert_eq!((code, response.contains("chat.v1")), (101, true), "{response}");
        assert_absent(&response, token, "a valid token");
        for (query, subprotocols) in [
            (format!("token={token}&userId=mallory"), String::new()),
            (format!("token={token}&token={token}"), String::new()),
            (format!("token={token}"), format!("chat.v1, {}x", good[0])),
        ] {
            assert_eq!(upgrade(&chat, &query, &subprotocols).await.0, 403);
        }
        let (code, response) = upgrade(&chat, &format!("token={token}"), token).await;
        assert_eq!(code, 400, "without chat.v1 a browser would drop the connection");
        assert_absent(&response, token, "a valid token");
    }
    let alice = ChatClient::connect_as(chat.websocket(), &User::with_token("alice", &good[0])).await.unwrap();
    let bob = ChatClient::connect_as(chat.websocket(), &User::with_token("bob", &good[1])).await.unwrap();
    alice.send("bob", "Hi", json!({ "senderId": "mallory" })).await.unwrap();
    let push = bob.next_message().await;
    assert_eq!((push.sender_id.as_str(), push.content.as_str()), ("alice", "Hi"));
    assert_eq!(alice.request(json!({ "action": "getMessages", "targetId": good[0] })).await["code"], "bad_request");
    for client in [alice, bob] {
        client.close().await;
    }
    chat.stop().await;

    let log = lines.lock().unwrap().join("\n");
    for expected in ["a connection was refused", "the token's signature is wrong", "$connect", "sendMessage"] {
        assert!(log.contains(expected), "the log holds {expected}");
    }
    for token in tokens.iter().chain(&good) {
        assert_absent(&log, token, "the whole log");
    }
    assert_eq!(issuer.fetches(), 1, "no second fetch for unknown keys within a minute");
}

#[tokio::test]
async fn a_token_that_has_just_expired_opens_a_connection_that_can_do_nothing() {
    let key = Key::ed25519("ed");
    let issuer = JwksServer::start(&[&key]).await;
    let (chat, lines) = start(&issuer).await;
    let of = current_claims();
    let token = key.token(&of.claiming("exp", of.now - 1));
    let alice = User::with_token("alice", &token);
    for frame in [
        json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi" }),
        json!({ "action": "getMessages", "targetId": "bob" }),
        json!({ "action": "ping" }),
    ] {
        let alice = ChatClient::connect_as(chat.websocket(), &alice).await.unwrap();
        assert_eq!(alice.request(frame).await["code"], "token_expired");
        assert!(alice.closed().await.is_some());
    }
    chat.stop().await;
    for line in lines.lock().unwrap().iter() {
        assert_absent(line, &token, "the whole log");
    }
}
