//! `smoke`: runs a two-user conversation against a chat. The exit status is the result.

use std::{env, process::ExitCode, time::Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chat_client::{ChatClient, ConnectError, User, conversation};
use clap::Parser;
use serde_json::Value;
use uuid::Uuid;

/// Runs a two-user conversation against a chat and checks every frame.
#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    /// WebSocket URL of the chat: the stack's output WebSocketUrl, or ws://127.0.0.1:3000/prod for `make run`.
    #[arg(value_parser = parse_url)]
    url: String,
}

const AFTER_HELP: &str = "\
Environment:
  TOKEN_A, TOKEN_B  tokens of two users, for a chat in JWT mode
  USER_CLAIM        claim of the tokens that holds the user id [default: sub]

In open mode the two users get new random names.

Exit status: 0 if the chat works, 1 if it does not, 2 if an argument is wrong.";

const TOKENS_NEEDED: &str = "\
This chat needs tokens. Set TOKEN_A and TOKEN_B to valid tokens of two users. For a chat that runs with
`make run AUTH=jwt`, `target/debug/ws-local token USER` prints one.";

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { url } = Arguments::parse();
    match run(url.clone()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("smoke: {url} FAILED: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the reason for a failure.
async fn run(url: String) -> Result<(), String> {
    let users = users()?;
    match ChatClient::connect_as(&url, &users[0]).await {
        Ok(client) => client.close().await,
        Err(error) if matches!(&*error, ConnectError::Http(response) if response.status() == 401) => {
            return Err(format!("{error}\n{TOKENS_NEEDED}"));
        }
        Err(error) => return Err(format!("can't connect: {error}")),
    }
    let start = Instant::now();
    let check = tokio::spawn({
        let url = url.clone();
        async move { conversation(&url, &users).await }
    });
    // The panic message already shows the frame that differs.
    check.await.map_err(|_| "the conversation does not follow the protocol, see above".to_owned())?;
    println!("smoke: {url} works: two users talked with two devices each, in {:.1?}", start.elapsed());
    Ok(())
}

fn parse_url(text: &str) -> Result<String, &'static str> {
    let is_websocket = text.starts_with("ws://") || text.starts_with("wss://");
    is_websocket.then(|| text.to_owned()).ok_or("it must begin with ws:// or wss://")
}

/// The users of the two tokens, or two users with new names.
fn users() -> Result<[User; 2], String> {
    match ["TOKEN_A", "TOKEN_B"].map(|name| env::var(name).ok().filter(|token| !token.is_empty())) {
        [Some(a), Some(b)] => Ok([user_of_token("TOKEN_A", &a)?, user_of_token("TOKEN_B", &b)?]),
        [None, None] => Ok(["a", "b"].map(|name| User::named(&format!("smoke-{name}-{}", Uuid::new_v4())))),
        _ => Err("set both TOKEN_A and TOKEN_B, or neither".to_owned()),
    }
}

/// Reads the user id without verifying the token; the chat verifies it.
fn user_of_token(variable: &str, token: &str) -> Result<User, String> {
    let claim = env::var("USER_CLAIM").unwrap_or_else(|_| "sub".to_owned());
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims: Option<Value> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    let id = claims.as_ref().and_then(|claims| claims[&claim].as_str());
    let id = id.ok_or_else(|| format!("{variable} is not a JWT with the claim {claim}"))?;
    Ok(User::with_token(id, token))
}
