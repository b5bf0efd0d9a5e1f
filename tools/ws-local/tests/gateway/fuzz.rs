//! Random bytes instead of frames and requests. The affected connection ends with a `$disconnect`;
//! other connections continue.

use proptest::{prelude::*, sample::select};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::Mutex,
};

use crate::{harness::*, wire::*};

/// Frames of every kind, with bytes changed and the end cut off.
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
fn random_bytes_on_a_socket_end_only_that_connection() {
    let runtime = Runtime::new().unwrap();
    let setup = Setup::new()
        .quiet("$connect")
        .quiet("$disconnect")
        .replying("echo", async |_| reply("echo"))
        .replying("$default", async |_| reply("what?"));
    let gateway = runtime.block_on(setup.start());
    let other = Mutex::new(runtime.block_on(gateway.connect("")));
    proptest!(support::strategies::cases(300), |(bytes in frames())| {
        runtime.block_on(async {
            let mut stream = raw(&gateway).await;
            // Errors mean that the gateway has closed the connection already.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut response = Vec::new();
            let _ = soon(stream.read_to_end(&mut response)).await;
            let end = &gateway.event("$disconnect").await["requestContext"];
            let code = end["disconnectStatusCode"].as_u64().unwrap();
            assert!((1000..5000).contains(&code), "{code}");
            let mut other = other.lock().await;
            other.call("echo").await;
            assert_eq!(other.text().await, "echo");
        });
    });
}

#[test]
fn a_random_upgrade_request_gets_a_response_or_none() {
    let runtime = Runtime::new().unwrap();
    let setup = Setup::new().quiet("$connect").quiet("$disconnect").replying("echo", async |_| reply("echo"));
    let gateway = runtime.block_on(setup.start());
    let other = Mutex::new(runtime.block_on(gateway.connect("")));
    let good = upgrade_request(gateway.address()).replace("/prod", "/prod?userId=%C3%BC&a&=b%&userId=2");
    let with_offers = good.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat.v1, x\r\nOrigin: null\r\n\r\n");
    proptest!(support::strategies::cases(500), |(request in support::strategies::mutated(vec![good, with_offers]))| {
        runtime.block_on(async {
            let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
            let _ = stream.write_all(request.as_bytes()).await;
            let _ = stream.shutdown().await;
            let mut response = Vec::new();
            let _ = soon(stream.read_to_end(&mut response)).await;
            let status = response.get(9..12).map(|status| String::from_utf8_lossy(status).into_owned());
            assert!(status.is_none_or(|status| status != "500"), "{request:?}");
            let mut other = other.lock().await;
            other.call("echo").await;
            assert_eq!(other.text().await, "echo");
        });
    });
}
