//! Forgets a connection that is closed.

#![warn(clippy::unwrap_used)]

use chat_core::{Error, Reply, Request, clients::Clients};

/// Removes the row. `$disconnect` is best effort: where it never comes, the first push that finds the connection gone
/// removes it, and at the latest DynamoDB's TTL.
///
/// # Errors
/// Those of DynamoDB. Nobody is told; the log is.
pub async fn handle(clients: &Clients, request: Request) -> Result<Reply, Error> {
    clients.remove(&request.user, &request.connection_id).await?;
    Ok(Reply::Nothing)
}
