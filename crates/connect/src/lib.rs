//! `$connect`: stores a new connection.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    push::fanout::Fanout,
    store::connections::{ClientName, Connection, ConnectionLimit, Connections},
};

/// The subprotocol of the chat.
const SUBPROTOCOL: &str = "chat.v1";

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    connections: Connections,
    fanout: Fanout,
    limit: ConnectionLimit,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            connections: Connections::from_configuration(configuration)?,
            fanout: Fanout::from_configuration(configuration)?,
            limit: ConnectionLimit::from_configuration(configuration)?,
        })
    }
}

/// Stores the connection before the upgrade is accepted, so that a connected client gets every message from then on. If it
/// exceeds the limit, an earlier connection of the same client is closed, or the oldest. Removes what it closes, and the
/// connections that ended without `$disconnect`.
///
/// # Errors
/// [`Error::BadRequest`] if the client offers subprotocols but not `chat.v1`, because a browser closes a connection that
/// selects none of its offers, and if the client's name is too long. [`Error::Unavailable`] and [`Error::Internal`] if the
/// connection is not stored.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    let subprotocol = match request.subprotocols.as_slice() {
        [] => None,
        offers if offers.iter().any(|offer| offer == SUBPROTOCOL) => Some(SUBPROTOCOL),
        _ => return Err(Error::bad_request("the only subprotocol here is chat.v1")),
    };
    let Request { user, connection_id, connected_at, token_expires_at, client, received_at: now, .. } = request;
    let client = client.map(ClientName::new).transpose()?;
    let connection = Connection::new(user, connection_id, connected_at, token_expires_at, client);
    let others = context.connections.add(&connection).await?;
    let (mut ended, open): (Vec<_>, Vec<_>) = others.into_iter().partition(|other| other.has_expired(now));
    ended.extend(context.fanout.close(context.limit.excess(&connection, open), now).await);
    context.connections.remove_ended(&ended).await;
    Ok(Reply::Connected(subprotocol))
}
