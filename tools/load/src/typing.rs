//! `Typists`: clients that are typing while others exchange messages.

use std::{future::pending, sync::Arc, time::Duration};

use serde_json::json;
use support::{ChatClient, Local};
use tokio::time::interval;

/// Time between two frames of a client, as in the browser client.
const PAUSE: Duration = Duration::from_secs(8);

pub(crate) struct Typists(Vec<[Arc<ChatClient>; 2]>);

impl Typists {
    /// Connects pairs of clients that have a conversation, because the functions refuse `typing` without one.
    pub(crate) async fn connect(chat: &Local, count: usize) -> Self {
        let pairs = crate::connect(chat, "typist", count.div_ceil(2)).await;
        for [one, other] in &pairs {
            one.send(&other.user, "Hello", json!({})).await.expect("a first message is stored");
        }
        let typists = Self(pairs);
        typists.drain().await;
        typists
    }

    /// Sends `typing` from each client every 8 seconds, one after the other, until it is dropped.
    pub(crate) async fn keep_typing(&self) {
        let clients: Vec<_> = self.0.iter().flat_map(|[one, other]| [(one, other), (other, one)]).collect();
        if clients.is_empty() {
            return pending().await;
        }
        let mut tick = interval(PAUSE.div_f64(clients.len() as f64));
        for (client, peer) in clients.iter().cycle() {
            tick.tick().await;
            client.send_text(&json!({ "action": "typing", "targetId": peer.user }).to_string());
        }
    }

    /// The number of `typing` frames that arrived since the last call.
    pub(crate) async fn drain(&self) -> usize {
        let mut count = 0;
        for client in self.0.iter().flatten() {
            while let Some(frame) = client.buffered_frame().await {
                count += usize::from(frame["type"] == "typing");
            }
        }
        count
    }
}
