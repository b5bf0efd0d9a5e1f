//! An open connection: receives frames, sends frames, closes, and runs `$disconnect`.

use std::{convert::Infallible, sync::Arc, time::Instant};

use futures_util::{SinkExt, StreamExt, stream::SplitStream};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt, copy},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{Role, WebSocketConfig},
};

use super::{
    close::{Close, ClosedBy},
    connection::Connection,
    events,
    id::new_id,
    invocation, message,
    proxy_response::ProxyResponse,
    state::{self, GatewayState, record},
    writer::{Socket, Writer},
};

/// Serves a connection from its upgrade to the end of its `$disconnect`.
pub(super) async fn serve(
    state: Arc<GatewayState>,
    connection: Arc<Connection>,
    mut queue: mpsc::Receiver<String>,
    on_upgrade: OnUpgrade,
) {
    let close = match on_upgrade.await {
        Ok(upgraded) => {
            let config = WebSocketConfig::default()
                .max_message_size(Some(state.limits.message))
                .max_frame_size(Some(state.limits.frame));
            let io = TokioIo::new(upgraded);
            let socket = Socket::from_raw_socket(io, Role::Server, Some(config)).await;
            let (sink, mut stream) = socket.split();
            let mut writer = Writer::new(sink, state.limits.frame);
            let close = exchange(&state, &connection, &mut stream, &mut writer, &mut queue).await;
            state.connections.remove(&connection.id);
            // Ignore the result: whether the handshake completes, fails or times out, the socket is
            // dropped next.
            let _ = timeout(state.limits.closing, close_socket(&close, stream, writer, &mut queue)).await;
            close
        }
        // The client disconnected while the `$connect` function ran.
        Err(_) => {
            state.connections.remove(&connection.id);
            Close::lost()
        }
    };
    drop(queue);
    disconnect(&state, &connection, &close).await;
}

/// Receives and sends until the connection ends. Receiving never waits for sending, so that a client that reads slowly
/// can still send.
async fn exchange(
    state: &Arc<GatewayState>,
    connection: &Arc<Connection>,
    stream: &mut SplitStream<Socket>,
    writer: &mut Writer,
    queue: &mut mpsc::Receiver<String>,
) -> Close {
    connection.touch();
    tokio::select! {
        close = receive(state, connection, stream) => close,
        never = send(connection, writer, queue) => match never {},
        () = connection.deleted.notified() => Close::deleted(),
        () = connection.idle(state.limits.idle) => Close::going_away(),
        () = sleep(state.limits.connection) => Close::going_away(),
        () = state.closing.cancelled() => Close::going_away(),
    }
}

/// Starts a task for every message until the connection ends.
async fn receive(state: &Arc<GatewayState>, connection: &Arc<Connection>, stream: &mut SplitStream<Socket>) -> Close {
    while let Some(frame) = stream.next().await {
        connection.touch();
        match frame {
            Ok(Message::Text(text)) => {
                let text = text.as_str().to_owned();
                state::spawn(state, message::handle(Arc::clone(state), Arc::clone(connection), text));
            }
            Ok(Message::Binary(_)) => return Close::binary(),
            Ok(Message::Close(frame)) => return Close::by_client(frame),
            // The library replies to a ping.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Err(error) => return Close::by_error(&error),
        }
    }
    Close::lost()
}

/// Sends queued messages. It never returns, because [`receive`] notices a broken connection.
async fn send(connection: &Connection, writer: &mut Writer, queue: &mut mpsc::Receiver<String>) -> Infallible {
    while let Some(text) = queue.recv().await {
        if writer.send(text).await.is_err() {
            break;
        }
        connection.touch();
    }
    std::future::pending().await
}

/// Closes the socket, with a closing handshake unless the network connection was lost.
async fn close_socket(
    close: &Close,
    mut stream: SplitStream<Socket>,
    mut writer: Writer,
    queue: &mut mpsc::Receiver<String>,
) -> Result<(), tungstenite::Error> {
    if close.by == ClosedBy::Network {
        return Ok(());
    }
    if close.by == ClosedBy::Gateway {
        // Messages that were queued before the end are sent before the close frame.
        writer.flush().await?;
        while let Ok(text) = queue.try_recv() {
            writer.send(text).await?;
        }
    }
    let mut sink = writer.sink;
    if let Some(frame) = close.frame() {
        sink.send(Message::Close(Some(frame))).await?;
    }
    // Read until the closing handshake ends. This also sends the reply to the client's own close
    // frame.
    let unreadable = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(_)) => break true,
            None => break close.by == ClosedBy::Violation,
        }
    };
    if let (true, Ok(mut socket)) = (unreadable, sink.reunite(stream)) {
        // Read and discard everything that the client still sends. If bytes remained unread, the
        // operating system would reset the connection and the close frame would be lost.
        let io = socket.get_mut();
        io.shutdown().await?;
        copy(io, &mut tokio::io::sink()).await?;
    }
    Ok(())
}

/// Runs the `$disconnect` function, if there is one.
async fn disconnect(state: &GatewayState, connection: &Connection, close: &Close) {
    let started = Instant::now();
    let api = &state.stack.api;
    let mut detail = format!("{} {}", close.code, close.reason).trim_end().to_owned();
    let Some(route) = api.routes.get("$disconnect") else {
        return record(state, &connection.id, "$disconnect", 200, started, Some(detail));
    };
    let event = events::disconnect(api, connection, &new_id(), close.code, &close.reason);
    let response = invocation::call(state, &route.function, &event, route.timeout).await;
    let status = match response.and_then(|response| Ok(ProxyResponse::parse(&response)?)) {
        Ok(response) => response.status,
        Err(error) => {
            let status = error.status();
            detail = format!("{detail}; {}", error.into_detail());
            status
        }
    };
    record(state, &connection.id, "$disconnect", status, started, Some(detail));
}
