//! Who is told of what a caller did: the other one's connections, and the caller's others.

use futures_util::future::join_all;

use crate::{
    clients::{Clients, Connection},
    delivery::Delivery,
    error::{Error, chain},
    request::Request,
    user::UserId,
};

/// The connections of the caller's peer, and the caller's own but the one that asked.
///
/// # Errors
/// Those of DynamoDB.
pub async fn audience(clients: &Clients, peer: &UserId, request: &Request) -> Result<Vec<Connection>, Error> {
    let caller = &request.user;
    let (mut connections, own) = tokio::try_join!(clients.of(peer, request.received_at), async {
        if caller == peer { Ok(Vec::new()) } else { clients.of(caller, request.received_at).await }
    })?;
    connections.extend(own);
    connections.retain(|connection| connection.connection_id != request.connection_id);
    Ok(connections)
}

/// Pushes a frame, and forgets the connections that turn out to be gone.
pub async fn tell(
    frame: &str,
    connections: Vec<Connection>,
    delivery: &Delivery,
    clients: &Clients,
    request: &Request,
) {
    let gone = delivery.deliver(frame, connections, request.received_at).await;
    let removals = gone.iter().map(|connection| clients.remove(&connection.user_id, &connection.connection_id));
    for error in join_all(removals).await.into_iter().filter_map(Result::err) {
        tracing::warn!(cause = chain(&error), "a connection that is gone could not be forgotten");
    }
}
