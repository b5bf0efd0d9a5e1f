//! The function for backends: any action of the protocol as any user, by `lambda:InvokeFunction` and without a WebSocket. The
//! handlers are those of the routes.

#![warn(clippy::unwrap_used)]

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    protocol::replies::Disconnected,
    push::fanout::Fanout,
    store::connections::Connections,
};

/// What this function works with.
#[derive(Debug)]
pub struct Context {
    send: send::Context,
    edit: edit::Context,
    group: group::Context,
    history: history::Context,
    inbox: inbox::Context,
    read: read::Context,
    presence: presence::Context,
    connections: Connections,
    fanout: Fanout,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            send: send::Context::from_configuration(configuration)?,
            edit: edit::Context::from_configuration(configuration)?,
            group: group::Context::from_configuration(configuration)?,
            history: history::Context::from_configuration(configuration)?,
            inbox: inbox::Context::from_configuration(configuration)?,
            read: read::Context::from_configuration(configuration)?,
            presence: presence::Context::from_configuration(configuration)?,
            connections: Connections::from_configuration(configuration)?,
            fanout: Fanout::from_configuration(configuration)?,
        })
    }
}

/// Passes the frame to the handler of its action. Only here is `disconnectUser`.
///
/// # Errors
/// Those of the handler, and [`Error::UnknownAction`].
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    // Boxed, because the handlers' futures together are large.
    match request.action()?.as_str() {
        "sendMessage" => Box::pin(send::handle(&context.send, request)).await,
        "editMessage" | "deleteMessage" | "react" => Box::pin(edit::handle(&context.edit, request)).await,
        "createGroup" | "changeGroup" | "getGroup" => Box::pin(group::handle(&context.group, request)).await,
        "getMessages" => Box::pin(history::handle(&context.history, request)).await,
        "getConversations" => Box::pin(inbox::handle(&context.inbox, request)).await,
        "markRead" => Box::pin(read::handle(&context.read, request)).await,
        "typing" | "getPresence" => Box::pin(presence::handle(&context.presence, request)).await,
        "disconnectUser" => disconnect_user(context, request).await,
        _ => fallback::handle(&(), request).await,
    }
}

/// Closes the connections of the user that the caller acts as. The user can connect again, unless the issuer gives out no more
/// tokens for them.
async fn disconnect_user(context: &Context, request: Request) -> Result<Reply, Error> {
    let open = context.connections.of_users([&request.user], request.received_at).await?;
    let found = open.len();
    let closed = context.fanout.close(open, request.received_at).await;
    context.connections.remove_ended(&closed).await;
    match closed.len() == found {
        true => Ok(Reply::Disconnected(Disconnected { user_id: request.user, connections: found })),
        false => Err(Error::Unavailable("some connections could not be closed".into())),
    }
}
