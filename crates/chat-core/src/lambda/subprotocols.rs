//! The header `Sec-WebSocket-Protocol`.

/// The header in which a client offers subprotocols; a browser can only send its token there.
pub(super) const HEADER: &str = "Sec-WebSocket-Protocol";

/// The subprotocols of one such header.
pub(super) fn parse(header: &str) -> impl Iterator<Item = String> {
    header.split(',').map(|subprotocol| subprotocol.trim().to_owned())
}
