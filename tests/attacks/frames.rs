//! Malformed frames: no route panics or returns `internal`, and every reply is a frame.

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{FakeAws, Fixture};
use tokio::runtime::Runtime;

use crate::routes::{self, Route};

/// Valid frames for every action; together they use every field.
fn valid() -> Vec<String> {
    let cursor = json!({ "conversationId": "dm:5:alice:bob", "seq": 3, "newer": true });
    [
        json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi\n\"é\u{1f980}\"", "clientMessageId": "c1", "lastSeq": 0, "ref": "1" }),
        json!({ "action": "getMessages", "targetId": "bob", "limit": 10, "startKey": cursor, "ref": "2" }),
        json!({ "action": "getMessages", "targetId": "bob", "after": 1 }),
        json!({ "action": "getConversations", "limit": 10, "startKey": { "userId": "alice", "conversationId": "dm:5:alice:bob" }, "ref": "3" }),
        json!({ "action": "markRead", "targetId": "bob", "seq": 1, "ref": "4" }),
        json!({ "action": "ping", "ref": "5" }),
    ]
    .map(|frame| frame.to_string())
    .into()
}

/// JSON objects made of known field names and arbitrary values, some of them valid.
fn assembled() -> impl Strategy<Value = String> {
    let names = [
        "action",
        "recipientId",
        "targetId",
        "content",
        "clientMessageId",
        "lastSeq",
        "limit",
        "startKey",
        "after",
        "seq",
        "ref",
    ];
    let strings = ["sendMessage", "getMessages", "ping", "alice", "bob", "dm:5:alice:bob", "Hi"].map(str::to_owned);
    let name = prop::sample::select(names.map(str::to_owned).to_vec());
    let members = prop::collection::vec((name, support::strategies::json_value(strings.to_vec())), 0..8);
    members.prop_map(|members| support::strategies::object(&members))
}

/// The `ref` that the reply must carry, if the frame is an object with one valid `ref`.
fn reference(frame: &str) -> Option<Value> {
    let parsed: Value = serde_json::from_str(frame).ok()?;
    let reference = parsed.as_object()?.get("ref")?;
    let once = frame.matches("ref").count() == 1;
    reference.as_str().filter(|text| once && text.len() <= 64).map(Value::from)
}

#[track_caller]
fn check(runtime: &Runtime, routes: &[Route], frame: &str) {
    for route in routes {
        let event = Fixture::named(route.name).text(frame);
        let answer = route.frame(&runtime.block_on(route.respond(event)));
        if let (Some(reference), false) = (reference(frame), answer.is_null()) {
            assert_eq!(answer["ref"], reference, "{}: {frame:?}", route.name);
        }
    }
}

#[test]
fn every_text_that_a_client_sends_is_answered_with_a_frame() {
    let runtime = Runtime::new().unwrap();
    let aws = runtime.block_on(FakeAws::start());
    let routes = routes::all(&aws);
    proptest!(support::strategies::cases(1_000), |(frame in prop_oneof![4 => support::strategies::mutated(valid()), 3 => assembled(), 1 => any::<String>()])| {
        check(&runtime, &routes, &frame);
    });
}
