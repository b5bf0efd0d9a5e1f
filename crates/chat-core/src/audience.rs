//! Who is told of what a caller did: the other one's connections, and the caller's others.

use crate::{
    clients::{Clients, Connection},
    delivery::Delivery,
    error::Error,
    frames,
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

/// Pushes a frame, and forgets the connections that turn out to be gone. One whose token has expired is not pushed that
/// frame, but told so and closed: whoever still holds a token of its user connects again.
pub async fn tell(
    frame: &str,
    connections: Vec<Connection>,
    delivery: &Delivery,
    clients: &Clients,
    request: &Request,
) {
    let now = request.received_at;
    let (expired, open): (Vec<_>, Vec<_>) = connections.into_iter().partition(|one| one.token_has_expired(now));
    let farewell = frames::error(&Error::TokenExpired, None);
    let push = async {
        let delivered = delivery.deliver(frame, open, now).await;
        request.measurements.delivered(frame.len(), delivered.pushed, delivered.gone, delivered.failed);
        delivered.gone_for_good
    };
    let (mut gone, also_gone) = tokio::join!(push, delivery.close(Some(&farewell), expired, now));
    gone.extend(also_gone);
    clients.forget(&gone).await;
}
