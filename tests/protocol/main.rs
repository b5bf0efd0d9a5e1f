//! `docs/asyncapi.yaml` says what the functions take and say: every frame that is sent here is judged by both.

use std::{collections::BTreeSet, fs, path::Path};

use jsonschema::Validator;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Value, json};
use support::{Client, Local};

/// The largest number that JavaScript can hold exactly.
const LARGEST: u64 = 9_007_199_254_740_991;

/// The document as JSON.
fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/asyncapi.yaml");
    let text = fs::read_to_string(path).unwrap();
    json_of(&Yaml::load_from_str(&text).unwrap()[0])
}

fn json_of(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(is)) => json!(is),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        Yaml::Mapping(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.as_str().unwrap().to_owned(), json_of(value))).collect(),
        ),
        other => panic!("no such YAML is expected here: {other:?}"),
    }
}

/// What judges frames of one name.
fn validator(document: &Value, name: &str) -> Validator {
    let mut schema = document["components"]["messages"][name]["payload"].clone();
    assert!(schema.is_object(), "the document has no message {name}");
    schema["components"] = json!({ "schemas": document["components"]["schemas"] });
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Whether what a server says is as the document has it.
#[track_caller]
fn check(document: &Value, frame: &Value) {
    let name = frame["type"].as_str().unwrap_or_else(|| panic!("no type: {frame}"));
    let faults: Vec<_> = validator(document, name).iter_errors(frame).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{frame} is not the {name} of the document: {faults:?}");
}

#[tokio::test]
async fn every_frame_is_as_the_document_says() {
    let (document, chat) = (document(), Local::start().await);
    let (alice, bob) = tokio::join!(chat.connect("alice"), chat.connect("bob"));
    let mut told = BTreeSet::new();
    let mut ask = async |client: &Client, frame: Value| -> Value {
        let action = frame["action"].as_str().unwrap();
        assert!(validator(&document, action).is_valid(&frame), "the document has no such {action}: {frame}");
        let answer = client.ask(frame).await;
        check(&document, &answer);
        told.insert(answer["type"].as_str().unwrap().to_owned());
        answer["value"].clone()
    };
    for number in 0..3 {
        let named = json!({ "clientMessageId": format!("c{number}"), "lastSeq": number });
        let mut frame = json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi" });
        frame.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
        for duplicate in [false, true] {
            assert_eq!(ask(&alice, frame.clone()).await["duplicate"], duplicate);
            check(&document, &bob.next().await);
        }
    }
    ask(&alice, json!({ "action": "sendMessage", "recipientId": "carol", "content": "Without a name" })).await;
    for more in [json!({}), json!({ "limit": 1 }), json!({ "limit": 1_000 }), json!({ "after": 1, "limit": 1 })] {
        let mut frame = json!({ "action": "getMessages", "targetId": "bob" });
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let page = ask(&alice, frame).await;
        if let Some(key) = page.get("lastEvaluatedKey") {
            ask(&alice, json!({ "action": "getMessages", "targetId": "bob", "startKey": key })).await;
        }
    }
    ask(&bob, json!({ "action": "markRead", "targetId": "alice", "seq": 2 })).await;
    check(&document, &alice.next().await);
    let page = ask(&alice, json!({ "action": "getConversations", "limit": 1 })).await;
    ask(&alice, json!({ "action": "getConversations", "startKey": page["lastEvaluatedKey"] })).await;
    ask(&alice, json!({ "action": "ping" })).await;
    check(&document, &alice.ask(json!({ "action": "dance" })).await);
    told.extend(["message", "error"].map(str::to_owned));
    let documented = document["components"]["messages"].as_object().unwrap().keys().cloned();
    let of_clients = ["sendMessage", "getMessages", "getConversations", "markRead", "ping"].map(str::to_owned);
    let both: BTreeSet<_> = told.into_iter().chain(of_clients).collect();
    assert_eq!(both, documented.collect(), "each message of the document was seen, and no other");
    chat.stop().await;
}

#[tokio::test]
async fn who_sends_too_fast_is_told_as_the_document_says_when_to_come_again() {
    let chat = Local::start_with(|options| {
        options.parameters.extend(["MessageRate", "MessageBurst"].map(|name| (name.to_owned(), "1".to_owned())));
    })
    .await;
    let (document, alice) = (document(), chat.connect("alice").await);
    alice.send("bob", "Hi", json!({})).await;
    let refused = alice.send("bob", "Hi again", json!({})).await;
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    check(&document, &refused);
    let mut without = refused.clone();
    without.as_object_mut().unwrap().remove("retryAfter");
    let mut other = refused;
    other["code"] = json!("unavailable");
    for frame in [without, other] {
        assert!(!validator(&document, "error").is_valid(&frame), "{frame}");
    }
    chat.stop().await;
}

/// Every field of an action, missing, and with values of every kind: where the document says no, so do the functions, and
/// where they take it, so does the document.
#[tokio::test]
async fn what_the_document_refuses_the_functions_refuse_too() {
    let document = document();
    let chat = Local::start_with(|options| {
        for name in ["MessageRate", "MessageBurst"] {
            options.parameters.insert(name.to_owned(), "1000".to_owned());
        }
    })
    .await;
    let alice = chat.connect("alice").await;
    let stored = alice.send("bob", "Hi", json!({})).await;
    let id = &stored["value"]["conversationId"];
    let whole = [
        json!({ "action": "sendMessage", "recipientId": "bob", "content": "Hi", "clientMessageId": "c", "lastSeq": 1 }),
        json!({ "action": "getMessages", "targetId": "bob", "limit": 1, "after": 1 }),
        json!({ "action": "getMessages", "targetId": "bob", "startKey": { "conversationId": id, "seq": 1 } }),
        json!({ "action": "getConversations", "limit": 1 }),
        json!({ "action": "markRead", "targetId": "bob", "seq": 1 }),
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
        json!({}),
        json!({ "conversationId": id }),
        json!({ "conversationId": id, "seq": -1 }),
    ];
    let mut judged = (0, 0);
    for frame in whole {
        let action = frame["action"].as_str().unwrap().to_owned();
        let validator = validator(&document, &action);
        let fields = document["components"]["messages"][&action]["payload"]["properties"].as_object().unwrap();
        let mut frames = vec![frame.clone()];
        // `ref` has to be the test's own, to find the answer by.
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
            let answer = alice.ask(frame.clone()).await;
            let (documented, code) = (validator.is_valid(&frame), &answer["code"]);
            // What only the stored messages can tell: whether there is such a message, or such a cursor.
            let by_data = code == "bad_request"
                && ["has no such message", "belongs to another"]
                    .iter()
                    .any(|words| answer["message"].as_str().unwrap().contains(words));
            let taken = code.is_null() || by_data;
            assert_eq!(documented, taken, "the document takes it: {documented}; the answer to {frame}: {answer}");
            if taken { judged.0 += 1 } else { judged.1 += 1 }
        }
    }
    assert!(judged.0 > 40 && judged.1 > 100, "{judged:?}");
    chat.stop().await;
}

#[tokio::test]
async fn the_codes_of_errors_are_those_of_the_document() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/chat-core/src/error.rs");
    let source = fs::read_to_string(source).unwrap();
    let (_, code) = source.split_once("pub fn code").unwrap();
    let (code, _) = code.split_once("pub fn message").unwrap();
    let spoken: BTreeSet<_> = code.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let document = document();
    let documented =
        document["components"]["messages"]["error"]["payload"]["properties"]["code"]["enum"].as_array().unwrap();
    assert_eq!(spoken, documented.iter().map(|code| code.as_str().unwrap().to_owned()).collect());
}
