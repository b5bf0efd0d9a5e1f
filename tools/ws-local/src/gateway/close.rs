//! `Close`: how a connection ended.

use tokio_tungstenite::tungstenite::{
    Error,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// The code and reason for `$disconnect`, and which side closed the connection.
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) by: ClosedBy,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum ClosedBy {
    Client,
    Gateway,
    /// By the gateway, after the client violated the protocol. No more frames can be read, because
    /// the next frame boundary is unknown.
    Violation,
    /// By the network: there was no closing handshake.
    Network,
}

impl Close {
    fn new(by: ClosedBy, code: CloseCode, reason: &str) -> Self {
        Self { code: code.into(), reason: reason.to_owned(), by }
    }

    pub(super) fn lost() -> Self {
        Self::new(ClosedBy::Network, CloseCode::Abnormal, "Connection closed abnormally")
    }

    /// Closed by a time-out, or because the gateway stops.
    pub(super) fn going_away() -> Self {
        Self::new(ClosedBy::Gateway, CloseCode::Away, "Going away")
    }

    /// Closed by a `DELETE` call to `@connections`.
    pub(super) fn deleted() -> Self {
        Self::new(ClosedBy::Gateway, CloseCode::Normal, "")
    }

    /// Closed because the client sent a binary message.
    pub(super) fn binary() -> Self {
        Self::new(ClosedBy::Gateway, CloseCode::Unsupported, "Binary frames are not supported")
    }

    pub(super) fn by_client(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self::new(ClosedBy::Client, frame.code, &frame.reason),
            None => Self::new(ClosedBy::Client, CloseCode::Status, "Client-side close frame status not set"),
        }
    }

    pub(super) fn by_error(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::new(ClosedBy::Violation, CloseCode::Size, "Message too long"),
            Error::Utf8(_) => Self::new(ClosedBy::Violation, CloseCode::Invalid, "Invalid UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::lost(),
            Error::Protocol(_) => Self::new(ClosedBy::Violation, CloseCode::Protocol, "Protocol error"),
            _ => Self::lost(),
        }
    }

    /// The close frame, if the gateway has to send one.
    pub(super) fn frame(&self) -> Option<CloseFrame> {
        let by_gateway = matches!(self.by, ClosedBy::Gateway | ClosedBy::Violation);
        by_gateway.then(|| CloseFrame { code: self.code.into(), reason: self.reason.as_str().into() })
    }
}
