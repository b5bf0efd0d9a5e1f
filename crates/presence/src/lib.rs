//! `typing` and `getPresence`: what a user sees of the people they talk to. Nothing is stored.

#![warn(clippy::unwrap_used)]

mod recent;

use std::{collections::BTreeSet, time::Duration};

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    model::{conversation::ConversationId, user::UserId},
    protocol::{
        codec,
        deadline::in_time,
        replies::{PresenceList, Typing},
        requests::{GetPresence, StartTyping},
    },
    push::fanout::Fanout,
    store::{connections::Connections, messages::Messages},
};
use serde::Deserialize;
use tokio::time::timeout;

use recent::Recent;

/// How long the pushes of one `typing` may take. A later one is worth nothing.
const TYPING_BUDGET: Duration = Duration::from_millis(500);

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    messages: Messages,
    connections: Connections,
    fanout: Fanout,
    recent: Recent,
    is_typing_on: bool,
    is_presence_on: bool,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            messages: Messages::from_configuration(configuration)?,
            connections: Connections::from_configuration(configuration)?,
            fanout: Fanout::from_configuration(configuration)?,
            recent: Recent::default(),
            is_typing_on: configuration.is_typing_on()?,
            is_presence_on: configuration.is_presence_on()?,
        })
    }
}

#[derive(Deserialize)]
struct Frame {
    action: String,
}

/// A `typing` that succeeds gets no reply.
///
/// # Errors
/// [`Error::BadRequest`] if the frame is neither of the two actions, [`Error::Forbidden`] if the operator has turned the
/// action off or the caller has no conversation with the user, [`Error::Unavailable`] and [`Error::Internal`] if DynamoDB fails.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    match request.body::<Frame>()?.action.as_str() {
        "typing" => in_time(&request, typing(context, &request)).await,
        "getPresence" => in_time(&request, get_presence(context, &request)).await,
        _ => Err(Error::UnknownAction),
    }
}

/// Two reads side by side, then the pushes to the peer. A push that fails is not repeated.
async fn typing(context: &Context, request: &Request) -> Result<Reply, Error> {
    let StartTyping { target_id: peer } = request.body()?;
    if !context.is_typing_on {
        return Err(Error::Forbidden("typing indicators are turned off here"));
    }
    let conversation_id = ConversationId::between(&request.user, &peer);
    if peer == request.user || !context.recent.is_first(&request.user, &peer, request.received_at) {
        return Ok(Reply::Nothing);
    }
    let connections = context.connections.of_users([&peer], request.received_at);
    let (exists, connections) = tokio::try_join!(context.messages.has_any(&conversation_id), connections)?;
    if !exists {
        return Err(Error::Forbidden(NO_CONVERSATION));
    }
    let frame = codec::encode_typing_push(&Typing { conversation_id, user_id: request.user.clone() });
    // Late pushes are dropped.
    let _ = timeout(TYPING_BUDGET, context.fanout.push(request, &frame, connections)).await;
    Ok(Reply::Nothing)
}

const NO_CONVERSATION: &str = "there is no conversation with this user; send a message first";

/// The presence of the users with whom the caller has a conversation. Others are left out, whether they exist or not.
async fn get_presence(context: &Context, request: &Request) -> Result<Reply, Error> {
    let GetPresence { user_ids } = request.body()?;
    if !context.is_presence_on {
        return Err(Error::Forbidden("presence is turned off here"));
    }
    let users: BTreeSet<UserId> = user_ids.into_iter().collect();
    let contacts = context.messages.with_conversation(&request.user, &users);
    let presence = context.connections.presence(&users, request.received_at);
    let (contacts, mut presence) = tokio::try_join!(contacts, presence)?;
    presence.retain(|one| one.user_id == request.user || contacts.contains(&one.user_id));
    Ok(Reply::Presence(PresenceList { users: presence }))
}
