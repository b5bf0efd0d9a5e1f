//! The line between a page and the gateway: what goes over it is seen, and it can be cut at any byte.

use std::{collections::HashMap, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async, tungstenite::Message};

use crate::{
    device::Device,
    fault::Fault,
    link::half_a_frame,
    page::Page,
    told::How,
    view::{State, short},
};

/// Sends of one connection that are not answered yet: their texts, by `ref`.
type Unanswered = HashMap<String, String>;

impl Device {
    /// Leads the page's connections to the gateway, until it is dropped.
    pub(crate) async fn relay(self: &Arc<Self>, page: &Page) {
        let mut lines = JoinSet::new();
        while let Ok((stream, _)) = page.listener.accept().await {
            let device = self.clone();
            lines.spawn(async move {
                if let Some(page) = &device.page {
                    device.lead(stream, page).await;
                }
            });
            while lines.try_join_next().is_some() {}
        }
    }

    async fn lead(self: &Arc<Self>, stream: TcpStream, page: &Page) {
        let cut = page.cut.notified();
        let mut cut = std::pin::pin!(cut);
        cut.as_mut().enable();
        // A connection that can't be made ends the page's attempt, too.
        let Some(mut gateway) = connect(&self.url()).await else { return };
        let Ok(mut client) = accept_async(stream).await else { return };
        let line = self.change(|state| {
            state.line += 1;
            state.lines.insert(state.line, false);
            state.line
        });
        self.note(format_args!("is connected, line {line}"));
        let mut unanswered = Unanswered::new();
        loop {
            let goes_on = tokio::select! {
                () = &mut cut => false,
                frame = client.next() => match frame {
                    Some(Ok(Message::Text(text))) => match self.asks(&text, &mut unanswered) {
                        Some(Fault::CutInFrame) => {
                            // It is cut either way.
                            let _ = gateway.get_mut().write_all(&half_a_frame(&text)).await;
                            false
                        }
                        cut => gateway.send(Message::Text(text)).await.is_ok() && cut.is_none(),
                    },
                    other => matches!(other, Some(Ok(Message::Ping(_) | Message::Pong(_)))),
                },
                frame = gateway.next() => match frame {
                    Some(Ok(Message::Text(text))) => {
                        self.is_told(&text, line, &mut unanswered);
                        client.send(Message::Text(text)).await.is_ok()
                    }
                    other => matches!(other, Some(Ok(Message::Ping(_) | Message::Pong(_)))),
                },
            };
            if !goes_on {
                break;
            }
        }
        self.note(format_args!("is not connected any more, line {line}"));
        self.change(|state| state.lines.remove(&line));
    }

    /// A frame of the page; how its line is to be cut.
    fn asks(&self, text: &str, unanswered: &mut Unanswered) -> Option<Fault> {
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        if frame["action"] != "sendMessage" {
            return None;
        }
        let content = frame["content"].as_str().unwrap_or_default().to_owned();
        self.note(format_args!("sends {content:.30?}, lastSeq {}", frame["lastSeq"]));
        if unanswered.values().any(|one| *one == content) && !self.storm.is_calm() {
            self.storm.strike(Fault::Repeated, &self.plan.name);
        }
        let cut = self.change(|state| {
            state.told.attempts += 1;
            let outbox = &mut state.chat(frame["recipientId"].as_str().unwrap_or_default()).outbox;
            let (draft, attempt) = outbox.iter_mut().find(|(draft, _)| draft.content == content)?;
            *attempt += 1;
            draft.cut.filter(|_| *attempt == 1)
        });
        unanswered.insert(frame["ref"].as_str().unwrap_or_default().to_owned(), content);
        let cut = cut.filter(|_| !self.storm.is_calm());
        cut.inspect(|fault| self.storm.strike(*fault, &self.plan.name))
    }

    /// A frame for the page.
    fn is_told(&self, text: &str, line: u64, unanswered: &mut Unanswered) {
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        frame["ref"].as_str().and_then(|name| unanswered.remove(name));
        let value = &frame["value"];
        match frame["type"].as_str() {
            Some("message") => {
                self.note(format_args!("is pushed {}", short(value)));
                self.change(|state| state.meet(value, How::Pushed));
            }
            Some("messages") => self.change(|state| {
                value["messages"].as_array().into_iter().flatten().for_each(|one| state.meet(one, How::Listed));
            }),
            Some("conversations") => self.change(|state| {
                let rows = value["conversations"].as_array().into_iter().flatten();
                rows.for_each(|row| state.meet(&row["lastMessage"], How::Listed));
                if let Some(is_synced) = state.lines.get_mut(&line) {
                    *is_synced |= value["lastEvaluatedKey"].is_null();
                }
            }),
            Some("error") => self.note(format_args!("gets {frame}")),
            _ => {}
        }
    }
}

impl State {
    /// A message goes over the line.
    fn meet(&mut self, message: &Value, how: How) {
        let peer = self.told.peer(message);
        self.told.seen.push((how, message.clone()));
        let seq = message["seq"].as_u64().unwrap_or_default();
        match self.chats.get_mut(&peer) {
            Some(chat) => chat.newest = chat.newest.max(seq),
            None => {
                self.told.wrong.push(format!("it was shown a message of a conversation that it is not in: {message}"))
            }
        }
    }
}

async fn connect(url: &str) -> Option<WebSocketStream<TcpStream>> {
    let address = url.trim_start_matches("ws://").split('/').next()?;
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(client_async(url, stream).await.ok()?.0)
}
