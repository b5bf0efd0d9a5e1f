//! `markRead`: stores how far a user has read, and pushes a read receipt.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::{
        conversation::{ConversationId, Seq},
        error::chain,
    },
    protocol::{
        codec,
        deadline::in_time,
        position::{Evidence, Positions},
        replies::ReadReceipt,
        requests::MarkRead,
    },
    push::fanout::Fanout,
    store::{
        inboxes::{Inboxes, MarkOutcome},
        messages::Messages,
    },
};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    messages: Messages,
    inboxes: Inboxes,
    fanout: Fanout,
    positions: Positions,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            messages: Messages::from_configuration(configuration)?,
            inboxes: Inboxes::from_configuration(configuration)?,
            fanout: Fanout::from_configuration(configuration)?,
            positions: Positions::from_configuration(configuration)?,
        })
    }
}

/// A read position only moves forward, and only to an entry that exists. A late or repeated `markRead` changes nothing,
/// pushes nothing, and gets the stored position as its reply.
///
/// # Errors
/// [`Error::BadRequest`] if the frame is not a `markRead` or the entry does not exist, [`Error::Unavailable`] and
/// [`Error::Internal`] if the position is not stored.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    let MarkRead { target_id: peer, seq, position } = request.body()?;
    if seq == Seq::NONE {
        return Err(Error::bad_request("seq: the first entry is 1; send the seq of one that you hold"));
    }
    let conversation = ConversationId::between(&request.user, &peer);
    let evidence = position.map(|position| context.positions.read(&position, (&request.user, &peer)));
    let mark = async {
        let proved = match evidence {
            Some(Evidence::Proof(end)) => end.read_position_at(seq),
            _ => None,
        };
        let position = match proved {
            Some(position) => position,
            None => match context.messages.end_at(&conversation, seq).await? {
                Some(end) => end.read_position(),
                None => {
                    return Err(Error::bad_request(
                        "seq: the conversation has no such entry; send the seq of one that you hold",
                    ));
                }
            },
        };
        context.inboxes.mark_read(&request.user, &peer, position).await
    };
    let (position, recipients) =
        tokio::join!(in_time(&request, mark), in_time(&request, context.fanout.recipients(&request, &peer)));
    let receipt = |seq| ReadReceipt {
        conversation_id: conversation.clone(),
        user_id: request.user.clone(),
        peer_id: peer.clone(),
        seq,
    };
    let receipt = match position? {
        MarkOutcome::Unchanged(seq) => return Ok(Reply::Read(receipt(seq))),
        MarkOutcome::Advanced => receipt(seq),
    };
    let delivered = in_time(&request, async {
        context.fanout.push(&request, &codec::encode_receipt_push(&receipt), recipients?).await;
        Ok(())
    });
    if let Err(error) = delivered.await {
        // The position is stored. A client that misses the push sees it with the next one, or in the inbox.
        tracing::warn!(cause = chain(&error), "a stored read position was not pushed to every recipient");
    }
    Ok(Reply::Read(receipt))
}
