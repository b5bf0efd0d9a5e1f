//! The client's side: a WebSocket client, HTTP responses, and frames byte by byte.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, http},
};

use crate::harness::{TestGateway, soon};

#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl HttpResponse {
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut response = Self { status: head[9..12].parse().unwrap(), head, body: String::new() };
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A client with an open socket.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) response: http::Response<Option<Vec<u8>>>,
}

impl Client {
    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into()).await.unwrap();
    }

    /// Sends a message for this route.
    pub(crate) async fn call(&mut self, action: &str) {
        self.send(json!({"action": action}).to_string()).await;
    }

    /// The next text.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match soon(self.socket.next()).await.unwrap().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The next text, which is JSON.
    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// Waits until the closing handshake is complete and the stream has ended. Returns the code and
    /// reason of the gateway.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let mut end = None;
        while let Some(Ok(message)) = soon(self.socket.next()).await {
            if let Message::Close(frame) = message {
                end = frame;
            }
        }
        let frame = end.expect("it ended without a close frame that has a code");
        (frame.code.into(), frame.reason.as_str().to_owned())
    }
}

/// The bytes of a masked frame, for frames that the client library refuses to send. The mask is
/// zero.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        medium @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// First bytes of frames: of an unfragmented text message, and of the first, a middle and the last
/// frame of a fragmented one.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const TEXT_FIRST: u8 = 0x01;
pub(crate) const TEXT_NEXT: u8 = 0x00;
pub(crate) const TEXT_LAST: u8 = 0x80;

/// An upgrade request for a raw stream.
pub(crate) fn upgrade_request(address: SocketAddr) -> String {
    format!(
        "GET /prod HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A raw stream after a successful upgrade.
pub(crate) async fn raw(gateway: &TestGateway) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(upgrade_request(gateway.address()).as_bytes()).await.unwrap();
    assert_eq!(soon(HttpResponse::read(&mut stream)).await.status, 101);
    stream
}

/// Code and reason of the next frame on a raw stream. Panics unless it is a close frame and the
/// last frame.
pub(crate) async fn raw_close(stream: &mut TcpStream) -> (u16, String) {
    let (first, length) = (soon(stream.read_u8()).await.unwrap(), stream.read_u8().await.unwrap());
    assert_eq!(first, 0x88, "not a close frame");
    let mut payload = vec![0; length.into()];
    stream.read_exact(&mut payload).await.unwrap();
    let rest = soon(stream.read(&mut [0])).await.unwrap();
    assert_eq!(rest, 0, "the stream goes on");
    let code = u16::from_be_bytes([payload[0], payload[1]]);
    (code, String::from_utf8(payload[2..].to_vec()).unwrap())
}
