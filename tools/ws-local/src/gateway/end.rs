//! How a connection ended.

use tokio_tungstenite::tungstenite::{
    Error,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// What `$disconnect` is told, and what is left to do for the socket.
pub(super) struct End {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) way: Way,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// The client closed it.
    Client,
    /// The gateway closes it.
    Gateway,
    /// The gateway closes it after something that leaves nothing to read: no frame boundary is known any more.
    Garbled,
    /// It is not there any more.
    Lost,
}

impl End {
    fn new(way: Way, code: CloseCode, reason: &str) -> Self {
        Self { code: code.into(), reason: reason.to_owned(), way }
    }

    pub(super) fn lost() -> Self {
        Self::new(Way::Lost, CloseCode::Abnormal, "Connection closed abnormally")
    }

    /// Its time is up, or the gateway's.
    pub(super) fn going_away() -> Self {
        Self::new(Way::Gateway, CloseCode::Away, "Going away")
    }

    /// By a `DELETE`.
    pub(super) fn deleted() -> Self {
        Self::new(Way::Gateway, CloseCode::Normal, "")
    }

    /// By a message that is not text.
    pub(super) fn binary() -> Self {
        Self::new(Way::Gateway, CloseCode::Unsupported, "Binary frames are not supported")
    }

    pub(super) fn by_client(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self::new(Way::Client, frame.code, &frame.reason),
            None => Self::new(Way::Client, CloseCode::Status, "Client-side close frame status not set"),
        }
    }

    pub(super) fn by_error(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::new(Way::Garbled, CloseCode::Size, "Message too long"),
            Error::Utf8(_) => Self::new(Way::Garbled, CloseCode::Invalid, "Invalid UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::lost(),
            Error::Protocol(_) => Self::new(Way::Garbled, CloseCode::Protocol, "Protocol error"),
            _ => Self::lost(),
        }
    }

    /// The close frame that says so, where the gateway is the one to close.
    pub(super) fn frame(&self) -> Option<CloseFrame> {
        let ours = matches!(self.way, Way::Gateway | Way::Garbled);
        ours.then(|| CloseFrame { code: self.code.into(), reason: self.reason.as_str().into() })
    }
}
