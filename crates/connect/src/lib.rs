//! Remembers a new connection.

use chat_core::{
    Error, Reply, Request,
    clients::{Clients, Connection},
};

/// The subprotocol of the chat.
const SUBPROTOCOL: &str = "chat.v1";

/// Writes the row before the upgrade is answered, so that a client that is connected gets every message from then on.
///
/// # Errors
/// [`Error::BadRequest`] where the client offers subprotocols but not `chat.v1`: a browser would drop a connection
/// that selects none of its offers. [`Error::Unavailable`] and [`Error::Internal`] where the row can't be written.
pub async fn handle(clients: &Clients, request: Request) -> Result<Reply, Error> {
    let subprotocol = match request.subprotocols.as_slice() {
        [] => None,
        offers if offers.iter().any(|offer| offer == SUBPROTOCOL) => Some(SUBPROTOCOL),
        _ => return Err(Error::bad_request("the only subprotocol here is chat.v1")),
    };
    clients.add(&Connection::new(request.user, request.connection_id, request.connected_at)).await?;
    Ok(Reply::Connected(subprotocol))
}
