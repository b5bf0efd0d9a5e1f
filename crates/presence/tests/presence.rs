//! `typing` and `getPresence` with the template's tables and a fake `@connections` endpoint.

use presence::Context;
use serde_json::{Value, json};
use support::{FakeAws, Fixture, Outcome, invoke};

/// The time of `events/send.json`, in milliseconds since the Unix epoch.
const NOW: i64 = 1_793_535_561_000;

/// Alice, Bob and Carol with two devices each. Alice has written to Bob.
async fn three_users() -> (FakeAws, Context) {
    let aws = FakeAws::start().await;
    for user in ["alice", "bob", "carol"] {
        for connection in [user.to_owned(), format!("{user}-2")] {
            aws.put_connection(user, &connection, NOW - 3_600_000);
        }
    }
    aws.put_message(1, "alice", "bob", "Hi");
    let context = aws.context();
    (aws, context)
}

async fn request(context: &Context, user: &str, frame: Value, at: i64) -> Value {
    invoke(context, presence::handle, Fixture::named("presence").user(user).frame(&frame).received_at(at)).await
}

async fn typing(context: &Context, user: &str, peer: &str, at: i64) -> Value {
    request(context, user, json!({ "action": "typing", "targetId": peer }), at).await
}

async fn presence_of(context: &Context, user: &str, users: &[&str], at: i64) -> Value {
    let reply = request(context, user, json!({ "action": "getPresence", "userIds": users }), at).await;
    assert_eq!(reply["type"], "presence", "{reply}");
    reply["value"]["users"].clone()
}

#[tokio::test]
async fn typing_reaches_the_devices_of_the_peer_and_has_no_reply() {
    let (aws, context) = three_users().await;
    assert_eq!(typing(&context, "alice", "bob", NOW).await, Value::Null);
    let mut pushes = aws.connections.take_pushes();
    pushes.sort_by(|one, other| one.connection_id.cmp(&other.connection_id));
    let frame = json!({ "type": "typing", "value": { "conversationId": "dm:5:alice:bob", "userId": "alice" } });
    let receivers: Vec<_> = pushes.iter().map(|push| (push.connection_id.as_str(), &push.frame)).collect();
    assert_eq!(receivers, [("bob", &frame), ("bob-2", &frame)]);
    assert_eq!(typing(&context, "bob", "alice", NOW).await, Value::Null);
    assert_eq!(aws.connections.take_pushes().len(), 2, "both may type at the same time");
}

#[tokio::test]
async fn typing_takes_two_reads_and_no_write() {
    let (aws, context) = three_users().await;
    let tables = || ["ClientsTable", "MessagesTable", "ConversationsTable"].map(|table| aws.rows(table));
    let before = tables();
    typing(&context, "alice", "bob", NOW).await;
    let calls = aws.dynamodb.take_calls();
    let mut names: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["BatchGetItem", "Query"]);
    assert!((aws.read_units(&calls) - 2.0).abs() < f64::EPSILON);
    assert_eq!(tables(), before);
}

#[tokio::test]
async fn typing_reaches_no_stranger() {
    let (aws, context) = three_users().await;
    for (user, peer) in [("alice", "carol"), ("carol", "bob"), ("alice", "nobody")] {
        let reply = typing(&context, user, peer, NOW).await;
        assert_eq!(reply["code"], "forbidden", "{reply}");
        assert_eq!(reply["message"], "there is no conversation with this user; send a message first");
    }
    assert_eq!(typing(&context, "alice", "alice", NOW).await, Value::Null, "to oneself nothing happens");
    assert!(aws.connections.take_pushes().is_empty());
}

#[tokio::test]
async fn typing_is_pushed_once_in_five_seconds() {
    let (aws, context) = three_users().await;
    for (at, pushes) in [(0, 2), (1, 0), (4_999, 0), (5_000, 2), (9_000, 0), (13_000, 2), (1_000, 2)] {
        aws.dynamodb.take_calls();
        typing(&context, "alice", "bob", NOW + at).await;
        assert_eq!(aws.connections.take_pushes().len(), pushes, "at {at}");
        assert_eq!(aws.dynamodb.take_calls().is_empty(), pushes == 0, "a dropped one costs no call");
    }
}

#[tokio::test]
async fn a_connection_that_hangs_or_fails_keeps_typing_from_no_other_and_is_no_error() {
    let (aws, context) = three_users().await;
    aws.connections.silence("bob");
    assert_eq!(typing(&context, "alice", "bob", NOW).await, Value::Null);
    assert_eq!(aws.connections.take_receivers(), ["bob-2"]);
    aws.connections.answer("bob", &[500]);
    assert_eq!(typing(&context, "alice", "bob", NOW + 10_000).await, Value::Null);
    assert_eq!(aws.connections.take_receivers(), ["bob-2"]);
}

#[tokio::test]
async fn presence_shows_contacts_only_and_the_same_of_strangers_as_of_nobody() {
    let (_aws, context) = three_users().await;
    let bob = json!({ "userId": "bob", "online": true });
    let users = ["bob", "carol", "nobody", "bob"];
    assert_eq!(presence_of(&context, "alice", &users, NOW).await, json!([bob]));
    assert_eq!(presence_of(&context, "carol", &["alice", "nobody"], NOW).await, json!([]));
    let myself = json!({ "userId": "carol", "online": true });
    assert_eq!(presence_of(&context, "carol", &["carol"], NOW).await, json!([myself]));
}

#[tokio::test]
async fn presence_follows_connects_and_disconnects() {
    let aws = FakeAws::start().await;
    aws.put_message(1, "alice", "bob", "Hi");
    let (context, connect, disconnect) = (aws.context(), aws.context(), aws.context());
    let bob = async |at| presence_of(&context, "alice", &["bob"], at).await[0].clone();
    let connected = async |connection: &str, at| {
        let event = Fixture::named("connect").user("bob").connection(connection).received_at(at);
        let event = event.set("/requestContext/connectedAt", json!(at));
        invoke(&connect, connect::handle, event).await;
    };
    let closed = async |connection: &str, at| {
        let event = Fixture::named("disconnect").user("bob").connection(connection).received_at(at);
        invoke(&disconnect, disconnect::handle, event).await;
    };
    assert_eq!(bob(NOW).await, json!({ "userId": "bob", "online": false }), "never seen");
    connected("phone", NOW).await;
    connected("laptop", NOW + 1).await;
    assert_eq!(bob(NOW + 2).await, json!({ "userId": "bob", "online": true }));
    closed("phone", NOW + 10).await;
    assert_eq!(bob(NOW + 11).await, json!({ "userId": "bob", "online": true }), "one device is left");
    closed("laptop", NOW + 20).await;
    assert_eq!(bob(NOW + 21).await, json!({ "userId": "bob", "online": false, "lastSeenAt": NOW + 20 }));

    // Without `$disconnect`, a connection ends when it expires.
    connected("phone", NOW + 30).await;
    let lifetime = (2 * 60 + 10) * 60 * 1_000;
    assert_eq!(bob(NOW + lifetime - 1_000).await["online"], true);
    let expired = bob(NOW + lifetime + 1_000).await;
    assert_eq!(
        expired,
        json!({ "userId": "bob", "online": false, "lastSeenAt": (NOW + 30 + lifetime) / 1_000 * 1_000 })
    );
}

#[tokio::test]
async fn presence_costs_half_a_unit_a_user_and_one_a_conversation() {
    let (aws, context) = three_users().await;
    presence_of(&context, "alice", &["bob", "carol"], NOW).await;
    let calls = aws.dynamodb.take_calls();
    let mut names: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["BatchGetItem", "Query", "Query"]);
    let batch = calls.iter().find(|call| call.operation == "BatchGetItem").unwrap();
    assert_eq!(batch.body["RequestItems"]["ClientsTable"]["ConsistentRead"], false);
}

#[tokio::test]
async fn what_the_operator_has_turned_off_is_refused_without_a_call() {
    let (aws, _) = three_users().await;
    let context: Context = aws.try_context(&[("TYPING", "off"), ("PRESENCE", "off")]).unwrap();
    let frames =
        [json!({ "action": "typing", "targetId": "bob" }), json!({ "action": "getPresence", "userIds": ["bob"] })];
    for frame in frames {
        let reply = request(&context, "alice", frame, NOW).await;
        assert_eq!(reply["code"], "forbidden");
        assert!(reply["message"].as_str().unwrap().contains("turned off"), "{reply}");
    }
    assert!(aws.dynamodb.take_calls().is_empty() && aws.connections.take_pushes().is_empty());
    for wrong in ["", "on", "yes"] {
        let changes = [("TYPING", wrong)];
        assert!(aws.try_context::<Context>(&changes).unwrap_err().to_string().contains("TYPING"));
    }
}

#[tokio::test]
async fn invalid_frames_are_refused() {
    let (aws, context) = three_users().await;
    let many: Vec<_> = (0..21).map(|number| format!("u{number}")).collect();
    for (frame, words) in [
        (json!({ "action": "typing" }), "targetId"),
        (json!({ "action": "typing", "targetId": "" }), "targetId"),
        (json!({ "action": "getPresence" }), "userIds"),
        (json!({ "action": "getPresence", "userIds": [] }), "1 to 20 users"),
        (json!({ "action": "getPresence", "userIds": many }), "1 to 20 users"),
        (json!({ "action": "getPresence", "userIds": [""] }), "userIds"),
        (json!({ "action": "getPresence", "userIds": "bob" }), "userIds"),
    ] {
        let reply = request(&context, "alice", frame.clone(), NOW).await;
        assert_eq!(reply["code"], "bad_request", "{frame} {reply}");
        assert!(reply["message"].as_str().unwrap().contains(words), "{frame} {reply}");
    }
    assert_eq!(request(&context, "alice", json!({ "action": "dance" }), NOW).await["code"], "unknown_action");
    assert!(aws.dynamodb.take_calls().is_empty());
}

#[tokio::test]
async fn a_failing_table_is_unavailable_and_nothing_is_pushed() {
    let (aws, context) = three_users().await;
    aws.dynamodb.inject(|_| Outcome::Fail(400, "ThrottlingException"));
    assert_eq!(typing(&context, "alice", "bob", NOW).await["code"], "unavailable");
    let frame = json!({ "action": "getPresence", "userIds": ["bob"] });
    assert_eq!(request(&context, "alice", frame, NOW).await["code"], "unavailable");
    assert!(aws.connections.take_pushes().is_empty());
}
