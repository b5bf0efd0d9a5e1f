//! The function for backends, with the template's tables and a fake `@connections` endpoint.

use api::Context;
use chat_core::lambda::handle_backend;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use support::{FakeAws, Fixture, invoke};

/// Now, because the function has no other clock than the machine's.
fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

async fn start() -> (FakeAws, Context) {
    let aws = FakeAws::start().await;
    for (user, connection) in [("alice", "alice"), ("alice", "alice-2"), ("bob", "bob")] {
        aws.put_connection(user, connection, now() - 120_000);
    }
    let context = aws.context();
    (aws, context)
}

/// Invokes the function with a payload, and returns what Lambda gets.
async fn call(context: &Context, payload: Value) -> Value {
    let event = Fixture::named("fallback").lambda::<Value>();
    handle_backend(context, LambdaEvent::new(payload, event.context), api::handle).await.response
}

#[tokio::test]
async fn it_sends_as_any_user_and_recognises_a_repeat() {
    let (aws, context) = start().await;
    let order = json!({
        "as": "support", "action": "sendMessage", "recipientId": "alice", "content": "Shipped", "clientMessageId": "order-17",
        "ref": "r",
    });
    let first = call(&context, order.clone()).await;
    assert_eq!(
        (&first["type"], &first["ref"], &first["value"]["duplicate"]),
        (&json!("sent"), &json!("r"), &json!(false))
    );
    assert_eq!(aws.connections.take_receivers(), ["alice", "alice-2"]);
    let second = call(&context, order).await;
    assert_eq!(
        (&second["value"]["duplicate"], &second["value"]["messageId"]),
        (&json!(true), &first["value"]["messageId"])
    );
    let row = &aws.rows("MessagesTable")[0];
    assert_eq!((&row["senderId"]["S"], &row["content"]["S"]), (&json!("support"), &json!("Shipped")));
    assert!(row.get("as").is_none());
}

#[tokio::test]
async fn it_creates_changes_and_reads_groups_as_a_user_who_is_not_a_member() {
    let (aws, context) = start().await;
    let create = json!({
        "as": "system", "action": "createGroup", "name": "Order 17", "owner": "alice", "members": ["bob"],
        "clientMessageId": "order-17",
    });
    let first = call(&context, create.clone()).await;
    let group = &first["value"]["groupId"];
    assert_eq!(aws.connections.take_receivers(), ["alice", "alice-2", "bob"]);
    let second = call(&context, create).await;
    assert_eq!((&second["value"]["groupId"], &second["value"]["duplicate"]), (group, &json!(true)));
    let in_group = async |frame: Value| {
        let mut payload = frame;
        payload["groupId"] = group.clone();
        call(&context, payload).await
    };
    let page = in_group(json!({ "as": "system", "action": "getGroup" })).await["value"].clone();
    let members = json!([
        { "userId": "alice", "role": "owner", "at": 1 }, { "userId": "bob", "role": "member", "at": 1 },
    ]);
    assert_eq!((&page["members"], page.get("you")), (&members, None));
    let rude = in_group(json!({ "as": "bob", "action": "sendMessage", "content": "rude" })).await;
    let seq = &rude["value"]["seq"];
    let deleted = in_group(json!({ "as": "system", "action": "deleteMessage", "seq": seq })).await;
    assert_eq!(deleted["value"]["changed"]["deleted"]["by"], "system", "{deleted}");
    let changed =
        in_group(json!({ "as": "system", "action": "changeGroup", "remove": ["bob"], "add": ["carol"] })).await;
    assert_eq!(changed["type"], "sent", "{changed}");
    let page = in_group(json!({ "as": "system", "action": "getMessages" })).await;
    assert_eq!(page["value"]["messages"].as_array().unwrap().len(), 4, "{page}");
    // It acts as the user in all that only members do.
    for action in ["sendMessage", "react", "typing", "editMessage", "markRead"] {
        let frame = json!({ "as": "system", "action": action, "content": "x", "seq": 2, "reaction": "x", "on": true });
        assert_eq!(in_group(frame).await["code"], "forbidden", "{action}");
    }
    let unknown = json!({ "as": "system", "action": "getMessages", "groupId": "00000000-0000-4000-8000-000000000000" });
    assert_eq!(call(&context, unknown).await["code"], "forbidden");
}

/// A group of alice with bob, of which carol was a member from entry 2 to entry 4.
async fn group_that_carol_left(context: &Context, history: &str) -> Value {
    let create = json!({ "as": "alice", "action": "createGroup", "name": "x", "members": ["bob"], "history": history });
    let group = call(context, create).await["value"]["groupId"].clone();
    for frame in [
        json!({ "action": "changeGroup", "add": ["carol"] }),
        json!({ "action": "sendMessage", "content": "3" }),
        json!({ "action": "changeGroup", "remove": ["carol"] }),
        json!({ "action": "sendMessage", "content": "5" }),
    ] {
        assert_eq!(in_group(context, &group, "alice", frame).await["type"], "sent");
    }
    group
}

async fn in_group(context: &Context, group: &Value, user: &str, mut frame: Value) -> Value {
    (frame["as"], frame["groupId"]) = (json!(user), group.clone());
    call(context, frame).await
}

#[tokio::test]
async fn a_former_member_counts_like_a_user_who_never_was_a_member() {
    for history in ["all", "joined"] {
        let (_aws, context) = start().await;
        let group = group_that_carol_left(&context, history).await;
        for frame in [
            json!({ "action": "getGroup" }),
            json!({ "action": "getPresence" }),
            json!({ "action": "getMessages" }),
            json!({ "action": "getMessages", "after": 0 }),
            json!({ "action": "markRead", "seq": 3 }),
            json!({ "action": "typing" }),
            json!({ "action": "sendMessage", "content": "x" }),
            json!({ "action": "sendMessage", "content": "x", "lastSeq": 9 }),
            json!({ "action": "editMessage", "seq": 3, "content": "x" }),
            json!({ "action": "react", "seq": 3, "reaction": "x", "on": true }),
        ] {
            let stranger = in_group(&context, &group, "system", frame.clone()).await;
            assert_eq!(in_group(&context, &group, "carol", frame.clone()).await, stranger, "{frame}");
        }
        for (user, seq) in [("carol", 3), ("system", 5)] {
            let deleted = in_group(&context, &group, user, json!({ "action": "deleteMessage", "seq": seq })).await;
            assert_eq!(deleted["value"]["changed"]["deleted"]["by"], user, "{deleted}");
            let renamed = in_group(&context, &group, user, json!({ "action": "changeGroup", "name": user })).await;
            assert_eq!(renamed["type"], "sent", "{renamed}");
        }
        let page = in_group(&context, &group, "carol", json!({ "action": "getMessages" })).await;
        assert_eq!(page["value"]["messages"].as_array().unwrap().len(), 9, "{page}");
    }
}

#[tokio::test]
async fn it_deletes_what_a_member_may_not_read() {
    let (aws, context) = start().await;
    let group = group_that_carol_left(&context, "joined").await;
    let added = in_group(&context, &group, "system", json!({ "action": "changeGroup", "add": ["carol"] })).await;
    assert_eq!(added["value"]["seq"], 6);
    aws.put_connection("carol", "carol", now() - 120_000);
    aws.connections.take_pushes();
    let deleted = in_group(&context, &group, "carol", json!({ "action": "deleteMessage", "seq": 3 })).await;
    assert_eq!(deleted["value"]["changed"]["deleted"]["by"], "carol", "{deleted}");
    let pushes = aws.connections.take_pushes();
    for push in &pushes {
        assert_eq!(push.frame.get("changed").is_some(), push.connection_id != "carol", "{push:?}");
    }
    assert_eq!(pushes.len(), 4);
    // A client does not.
    let edits: edit::Context = aws.context();
    let frame = json!({ "action": "deleteMessage", "groupId": group, "seq": 5 });
    let refused = invoke(&edits, edit::handle, Fixture::named("edit").user("carol").frame(&frame)).await;
    assert_eq!(
        (&refused["code"], refused["message"].as_str().unwrap().contains("no such message")),
        (&json!("bad_request"), true)
    );
}

#[tokio::test]
async fn every_action_of_the_protocol_works() {
    let (_aws, context) = start().await;
    for (frame, kind) in [
        (json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi" }), "sent"),
        (json!({ "action": "getMessages", "targetId": "bob" }), "messages"),
        (json!({ "action": "getConversations" }), "conversations"),
        (json!({ "action": "editMessage", "targetId": "bob", "seq": 1, "content": "Hello" }), "sent"),
        (json!({ "action": "react", "targetId": "bob", "seq": 1, "reaction": "👍", "on": true }), "sent"),
        (json!({ "action": "markRead", "targetId": "bob", "seq": 1 }), "read"),
        (json!({ "action": "getPresence", "userIds": ["bob"] }), "presence"),
        (json!({ "action": "deleteMessage", "targetId": "bob", "seq": 1 }), "sent"),
        (json!({ "action": "ping" }), "pong"),
    ] {
        let mut payload = frame;
        payload["as"] = json!("alice");
        let reply = call(&context, payload.clone()).await;
        assert_eq!(reply["type"], kind, "{payload} {reply}");
    }
    assert_eq!(call(&context, json!({ "as": "alice", "action": "typing", "targetId": "bob" })).await, Value::Null);
}

#[tokio::test]
async fn the_actions_are_those_of_the_template() {
    let (_aws, context) = start().await;
    for action in support::stack().api.routes.into_keys().filter(|key| !key.starts_with('$')) {
        let reply = call(&context, json!({ "as": "alice", "action": action })).await;
        assert_ne!(reply["code"], "unknown_action", "crates/api/src/lib.rs passes {action} to its handler");
    }
}

#[tokio::test]
async fn errors_are_frames() {
    let (aws, context) = start().await;
    for (payload, code, words) in [
        (json!({ "action": "ping" }), "bad_request", "as: name the user"),
        (json!({ "as": null, "action": "ping" }), "bad_request", "as: name the user"),
        (json!({ "as": "", "action": "ping" }), "bad_request", "as"),
        (json!({ "as": ["alice"], "action": "ping" }), "bad_request", "as"),
        (json!({ "as": "alice" }), "bad_request", "action"),
        (json!({ "as": "alice", "action": 7 }), "bad_request", "action"),
        (json!({ "as": "alice", "action": "dance" }), "unknown_action", "unknown action"),
        (json!({ "as": "alice", "action": "sendMessage", "recipientId": "bob" }), "bad_request", "content"),
        (json!("ping"), "bad_request", "JSON object"),
        (json!([]), "bad_request", "JSON object"),
        (Value::Null, "bad_request", "JSON object"),
    ] {
        let reply = call(&context, payload.clone()).await;
        assert_eq!((&reply["type"], &reply["code"]), (&json!("error"), &json!(code)), "{payload} {reply}");
        assert!(reply["message"].as_str().unwrap().contains(words), "{payload} {reply}");
    }
    let reply = call(&context, json!({ "action": "ping", "ref": "7" })).await;
    assert_eq!(reply["ref"], "7");
    assert!(aws.dynamodb.take_calls().is_empty());
}

#[tokio::test]
async fn it_deletes_what_anybody_wrote_and_a_client_does_not() {
    let (aws, context) = start().await;
    let send = json!({ "as": "bob", "action": "sendMessage", "recipientId": "alice", "content": "Sekrit" });
    call(&context, send).await;
    let delete = json!({ "as": "alice", "action": "deleteMessage", "targetId": "bob", "seq": 1 });
    // The same frame from a connection of the user.
    let edit: edit::Context = aws.context();
    let event = Fixture::named("delete").user("alice").frame(&delete).received_at(now());
    assert_eq!(invoke(&edit, edit::handle, event).await["code"], "forbidden");
    assert!(json!(aws.rows("MessagesTable")).to_string().contains("Sekrit"));
    let deleted = call(&context, delete).await;
    assert_eq!(deleted["value"]["changed"]["deleted"]["by"], "alice");
    assert!(!json!(aws.rows("MessagesTable")).to_string().contains("Sekrit"));
    // Not more than that: a backend does not edit what another user wrote.
    call(&context, json!({ "as": "bob", "action": "sendMessage", "recipientId": "alice", "content": "x" })).await;
    let edit = json!({ "as": "alice", "action": "editMessage", "targetId": "bob", "seq": 3, "content": "y" });
    assert_eq!(call(&context, edit).await["code"], "forbidden");
}

#[tokio::test]
async fn it_disconnects_a_user() {
    let (aws, context) = start().await;
    let reply = call(&context, json!({ "as": "alice", "action": "disconnectUser", "ref": "1" })).await;
    assert_eq!(reply, json!({ "type": "disconnected", "ref": "1", "value": { "userId": "alice", "connections": 2 } }));
    let mut closed = aws.connections.take_closed();
    closed.sort();
    assert_eq!(closed, ["alice", "alice-2"]);
    assert_eq!(aws.stored_connections(), [("bob".to_owned(), "bob".to_owned())]);
    let again = call(&context, json!({ "as": "alice", "action": "disconnectUser" })).await;
    assert_eq!(again["value"]["connections"], 0);

    aws.connections.answer("bob", &[500]);
    let failed = call(&context, json!({ "as": "bob", "action": "disconnectUser" })).await;
    assert_eq!(failed["code"], "unavailable");
    assert_eq!(aws.stored_connections().len(), 1, "what is still open is still known");
}

#[tokio::test]
async fn no_frame_of_a_client_acts_as_another_user_or_disconnects_anybody() {
    let (aws, _) = start().await;
    let (send, fallback): (send::Context, ()) = (aws.context(), ());
    let frame = json!({ "as": "alice", "action": "sendMessage", "recipientId": "bob", "content": "Hi" });
    let sent = invoke(&send, send::handle, Fixture::named("send").user("mallory").frame(&frame)).await;
    assert_eq!(sent["value"]["conversationId"], "dm:3:bob:mallory");
    let frame = json!({ "as": "alice", "action": "disconnectUser" });
    let reply = invoke(&fallback, fallback::handle, Fixture::named("fallback").user("mallory").frame(&frame)).await;
    assert_eq!(reply["code"], "unknown_action");
    assert!(aws.connections.take_closed().is_empty());
}
