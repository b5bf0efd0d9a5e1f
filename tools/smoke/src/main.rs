//! Two people talk over a chat that runs somewhere, and the exit status says whether all went well.
//!
//! `make smoke URL=wss://…/prod` runs it. In open mode the two have names that nobody had before. Where people must prove
//! who they are, `TOKEN_A` and `TOKEN_B` are tokens of two of them, whose user ids are the claim that `USER_CLAIM` names
//! (`sub` unless it is set).

use std::{env, process::ExitCode, time::Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chat_client::{Client, Person, conversation};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Error;
use uuid::Uuid;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(url) = env::args().nth(1).filter(|url| url.starts_with("ws://") || url.starts_with("wss://")) else {
        eprintln!("smoke needs the address of a chat: ws://127.0.0.1:3000/prod, or the stack's output WebSocketUrl");
        return ExitCode::FAILURE;
    };
    let people = match ["TOKEN_A", "TOKEN_B"].map(|name| env::var(name).ok().filter(|token| !token.is_empty())) {
        [Some(a), Some(b)] => [a, b].map(|token| Person::with_token(&user_of(&token), &token)),
        [None, None] => ["a", "b"].map(|name| Person::named(&format!("smoke-{name}-{}", Uuid::new_v4()))),
        _ => {
            eprintln!("smoke needs both TOKEN_A and TOKEN_B, or neither");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = Client::connect_as(&url, &people[0]).await {
        eprintln!("smoke can't connect to {url}: {error}");
        if matches!(&*error, Error::Http(answer) if answer.status() == 401) {
            eprintln!(
                "There, people prove who they are: set TOKEN_A and TOKEN_B to good tokens of two of them. For\n\
                 `make run AUTH=jwt`, `target/debug/ws-local token alice` prints one."
            );
        }
        return ExitCode::FAILURE;
    }
    let began = Instant::now();
    conversation(&url, &people).await;
    println!("{url} is well: two people talked, in {:.1?}", began.elapsed());
    ExitCode::SUCCESS
}

/// Whose token it is; whether it is a good one is for the chat to find out.
fn user_of(token: &str) -> String {
    let claim = env::var("USER_CLAIM").unwrap_or_else(|_| "sub".to_owned());
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims: Option<Value> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    let user = claims.as_ref().and_then(|claims| claims[&claim].as_str());
    user.unwrap_or_else(|| panic!("a token is not a JWT with the claim {claim}")).to_owned()
}
