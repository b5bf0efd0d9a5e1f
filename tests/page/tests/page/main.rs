//! The page, in Chromium, on the whole system.
//!
//! What is waited for is looked at in the page; nothing sleeps.

mod access;
mod outages;
mod talking;

use std::net::{SocketAddr, TcpListener};

use browser::{Page, Person};
use serde_json::{Value, json};
use support::Local;

/// A tab of `me`, who talks to `peer`, when it is connected.
async fn tab(person: &Person, chat: &Local, me: &str, peer: &str) -> Page {
    tab_at(person, &format!("{}?userId={me}&with={peer}", chat.page()), peer).await
}

/// As [`tab`], by a whole address.
async fn tab_at(person: &Person, url: &str, peer: &str) -> Page {
    let page = person.open(url).await;
    page.until(&format!("chat.connection.state === 'online' && chat.conversation({}).loaded", json!(peer))).await;
    page
}

/// Types a line and sends it, as a person does.
async fn say(page: &Page, text: &str) {
    page.value("document.querySelector('#text').focus()").await;
    page.write(text).await;
    page.press("Enter").await;
}

/// The texts that are shown, from top to bottom.
async fn shown(page: &Page) -> Value {
    page.value("[...document.querySelectorAll('#log .message p')].map((one) => one.innerText)").await
}

/// Waits until exactly these are shown.
async fn until_shown(page: &Page, texts: &[&str]) {
    let now = "JSON.stringify([...document.querySelectorAll('#log .message p')].map((one) => one.innerText))";
    page.until(&format!("{now} === {}", json!(json!(texts).to_string()))).await;
}

/// Waits until the last message shown has come this far.
async fn until_state(page: &Page, state: &str) {
    page.until(&format!("[...document.querySelectorAll('#log .message')].at(-1).dataset.state === '{state}'")).await;
}

/// What the table holds between two people, as a third device of the first one reads it.
async fn stored(chat: &Local, me: &str, peer: &str) -> Vec<Value> {
    chat.connect(me).await.catch_up(peer, 0).await.into_iter().map(|message| message.content.into()).collect()
}

/// A port that was free a moment ago, for a system whose configuration must name it.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where the sockets of a system are.
fn address(chat: &Local) -> SocketAddr {
    let host = chat.page().trim_start_matches("http://").trim_end_matches('/');
    host.parse().unwrap()
}
