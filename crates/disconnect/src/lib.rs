//! `$disconnect`: removes a closed connection.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    store::connections::Connections,
};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    connections: Connections,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self { connections: Connections::from_configuration(configuration)? })
    }
}

/// API Gateway does not guarantee `$disconnect`. Without it, the first push to the connection removes it, or the user's next
/// connection after it has expired.
///
/// # Errors
/// [`Error::Unavailable`] and [`Error::Internal`] if the connection is not removed. Only the log shows it, because there is
/// no client to tell.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    context.connections.remove_closed(&request.user, &request.connection_id, request.received_at).await?;
    Ok(Reply::Nothing)
}
