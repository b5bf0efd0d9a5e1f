//! Conformance tests: `docs/asyncapi.yaml` and the functions agree on every frame.

use std::{collections::BTreeSet, fs, path::Path};

use jsonschema::Validator;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Value, json};
use support::{ChatClient, Local};

/// The largest number that JavaScript can hold exactly.
const LARGEST: u64 = 9_007_199_254_740_991;

/// `docs/asyncapi.yaml` as JSON.
fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/asyncapi.yaml");
    let text = fs::read_to_string(path).unwrap();
    to_json(&Yaml::load_from_str(&text).unwrap()[0])
}

fn to_json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(is)) => json!(is),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.as_str().unwrap().to_owned(), to_json(value))).collect(),
        ),
        other => panic!("this kind of YAML is not supported here: {other:?}"),
    }
}

/// Compiles the schema of one message in the document.
fn validator(document: &Value, name: &str) -> Validator {
    let mut schema = document["components"]["messages"][name]["payload"].clone();
    assert!(schema.is_object(), "docs/asyncapi.yaml has no message {name}: add it to components.messages");
    schema["components"] = json!({ "schemas": document["components"]["schemas"] });
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The name in the document of a frame of the server: its `type`, unless an action has that name.
fn message_name(frame: &Value) -> &str {
    match frame["type"].as_str().unwrap_or_else(|| panic!("no type: {frame}")) {
        "typing" => "peerTyping",
        name => name,
    }
}

/// Checks a frame of the server against the message that its `type` names.
#[track_caller]
fn assert_documented(document: &Value, frame: &Value) {
    let name = message_name(frame);
    let faults: Vec<_> = validator(document, name).iter_errors(frame).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{frame} does not conform to {name} in docs/asyncapi.yaml: {faults:?}");
}

#[tokio::test]
async fn every_frame_conforms_to_its_documented_schema() {
    let (document, chat) = (document(), Local::start().await);
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let mut received = BTreeSet::new();
    let mut request = async |client: &ChatClient, frame: Value| -> Value {
        let action = frame["action"].as_str().unwrap();
        assert!(
            validator(&document, action).is_valid(&frame),
            "this test sends {frame}, which does not conform to {action} in docs/asyncapi.yaml"
        );
        let reply = client.request(frame).await;
        assert_documented(&document, &reply);
        received.insert(reply["type"].as_str().unwrap().to_owned());
        reply["value"].clone()
    };
    for number in 0..3 {
        let named = json!({ "clientMessageId": format!("c{number}"), "lastSeq": number });
        let mut frame = json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi" });
        frame.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
        for duplicate in [false, true] {
            assert_eq!(request(&alice, frame.clone()).await["duplicate"], duplicate);
            assert_documented(&document, &bob.next_frame().await);
        }
    }
    request(&alice, json!({ "action": "sendMessage", "recipientId": "carol", "content": "Without a name" })).await;
    for more in [json!({}), json!({ "limit": 1 }), json!({ "limit": 1_000 }), json!({ "after": 1, "limit": 1 })] {
        let mut frame = json!({ "action": "getMessages", "targetId": "bob" });
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let page = request(&alice, frame).await;
        if let Some(key) = page.get("lastEvaluatedKey") {
            request(&alice, json!({ "action": "getMessages", "targetId": "bob", "startKey": key })).await;
        }
    }
    let reply =
        json!({ "action": "sendMessage", "recipientId": "bob", "content": "Yes", "replyTo": 1, "mentions": ["bob"] });
    request(&alice, reply).await;
    assert_documented(&document, &bob.next_frame().await);
    let changes = [
        json!({ "action": "editMessage", "targetId": "bob", "seq": 1, "content": "Hello", "lastSeq": 4 }),
        json!({ "action": "react", "targetId": "bob", "seq": 1, "reaction": "👍", "on": true }),
        json!({ "action": "deleteMessage", "targetId": "bob", "seq": 2 }),
    ];
    for change in changes {
        assert!(request(&alice, change).await["changed"]["version"].is_u64());
        assert_documented(&document, &bob.next_frame().await);
    }
    let missed = request(&alice, json!({ "action": "getMessages", "targetId": "bob", "after": 4 })).await;
    assert_eq!(missed["changed"].as_array().unwrap().len(), 2, "{missed}");
    request(&bob, json!({ "action": "markRead", "targetId": "alice", "seq": 2 })).await;
    assert_documented(&document, &alice.next_frame().await);
    let create = json!({ "action": "createGroup", "name": "Climbing", "members": ["bob"], "history": "joined" });
    let group = request(&alice, create).await["groupId"].clone();
    assert_documented(&document, &bob.next_frame().await);
    let own = [
        json!({ "action": "sendMessage", "groupId": group, "content": "Hi", "lastSeq": 1 }),
        json!({ "action": "react", "groupId": group, "seq": 2, "reaction": "👍", "on": true }),
        json!({ "action": "changeGroup", "groupId": group, "roles": { "bob": "owner" }, "name": "Bouldering" }),
        json!({ "action": "changeGroup", "groupId": group, "posting": "admins", "adding": "all" }),
    ];
    for frame in own {
        request(&alice, frame).await;
        assert_documented(&document, &bob.next_frame().await);
    }
    for frame in [
        json!({ "action": "getMessages", "groupId": group, "after": 0 }),
        json!({ "action": "getGroup", "groupId": group, "readPositions": true }),
        json!({ "action": "getPresence", "groupId": group }),
        json!({ "action": "getConversations" }),
    ] {
        request(&alice, frame).await;
    }
    request(&bob, json!({ "action": "markRead", "groupId": group, "seq": 2 })).await;
    assert_documented(&document, &alice.next_frame().await);
    for mut frame in [json!({ "remove": ["alice"] }), json!({ "add": ["alice"] })] {
        frame["action"] = json!("changeGroup");
        frame["groupId"] = group.clone();
        request(&bob, frame).await;
        assert_documented(&document, &alice.next_frame().await);
        request(&alice, json!({ "action": "getConversations" })).await;
        request(&alice, json!({ "action": "getMessages", "groupId": group })).await;
    }
    let page = request(&alice, json!({ "action": "getConversations", "limit": 1 })).await;
    request(&alice, json!({ "action": "getConversations", "startKey": page["lastEvaluatedKey"] })).await;
    request(&alice, json!({ "action": "getPresence", "userIds": ["alice", "bob", "carol", "nobody"] })).await;
    request(&alice, json!({ "action": "ping" })).await;
    assert_documented(&document, &alice.request(json!({ "action": "dance" })).await);
    while let Some(frame) = bob.buffered_frame().await {
        assert_documented(&document, &frame);
    }
    alice.send_text(&json!({ "action": "typing", "targetId": "bob" }).to_string());
    let typing = bob.next_frame().await;
    assert_documented(&document, &typing);
    alice.send_text(&json!({ "action": "typing", "groupId": group }).to_string());
    assert_documented(&document, &bob.next_frame().await);
    received.extend(["message", "error", message_name(&typing)].map(str::to_owned));
    let documented = document["components"]["messages"].as_object().unwrap().keys().cloned();
    let routes = support::stack().api.routes.into_keys().filter(|key| !key.starts_with('$'));
    let sent = routes.chain(["ping".to_owned()]);
    let both: BTreeSet<_> = received.into_iter().chain(sent).collect();
    assert_eq!(
        both,
        documented.collect(),
        "this test sees each message of docs/asyncapi.yaml: send the missing ones here"
    );
    chat.stop().await;
}

#[tokio::test]
async fn a_rate_limited_error_has_a_retry_time_as_documented() {
    let chat = Local::start_with(|options| {
        options.parameters.extend(["MessageRate", "MessageBurst"].map(|name| (name.to_owned(), "1".to_owned())));
    })
    .await;
    let (document, alice) = (document(), chat.connect("alice").await);
    let send = json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi" });
    alice.request(send.clone()).await;
    let refused = alice.request(send).await;
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    assert_documented(&document, &refused);
    let mut without = refused.clone();
    without.as_object_mut().unwrap().remove("retryAfter");
    let mut other = refused;
    other["code"] = json!("unavailable");
    for frame in [without, other] {
        assert!(!validator(&document, "error").is_valid(&frame), "{frame}");
    }
    chat.stop().await;
}

/// For every action, omits each field in turn and sets it to values of every kind.
#[tokio::test]
async fn the_functions_accept_exactly_the_documented_frames() {
    let document = document();
    let chat = Local::start_with(|options| {
        for name in ["MessageRate", "MessageBurst", "GroupRate"] {
            options.parameters.insert(name.to_owned(), "1000".to_owned());
        }
    })
    .await;
    let alice = chat.connect("alice").await;
    let stored = alice.send("bob", "Hi", json!({})).await.unwrap();
    let id = &stored.conversation_id;
    let created = alice.request(json!({ "action": "createGroup", "name": "Climbing", "members": ["bob"] })).await;
    let group = &created["value"]["groupId"];
    let complete = [
        json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi", "clientMessageId": "c", "lastSeq": 1 }),
        json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi", "replyTo": 1, "mentions": ["bob"] }),
        json!({ "action": "editMessage", "targetId": "bob", "seq": 1, "content": "Hello", "clientMessageId": "e" }),
        json!({ "action": "react", "targetId": "bob", "seq": 1, "reaction": "👍", "on": true }),
        json!({ "action": "deleteMessage", "targetId": "bob", "seq": 3 }),
        json!({ "action": "getMessages", "targetId": "bob", "limit": 1, "after": 1 }),
        json!({ "action": "getMessages", "targetId": "bob", "startKey": { "conversationId": id, "seq": 1 } }),
        json!({ "action": "getConversations", "limit": 1 }),
        json!({ "action": "markRead", "targetId": "bob", "seq": 1 }),
        json!({ "action": "getPresence", "userIds": ["bob"] }),
        json!({ "action": "getPresence", "groupId": group }),
        json!({ "action": "sendMessage", "groupId": group, "content": "Hi", "mentions": ["bob"] }),
        json!({ "action": "getMessages", "groupId": group }),
        json!({ "action": "markRead", "groupId": group, "seq": 1 }),
        json!({ "action": "createGroup", "name": "x", "members": ["bob"], "history": "all", "posting": "all" }),
        json!({ "action": "changeGroup", "groupId": group, "posting": "all" }),
        json!({ "action": "getGroup", "groupId": group, "readPositions": true }),
        json!({ "action": "ping" }),
    ];
    let x = |count: usize| json!("x".repeat(count));
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(1.5),
        json!(101),
        json!(LARGEST + 1),
        json!(""),
        json!(" "),
        json!(" x"),
        json!("x\n"),
        json!("a\u{1}b"),
        json!("a b"),
        x(64),
        x(65),
        x(128),
        x(129),
        x(16 * 1024),
        x(16 * 1024 + 1),
        json!([]),
        json!(["bob", "bob"]),
        json!(vec!["bob"; 21]),
        json!((0..20).map(|number| format!("u{number}")).collect::<Vec<_>>()),
        json!((0..21).map(|number| format!("u{number}")).collect::<Vec<_>>()),
        json!([" bob"]),
        json!({}),
        json!({ "conversationId": id }),
        json!({ "conversationId": id, "seq": -1 }),
    ];
    let (mut accepted, mut refused) = (0, 0);
    for frame in complete {
        let action = frame["action"].as_str().unwrap().to_owned();
        let validator = validator(&document, &action);
        let fields = document["components"]["messages"][&action]["payload"]["properties"].as_object().unwrap();
        let mut frames = vec![frame.clone()];
        // The test client sets `ref` itself, to match the reply.
        for field in fields.keys().filter(|field| !["action", "ref"].contains(&field.as_str())) {
            let mut without = frame.clone();
            without.as_object_mut().unwrap().remove(field);
            frames.push(without);
            for value in &values {
                let mut changed = frame.clone();
                changed[field] = value.clone();
                frames.push(changed);
            }
        }
        for frame in frames {
            let reply = alice.request(frame.clone()).await;
            let (is_documented, code) = (validator.is_valid(&frame), &reply["code"]);
            // A schema can't express whether a message exists or is deleted, which conversation a cursor belongs to, or
            // who is a member.
            let is_refused_by_data = (code == "bad_request" || code == "forbidden")
                && [
                    "has no such message",
                    "has no such entry",
                    "belongs to another",
                    "is deleted",
                    "is not a message",
                    "a member of the group",
                ]
                .iter()
                .any(|words| reply["message"].as_str().unwrap().contains(words));
            let is_accepted = code.is_null() || is_refused_by_data;
            let says = if is_documented { "allows" } else { "forbids" };
            assert_eq!(is_documented, is_accepted, "docs/asyncapi.yaml {says} {frame}, and the reply is {reply}");
            if is_accepted { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 40 && refused > 100, "{accepted} accepted, {refused} refused");
    chat.stop().await;
}

#[test]
fn every_route_of_the_template_is_a_documented_action() {
    let routes: BTreeSet<_> = support::stack().api.routes.into_keys().filter(|key| !key.starts_with('$')).collect();
    let document = document();
    for route in &routes {
        let payload = &document["components"]["messages"][route]["payload"];
        assert_eq!(
            payload["properties"]["action"]["const"], *route,
            "template.yaml has the route {route}, docs/asyncapi.yaml has not: add components.messages.{route} with \
             `action: {{const: {route}}}`, list it under channels.chat.messages, and add its operation"
        );
        assert!(
            !document["channels"]["chat"]["messages"][route].is_null(),
            "docs/asyncapi.yaml does not list {route} under channels.chat.messages: add it"
        );
        let message = json!([{ "$ref": format!("#/channels/chat/messages/{route}") }]);
        let mut operations = document["operations"].as_object().unwrap().values();
        assert!(
            operations.any(|operation| operation["messages"] == message),
            "docs/asyncapi.yaml has no operation with the message {route}: add one with its reply"
        );
    }
    // `$default` handles `ping` too.
    let actions = document["components"]["messages"].as_object().unwrap().iter();
    let actions = actions.filter(|(_, message)| message["payload"]["properties"].get("action").is_some());
    let undeclared: Vec<_> = actions.map(|(name, _)| name).filter(|name| !routes.contains(*name)).collect();
    assert_eq!(undeclared, ["ping"], "docs/asyncapi.yaml has actions without a route in template.yaml");
}

#[test]
fn every_error_code_is_documented() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/chat-core/src/model/error.rs");
    let source = fs::read_to_string(source).unwrap();
    let (_, code) = source.split_once("pub fn code").unwrap();
    let (code, _) = code.split_once("pub fn message").unwrap();
    let codes: BTreeSet<_> = code.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let document = document();
    let documented =
        document["components"]["messages"]["error"]["payload"]["properties"]["code"]["enum"].as_array().unwrap();
    let documented = documented.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    assert_eq!(codes, documented, "the codes of chat-core (left) and of docs/asyncapi.yaml (right) differ");
}
