//! Bytes that are no frames, and requests that are none: the connection ends, `$disconnect` hears of it, and everybody
//! else is served on.

use proptest::{prelude::*, sample::select};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::Mutex,
};

use crate::{plumbing::*, wire::*};

/// Frames of every kind, and then bytes flipped or cut.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        3 => select(vec![TEXT, TEXT_FIRST, TEXT_NEXT, TEXT_LAST, 0x82, 0x89, 0x8a]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        3 => select(vec![&b"{\"action\":\"echo\"}"[..], b"", b"\xff\xfe", b"\xed\xa0\x80", b"{\"action\":"]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..140),
    ];
    let stream = prop::collection::vec((first, payload), 1..6)
        .prop_map(|all| all.iter().flat_map(|(first, payload)| frame(*first, payload)).collect::<Vec<_>>());
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (stream, flips, any::<prop::sample::Index>()).prop_map(|(mut bytes, flips, end)| {
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= value;
        }
        bytes.truncate(end.index(4 * bytes.len()) + 1);
        bytes
    })
}

#[test]
fn whatever_comes_over_a_socket_ends_only_that_one() {
    let runtime = Runtime::new().unwrap();
    let setup = Setup::new()
        .quiet("$connect")
        .quiet("$disconnect")
        .replying("echo", async |_| says("echo"))
        .replying("$default", async |_| says("what?"));
    let world = runtime.block_on(setup.start());
    let other = Mutex::new(runtime.block_on(world.connect("")));
    proptest!(support::strategies::cases(300), |(bytes in frames())| {
        runtime.block_on(async {
            let mut stream = raw(&world).await;
            // The gateway may have closed it before all is written.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answered = Vec::new();
            let _ = soon(stream.read_to_end(&mut answered)).await;
            let end = &world.event("$disconnect").await["requestContext"];
            let code = end["disconnectStatusCode"].as_u64().unwrap();
            assert!((1000..5000).contains(&code), "{code}");
            let mut other = other.lock().await;
            other.call("echo").await;
            assert_eq!(other.text().await, "echo");
        });
    });
}

#[test]
fn whatever_asks_for_a_socket_is_answered_or_left() {
    let runtime = Runtime::new().unwrap();
    let setup = Setup::new().quiet("$connect").quiet("$disconnect").replying("echo", async |_| says("echo"));
    let world = runtime.block_on(setup.start());
    let other = Mutex::new(runtime.block_on(world.connect("")));
    let good = upgrade_request(world.address()).replace("/prod", "/prod?userId=%C3%BC&a&=b%&userId=2");
    let with_offers = good.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat.v1, x\r\nOrigin: null\r\n\r\n");
    proptest!(support::strategies::cases(500), |(request in support::strategies::mutated(vec![good, with_offers]))| {
        runtime.block_on(async {
            let mut stream = TcpStream::connect(world.address()).await.unwrap();
            let _ = stream.write_all(request.as_bytes()).await;
            let _ = stream.shutdown().await;
            let mut answered = Vec::new();
            let _ = soon(stream.read_to_end(&mut answered)).await;
            let status = answered.get(9..12).map(|status| String::from_utf8_lossy(status).into_owned());
            assert!(status.is_none_or(|status| status != "500"), "{request:?}");
            let mut other = other.lock().await;
            other.call("echo").await;
            assert_eq!(other.text().await, "echo");
        });
    });
}
