//! `typing` and `getPresence`: what a user sees of the people they talk to. Nothing is stored.

#![warn(clippy::unwrap_used)]

mod recent;

use std::{collections::BTreeSet, time::Duration};

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration, TypingMode},
    model::{
        conversation::{GroupId, Recipient},
        user::UserId,
    },
    protocol::{
        codec,
        deadline::in_time,
        replies::{PresenceList, Typing},
        requests::{GetPresence, StartTyping, recipient},
    },
    push::fanout::Fanout,
    store::{connections::Connections, members::Members, messages::Messages},
};
use tokio::time::timeout;

use recent::Recent;

/// The largest group in which members see that others are typing. In a larger one it would cost more than the messages.
const MAX_TYPING_MEMBERS: usize = 20;
/// The largest group of which the presence of all members fits one frame of 32 KB.
const MAX_PRESENCE_MEMBERS: usize = 50;
/// How long the pushes of one `typing` may take. A later one is worth nothing.
const TYPING_BUDGET: Duration = Duration::from_millis(500);

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    messages: Messages,
    members: Members,
    connections: Connections,
    fanout: Fanout,
    recent: Recent,
    typing: TypingMode,
    is_presence_on: bool,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            messages: Messages::from_configuration(configuration)?,
            members: Members::from_configuration(configuration)?,
            connections: Connections::from_configuration(configuration)?,
            fanout: Fanout::from_configuration(configuration)?,
            recent: Recent::default(),
            typing: configuration.typing()?,
            is_presence_on: configuration.is_presence_on()?,
        })
    }
}

/// A `typing` that succeeds gets no reply.
///
/// # Errors
/// [`Error::BadRequest`] if the frame is neither of the two actions, [`Error::Forbidden`] if the operator has turned the
/// action off, the caller has no conversation with the user or is not a member of the group, [`Error::Unavailable`] and
/// [`Error::Internal`] if DynamoDB fails.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    match request.action()?.as_str() {
        "typing" => in_time(&request, typing(context, &request)).await,
        "getPresence" => in_time(&request, get_presence(context, &request)).await,
        _ => Err(Error::UnknownAction),
    }
}

/// The reads, then the pushes to the others. A push that fails is not repeated.
async fn typing(context: &Context, request: &Request) -> Result<Reply, Error> {
    let StartTyping { target_id, group_id } = request.body()?;
    let recipient = recipient("targetId", target_id, group_id)?;
    if context.typing == TypingMode::Off {
        return Err(Error::Forbidden("typing indicators are turned off here"));
    }
    if recipient.group().is_some() && context.typing != TypingMode::SmallGroups {
        return Err(Error::Forbidden("typing indicators are turned off in groups here"));
    }
    let is_to_oneself = recipient == Recipient::User(request.user.clone());
    if is_to_oneself || !context.recent.is_first(&request.user, &recipient, request.received_at) {
        return Ok(Reply::Nothing);
    }
    let (conversation_id, connections) = match &recipient {
        Recipient::User(peer) => {
            let admission = context.members.admit(request, &recipient).await?;
            let connections = context.connections.of_users([peer], request.received_at);
            let exists = context.messages.has_any(&admission.conversation);
            let (exists, connections) = tokio::try_join!(exists, connections)?;
            if !exists {
                return Err(Error::Forbidden("there is no conversation with this user; send a message first"));
            }
            (admission.conversation, connections)
        }
        Recipient::Group(group) => {
            let (admission, group) = context.members.admit_with_group(request, *group).await?;
            admission.require_membership()?;
            if group.members.len() > MAX_TYPING_MEMBERS {
                return Err(Error::Forbidden("typing indicators are shown in groups of at most 20 members"));
            }
            let others = group.members.keys().filter(|user| **user != request.user);
            (admission.conversation, context.connections.of_users(others, request.received_at).await?)
        }
    };
    let typing = Typing { conversation_id, group_id: recipient.group(), user_id: request.user.clone() };
    let frame = codec::encode_typing_push(&typing);
    // Late pushes are dropped.
    let _ = timeout(TYPING_BUDGET, context.fanout.push(request, &frame, connections)).await;
    Ok(Reply::Nothing)
}

async fn get_presence(context: &Context, request: &Request) -> Result<Reply, Error> {
    let GetPresence { user_ids, group_id } = request.body()?;
    if !context.is_presence_on {
        return Err(Error::Forbidden("presence is turned off here"));
    }
    let users: Option<BTreeSet<UserId>> = user_ids.map(|users| users.into_iter().collect());
    match (users, group_id) {
        (users, Some(group)) => of_members(context, request, group, users).await,
        (Some(users), None) => of_contacts(context, request, users).await,
        (None, None) => Err(Error::bad_request("missing field `userIds`; name users, or a group with `groupId`")),
    }
}

/// The presence of the users that the caller has a conversation with. Others are left out, whether they exist or not.
async fn of_contacts(context: &Context, request: &Request, users: BTreeSet<UserId>) -> Result<Reply, Error> {
    let contacts = context.messages.with_conversation(&request.user, &users);
    let presence = context.connections.presence(&users, request.received_at);
    let (contacts, mut presence) = tokio::try_join!(contacts, presence)?;
    presence.retain(|one| one.user_id == request.user || contacts.contains(&one.user_id));
    Ok(Reply::Presence(PresenceList { users: presence }))
}

/// The presence of all members of a group, or of those among `users`.
async fn of_members(
    context: &Context,
    request: &Request,
    group: GroupId,
    users: Option<BTreeSet<UserId>>,
) -> Result<Reply, Error> {
    let (_, group) = context.members.admit_with_group(request, group).await?;
    let members: BTreeSet<_> = match users {
        Some(users) => users.into_iter().filter(|user| group.members.contains_key(user)).collect(),
        None if group.members.len() > MAX_PRESENCE_MEMBERS => {
            return Err(Error::bad_request("the group has more than 50 members; name up to 20 of them in userIds"));
        }
        None => group.members.keys().cloned().collect(),
    };
    let users = context.connections.presence(&members, request.received_at).await?;
    Ok(Reply::Presence(PresenceList { users }))
}
