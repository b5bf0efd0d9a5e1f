//! Remembers a new connection.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    clients::{Clients, Connection, ConnectionLimit},
    delivery::Delivery,
    error::chain,
};

/// The subprotocol of the chat.
const SUBPROTOCOL: &str = "chat.v1";

/// What a connect works with.
pub type Door = (Clients, Delivery, ConnectionLimit);

/// Writes the row before the upgrade is answered, so that a client that is connected gets every message from then on.
/// Beside that, the user's other connections are read; where they are too many with this one, the oldest are closed.
///
/// # Errors
/// [`Error::BadRequest`] where the client offers subprotocols but not `chat.v1`: a browser would drop a connection
/// that selects none of its offers. [`Error::Unavailable`] and [`Error::Internal`] where the row can't be written.
pub async fn handle((clients, delivery, limit): &Door, request: Request) -> Result<Reply, Error> {
    let subprotocol = match request.subprotocols.as_slice() {
        [] => None,
        offers if offers.iter().any(|offer| offer == SUBPROTOCOL) => Some(SUBPROTOCOL),
        _ => return Err(Error::bad_request("the only subprotocol here is chat.v1")),
    };
    let Request { user, connection_id, connected_at, token_expires_at, received_at, .. } = request;
    let connection = Connection::new(user, connection_id, connected_at, token_expires_at);
    let (added, known) = tokio::join!(clients.add(&connection), clients.of(&connection.user_id, received_at));
    added?;
    match known {
        Ok(mut others) => {
            // It may or may not be among them already.
            others.retain(|other| other.connection_id != connection.connection_id);
            let gone = delivery.close(None, limit.excess(others), received_at).await;
            clients.forget(&gone).await;
        }
        // Whoever connects next counts again.
        Err(error) => tracing::warn!(cause = chain(&error), "the connections of a user could not be counted"),
    }
    Ok(Reply::Connected(subprotocol))
}
