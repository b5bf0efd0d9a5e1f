//! `markRead`: stores how far a user has read, and pushes a read receipt.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::{
        conversation::{Recipient, Seq},
        error::chain,
        user::UserId,
    },
    protocol::{
        codec,
        deadline::in_time,
        position::{Evidence, Positions},
        replies::ReadReceipt,
        requests::{MarkRead, recipient},
    },
    push::fanout::Fanout,
    store::{
        inboxes::{Inboxes, MarkOutcome},
        members::{Admission, Members},
        messages::Messages,
    },
};

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    messages: Messages,
    inboxes: Inboxes,
    members: Members,
    fanout: Fanout,
    positions: Positions,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            messages: Messages::from_configuration(configuration)?,
            inboxes: Inboxes::from_configuration(configuration)?,
            members: Members::from_configuration(configuration)?,
            fanout: Fanout::from_configuration(configuration)?,
            positions: Positions::from_configuration(configuration)?,
        })
    }
}

/// Read receipts go to the other members of a group with at most this many. In a larger one they would be pushed to more
/// connections than messages are.
const MAX_RECEIPT_MEMBERS: usize = 20;

const NO_SUCH_ENTRY: &str = "seq: the conversation has no such entry; send the seq of one that you hold";

/// A read position only moves forward, and only to an entry that exists. A late or repeated `markRead` changes nothing,
/// pushes nothing, and gets the stored position as its reply.
///
/// # Errors
/// [`Error::BadRequest`] if the frame is not a `markRead` or the entry does not exist, those of [`Members::admit`],
/// [`Error::Unavailable`] and [`Error::Internal`] if the position is not stored.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    let MarkRead { target_id, group_id, seq, position } = request.body()?;
    let recipient = recipient("targetId", target_id, group_id)?;
    if seq == Seq::NONE {
        return Err(Error::bad_request("seq: the first entry is 1; send the seq of one that you hold"));
    }
    let admission = in_time(&request, context.members.admit(&request, &recipient)).await?;
    admission.require_membership()?;
    if !admission.readable.contains(seq) {
        return Err(Error::bad_request(NO_SUCH_ENTRY));
    }
    let evidence = position.map(|position| context.positions.read(&position, &request.user, &recipient));
    let mark = async {
        let proved = match evidence {
            Some(Evidence::Proof(end)) => end.read_position_at(seq),
            _ => None,
        };
        let position = match proved {
            Some(position) => position,
            None => match context.messages.end_at(&admission.conversation, seq).await? {
                Some(end) => end.read_position(),
                None => return Err(Error::bad_request(NO_SUCH_ENTRY)),
            },
        };
        context.inboxes.mark_read(&request.user, &recipient, position).await
    };
    let recipients = async {
        let users = readers(context, &request, &admission).await?;
        context.fanout.recipients(&request, &users).await
    };
    let (position, recipients) = tokio::join!(in_time(&request, mark), in_time(&request, recipients));
    let receipt = |seq| ReadReceipt {
        conversation_id: admission.conversation.clone(),
        user_id: request.user.clone(),
        recipient: recipient.clone(),
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

/// The users whose connections get the receipt.
async fn readers(context: &Context, request: &Request, admission: &Admission) -> Result<Vec<UserId>, Error> {
    let user = request.user.clone();
    let group = match &admission.recipient {
        Recipient::User(peer) => return Ok(vec![user, peer.clone()]),
        Recipient::Group(_) if admission.readable.to.is_some() => return Ok(vec![user]),
        Recipient::Group(group) => context.members.present(*group).await?,
    };
    // The membership was read before the group, and may have ended since.
    Ok(match group.filter(|group| group.members.len() <= MAX_RECEIPT_MEMBERS && group.members.contains_key(&user)) {
        Some(group) => group.members.keys().cloned().collect(),
        None => vec![user],
    })
}
