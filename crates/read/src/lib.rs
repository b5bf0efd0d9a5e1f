//! Notes how far a user has read, and tells everyone whom it concerns.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    audience::{audience, tell},
    clients::Clients,
    conversation::{ConversationId, Seq},
    conversations::{Conversations, Marked},
    deadline::in_time,
    delivery::Delivery,
    error::chain,
    frames::{self, MarkRead, Receipt},
    messages::Messages,
};

/// What a receipt works with.
pub type Chat = (Messages, Conversations, Clients, Delivery);

/// A mark moves forward only, and only onto a message that exists. One that comes late, or again, changes nothing, is told
/// to nobody, and is answered with how far the caller has read already.
///
/// # Errors
/// [`Error::BadRequest`] where the frame is not a `markRead` or there is no such message, and those of DynamoDB.
pub async fn handle((messages, conversations, clients, delivery): &Chat, request: Request) -> Result<Reply, Error> {
    let MarkRead { target_id: peer, seq } = request.body()?;
    if seq == Seq::NONE {
        return Err(Error::bad_request("seq: the first message is 1; send the seq of one that you hold"));
    }
    let conversation_id = ConversationId::between(&request.user, &peer);
    let exists = messages.existence(&conversation_id, seq)?;
    let mark = in_time(&request, conversations.mark_read(&request.user, &peer, seq, exists));
    let (marked, connections) = tokio::join!(mark, in_time(&request, audience(clients, &peer, &request)));
    let receipt = |seq| Receipt { conversation_id, user_id: request.user.clone(), seq };
    let receipt = match marked? {
        Marked::Already(seq) => return Ok(Reply::Read(receipt(seq))),
        Marked::Moved => receipt(seq),
    };
    let told = in_time(&request, async {
        tell(&frames::push_receipt(&receipt), connections?, delivery, clients, &request).await;
        Ok(())
    });
    if let Err(error) = told.await {
        // The mark is stored: whoever misses it sees it with the next one, or in the inbox.
        tracing::warn!(cause = chain(&error), "a stored receipt was not delivered to everyone");
    }
    Ok(Reply::Read(receipt))
}
