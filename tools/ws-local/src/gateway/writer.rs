//! `Writer`: the sending half of a socket.

use std::{collections::VecDeque, future::poll_fn};

use futures_util::{SinkExt, stream::SplitSink};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Sends messages in frames of limited size. If a call is cancelled, the next call first sends the
/// remaining frames, so no message is left incomplete.
pub(super) struct Writer {
    pub(super) sink: SplitSink<Socket, Message>,
    frame: usize,
    unsent: VecDeque<Message>,
}

impl Writer {
    /// Splits texts into frames of at most `frame` bytes.
    pub(super) fn new(sink: SplitSink<Socket, Message>, frame: usize) -> Self {
        Self { sink, frame: frame.max(1), unsent: VecDeque::new() }
    }

    /// Sends the frames that are left from earlier calls, and then `text`.
    pub(super) async fn send(&mut self, text: String) -> Result<(), Error> {
        if text.len() <= self.frame {
            self.unsent.push_back(Message::text(text));
        } else {
            self.unsent.extend(parts(text.as_bytes(), self.frame));
        }
        self.flush().await
    }

    /// Sends the frames that are left from earlier calls.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        while !self.unsent.is_empty() {
            // Don't use `feed`: if it is cancelled while it waits, it drops its frame.
            poll_fn(|context| self.sink.poll_ready_unpin(context)).await?;
            if let Some(frame) = self.unsent.pop_front() {
                self.sink.start_send_unpin(frame)?;
            }
        }
        self.sink.flush().await
    }
}

/// The frames of one message.
fn parts(text: &[u8], size: usize) -> impl Iterator<Item = Message> {
    let last = text.len().div_ceil(size) - 1;
    text.chunks(size).enumerate().map(move |(n, part)| {
        let code = OpCode::Data(if n == 0 { Data::Text } else { Data::Continue });
        Message::Frame(Frame::message(part.to_vec(), code, n == last))
    })
}
