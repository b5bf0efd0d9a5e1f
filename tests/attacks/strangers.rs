//! Attacks by mallory on two other users' conversation: mallory can't read, write or list any of
//! it.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::model::user::UserId;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use support::{FakeAws, Fixture, conversation_id};
use tokio::runtime::Runtime;

use crate::routes::{self, Route};

/// Text of the messages between the other two users. Mallory must never receive it.
const SECRET: &str = "between us two";

/// Three different users: two members of a conversation, and mallory. Mallory's id may be derived
/// from theirs.
fn users() -> impl Strategy<Value = [String; 3]> {
    let pair = (support::strategies::user_id(), support::strategies::user_id());
    let three = (pair, support::strategies::user_id(), 0..8).prop_map(|((one, other), third, how)| {
        let third = match how {
            0 => format!("{one}:{other}"),
            1 => format!("{}:{one}", one.len()),
            2 => conversation_id(&one, &other),
            3 => one.chars().rev().collect(),
            // Users `x:y` and `z`, and mallory as `x`: joining the ids naively gives the id of `x`
            // and `y:z`.
            4 => return [format!("{one}:{third}"), other, one],
            _ => third,
        };
        [one, other, third]
    });
    three.prop_filter("three valid users", |three| {
        let different = three.iter().collect::<BTreeSet<_>>().len() == 3;
        different && three.iter().all(|name| UserId::try_from(name.clone()).is_ok())
    })
}

/// Frames whose fields hold the other users' ids, conversation id and cursors.
fn attacks([one, other, mallory]: [String; 3]) -> impl Strategy<Value = Vec<String>> {
    let theirs = conversation_id(&one, &other);
    let cut = |at: usize| theirs.get(at..).unwrap_or_default().to_owned();
    let rest = |whole: String| whole.strip_prefix(&format!("{mallory}:")).unwrap_or_default().to_owned();
    let rests = [rest(format!("{one}:{other}")), rest(format!("{other}:{one}"))];
    let mut strings = vec![
        one.clone(),
        other.clone(),
        mallory.clone(),
        theirs.clone(),
        cut(3),
        cut(5),
        format!("{one}:{other}"),
        format!("{other}:{one}"),
        "sendMessage".to_owned(),
        "getMessages".to_owned(),
        "getConversations".to_owned(),
        "markRead".to_owned(),
    ];
    strings.extend(rests);
    let names = [
        "action",
        "recipientId",
        "targetId",
        "content",
        "startKey",
        "after",
        "limit",
        "lastSeq",
        "seq",
        "clientMessageId",
        "senderId",
        "userId",
        "conversationId",
        "peerId",
        "connectionId",
        "messageId",
        "ref",
        "requestContext",
    ];
    let cursors = vec![
        json!({ "conversationId": theirs, "seq": 9 }),
        json!({ "conversationId": theirs, "seq": 0, "newer": true }),
        json!({ "conversationId": theirs, "userId": one, "seq": 1 }),
        json!({ "authorizer": { "userId": one, "principalId": one } }),
        json!({ "S": theirs }),
        json!(0),
        json!(1),
        json!(9),
    ];
    let value = prop_oneof![
        4 => select(strings.clone()).prop_map(Value::from),
        3 => select(cursors),
        1 => support::strategies::json_value(strings.clone()),
    ];
    let field = (select(names.map(str::to_owned).to_vec()), value);
    // Most frames are valid, because the parser rejects invalid ones before they reach a route.
    let valid = (select(strings), prop::collection::vec(field.clone(), 0..4)).prop_map(move |(target, more)| {
        let whole = [
            ("recipientId", json!(target)),
            ("targetId", json!(target)),
            ("content", json!("mine")),
            ("seq", json!(1)),
        ];
        let whole = whole.map(|(name, value)| (name.to_owned(), value));
        let more = more.into_iter().filter(|(name, _)| whole.iter().all(|(known, _)| known != name));
        support::strategies::object(&whole.iter().cloned().chain(more).collect::<Vec<_>>())
    });
    let any = prop::collection::vec(field, 0..8).prop_map(|members| support::strategies::object(&members));
    prop::collection::vec(prop_oneof![3 => valid, 1 => any], 1..6)
}

/// Rows that do not name mallory as a user, by table.
fn rows_of_others(aws: &FakeAws, mallory: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let names = ["userId", "senderId", "recipientId", "peerId"];
    let is_others = |row: &Value| names.iter().all(|name| row[name]["S"] != mallory);
    TABLES
        .map(|table| (table, aws.rows(table).iter().filter(|row| is_others(row)).map(Value::to_string).collect()))
        .into()
}

/// All tables of the template.
const TABLES: [&str; 3] = ["ClientsTable", "ConversationsTable", "MessagesTable"];

async fn attack(routes: &[Route], aws: &FakeAws, [one, other, mallory]: &[String; 3], frames: &[String]) {
    let theirs = conversation_id(one, other);
    let by_name = |name| routes.iter().find(|route| route.name == name).unwrap();
    for (who, to) in [(one, other), (other, one)] {
        by_name("connect").respond(Fixture::named("connect").user(who)).await;
        let frame = json!({ "recipientId": to, "content": SECRET });
        let sent = by_name("send").respond(Fixture::named("send").user(who).frame(&frame)).await;
        assert_eq!(by_name("send").frame(&sent)["type"], "sent", "{sent}");
    }
    by_name("connect").respond(Fixture::named("connect").user(mallory)).await;
    let before = rows_of_others(aws, mallory);
    aws.connections.take_pushes();

    for frame in frames {
        for route in routes {
            // Also use another user's connection, because connection ids are not secret.
            for connection in [mallory, one] {
                let event = Fixture::named(route.name).user(mallory).connection(connection);
                let event = if matches!(route.name, "connect" | "disconnect") { event } else { event.text(frame) };
                let answer = route.respond(event).await;
                let reply = route.frame(&answer);
                let attack = format!("{} {frame}", route.name);
                assert!(!answer.to_string().contains(SECRET), "{attack}: {answer}");
                assert_ne!(reply["value"]["conversationId"], json!(theirs), "{attack}: {reply}");
                for list in ["messages", "conversations"] {
                    for listed in reply["value"][list].as_array().into_iter().flatten() {
                        assert_ne!(listed["conversationId"], json!(theirs), "{attack}: {reply}");
                    }
                }
            }
        }
    }

    assert_eq!(rows_of_others(aws, mallory), before, "{frames:?}");
    for push in aws.connections.take_pushes() {
        assert!(!push.frame.to_string().contains(SECRET), "{push:?}");
        // The sender of a `message`, the reader of a `read`.
        let by = push.frame["value"].get("senderId").unwrap_or(&push.frame["value"]["userId"]);
        assert_eq!(by, &json!(mallory), "{push:?}");
        assert_ne!(push.frame["value"]["conversationId"], json!(theirs), "{push:?}");
    }
}

#[test]
fn no_frame_reaches_a_conversation_of_others() {
    let runtime = Runtime::new().unwrap();
    let scenes = users().prop_flat_map(|users| (Just(users.clone()), attacks(users)));
    proptest!(support::strategies::cases(64), |((users, frames) in scenes)| {
        runtime.block_on(async {
            let aws = FakeAws::start().await;
            attack(&routes::all(&aws), &aws, &users, &frames).await;
        });
    });
}
