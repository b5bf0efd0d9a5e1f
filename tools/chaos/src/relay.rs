//! `Relay`: a WebSocket relay between a client and the gateway. An observer sees every text frame and can cut the
//! connection inside or after one.

use std::{io, sync::Arc};

use chat_client::{Cut, half_frame};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async, client_async,
    tungstenite::{Message, handshake::server::Request},
};

/// Observes one connection.
pub(crate) trait Observer: Send + 'static {
    /// The user whose connections are relayed. A client that stays open after its run may find its port used by another relay.
    fn user(&self) -> &str;
    /// URL to connect to.
    fn upstream(&self) -> String;
    /// Both sides are connected.
    fn opened(&mut self);
    /// A text frame of the client, before it is forwarded. Returns where to cut the connection.
    fn client_frame(&mut self, text: &str) -> Option<Cut>;
    /// A text frame of the gateway, before it is forwarded.
    fn gateway_frame(&mut self, text: &str);
    /// The connection has ended.
    fn closed(&mut self);
}

pub(crate) struct Relay {
    listener: TcpListener,
    url: String,
    cut: Arc<Notify>,
}

impl Relay {
    /// Listens on a free port.
    pub(crate) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("ws://{}/prod", listener.local_addr()?);
        Ok(Self { listener, url, cut: Arc::default() })
    }

    /// URL for the client.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts all open connections.
    pub(crate) fn cut_all(&self) {
        self.cut.notify_waiters();
    }

    /// Relays connections until the returned future is dropped.
    pub(crate) async fn run<O: Observer>(&self, observer: impl Fn() -> O) {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = self.listener.accept().await {
            connections.spawn(relay(stream, observer(), self.cut.clone()));
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn relay(stream: TcpStream, mut observer: impl Observer, cut: Arc<Notify>) {
    let mut cut = std::pin::pin!(cut.notified());
    cut.as_mut().enable();
    // If a connection fails here, it also fails for the client, which retries.
    let Some(mut gateway) = connect(&observer.upstream()).await else { return };
    let Some(mut client) = accept(stream, observer.user()).await else { return };
    observer.opened();
    loop {
        let goes_on = tokio::select! {
            () = &mut cut => false,
            frame = client.next() => match frame {
                Some(Ok(Message::Text(text))) => match observer.client_frame(&text) {
                    Some(Cut::InsideFrame) => {
                        // The connection ends even if this fails.
                        let _ = gateway.get_mut().write_all(&half_frame(&text)).await;
                        false
                    }
                    cut => gateway.send(Message::Text(text)).await.is_ok() && cut.is_none(),
                },
                other => matches!(other, Some(Ok(Message::Ping(_) | Message::Pong(_)))),
            },
            frame = gateway.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    observer.gateway_frame(&text);
                    client.send(Message::Text(text)).await.is_ok()
                }
                other => matches!(other, Some(Ok(Message::Ping(_) | Message::Pong(_)))),
            },
        };
        if !goes_on {
            break;
        }
    }
    observer.closed();
}

/// Accepts a connection of this user.
#[allow(clippy::result_large_err, reason = "tungstenite gives the type of the callback")]
async fn accept(stream: TcpStream, user: &str) -> Option<WebSocketStream<TcpStream>> {
    let mut is_user = false;
    let check = |request: &Request, response| {
        let query = request.uri().query().unwrap_or_default();
        let mut values = query.split('&').filter_map(|parameter| parameter.strip_prefix("userId="));
        is_user = values.next().is_some_and(|value| value.replace("%7E", "~") == user);
        Ok(response)
    };
    let client = accept_hdr_async(stream, check).await.ok()?;
    is_user.then_some(client)
}

async fn connect(url: &str) -> Option<WebSocketStream<TcpStream>> {
    let address = url.trim_start_matches("ws://").split('/').next()?;
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(client_async(url, stream).await.ok()?.0)
}
