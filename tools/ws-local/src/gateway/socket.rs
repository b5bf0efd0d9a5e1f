//! The life of an open connection: frames in, frames out, and how it ends.

use std::{convert::Infallible, sync::Arc, time::Instant};

use futures_util::{SinkExt, StreamExt, stream::SplitStream};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt, copy},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Core,
    answer::Answer,
    connection::Connection,
    end::{End, Way},
    events, id, message,
    refusal::chain,
    writer::Writer,
};

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Lives a connection from its upgrade to the end of its `$disconnect`.
pub(super) async fn serve(
    core: Arc<Core>,
    connection: Arc<Connection>,
    mut outbox: mpsc::Receiver<String>,
    upgrade: OnUpgrade,
) {
    let end = match upgrade.await {
        Ok(upgraded) => {
            let config = WebSocketConfig::default()
                .max_message_size(Some(core.limits.message))
                .max_frame_size(Some(core.limits.frame));
            let io = TokioIo::new(upgraded);
            let socket = Socket::from_raw_socket(io, Role::Server, Some(config)).await;
            let (sink, mut stream) = socket.split();
            let mut writer = Writer::new(sink, core.limits.frame);
            let end = converse(&core, &connection, &mut stream, &mut writer, &mut outbox).await;
            core.connections.remove(&connection.id);
            // Past the limit the connection is dropped, which is what there is to do.
            let _ = timeout(core.limits.closing, close(&end, stream, writer, &mut outbox)).await;
            end
        }
        // The client went away while the `$connect` function ran.
        Err(_) => {
            core.connections.remove(&connection.id);
            End::lost()
        }
    };
    drop(outbox);
    tell(&core, &connection, &end).await;
}

/// Reads and writes until something ends it. Reading never waits for writing: a client that reads slowly may still
/// send.
async fn converse(
    core: &Arc<Core>,
    connection: &Arc<Connection>,
    stream: &mut SplitStream<Socket>,
    writer: &mut Writer,
    outbox: &mut mpsc::Receiver<String>,
) -> End {
    connection.touch();
    tokio::select! {
        end = read(core, connection, stream) => end,
        never = write(connection, writer, outbox) => match never {},
        () = connection.deleted.notified() => End::deleted(),
        () = connection.idle(core.limits.idle) => End::going_away(),
        () = sleep(core.limits.connection) => End::going_away(),
        () = core.closing.cancelled() => End::going_away(),
    }
}

/// Starts a task for every message, until there are no more.
async fn read(core: &Arc<Core>, connection: &Arc<Connection>, stream: &mut SplitStream<Socket>) -> End {
    while let Some(frame) = stream.next().await {
        connection.touch();
        match frame {
            Ok(Message::Text(text)) => {
                let text = text.as_str().to_owned();
                core.spawn(message::handle(Arc::clone(core), Arc::clone(connection), text));
            }
            Ok(Message::Binary(_)) => return End::binary(),
            Ok(Message::Close(frame)) => return End::by_client(frame),
            // A ping has been answered below.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Err(error) => return End::by_error(&error),
        }
    }
    End::lost()
}

/// Sends what waits in the outbox. It never ends: a client that can't be written to, the reader notices.
async fn write(connection: &Connection, writer: &mut Writer, outbox: &mut mpsc::Receiver<String>) -> Infallible {
    while let Some(text) = outbox.recv().await {
        if writer.send(text).await.is_err() {
            break;
        }
        connection.touch();
    }
    std::future::pending().await
}

/// Closes the socket in the way that its end asks for.
async fn close(
    end: &End,
    mut stream: SplitStream<Socket>,
    mut writer: Writer,
    outbox: &mut mpsc::Receiver<String>,
) -> Result<(), tungstenite::Error> {
    if end.way == Way::Lost {
        return Ok(());
    }
    if end.way == Way::Gateway {
        // What was taken before the end is sent before it.
        writer.flush().await?;
        while let Ok(text) = outbox.try_recv() {
            writer.send(text).await?;
        }
    }
    let mut sink = writer.sink;
    if let Some(frame) = end.frame() {
        sink.send(Message::Close(Some(frame))).await?;
    }
    // To the end of the closing handshake; the answer to a client's own close frame leaves on the way.
    let garbled = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(_)) => break true,
            None => break end.way == Way::Garbled,
        }
    };
    if let (true, Ok(mut socket)) = (garbled, sink.reunite(stream)) {
        // What the client still sends is read and dropped: with unread bytes the system would reset the connection,
        // and the close frame would be lost.
        let io = socket.get_mut();
        io.shutdown().await?;
        copy(io, &mut tokio::io::sink()).await?;
    }
    Ok(())
}

/// Runs the `$disconnect` function, where there is one.
async fn tell(core: &Core, connection: &Connection, end: &End) {
    let started = Instant::now();
    let api = &core.stack.api;
    let how = format!("{} {}", end.code, end.reason).trim_end().to_owned();
    let Some(route) = api.routes.get("$disconnect") else {
        return core.record(&connection.id, "$disconnect", 200, started, Some(how));
    };
    let event = events::disconnect(api, connection, &id::fresh(), end.code, &end.reason);
    let answer = core.call(&route.function, &event, route.timeout).await;
    let answer = answer.and_then(|answer| Ok(Answer::parse(&answer)?));
    let (status, detail) = match answer {
        Ok(answer) => (answer.status, how),
        Err(failure) => (failure.status(), format!("{how}; {}", chain(&failure))),
    };
    core.record(&connection.id, "$disconnect", status, started, Some(detail));
}
