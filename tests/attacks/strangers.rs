//! Attacks by mallory on two other users' conversation, and on their group: mallory can't read, write, change or list any of
//! it.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::model::{conversation::GroupId, user::UserId};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use support::{FakeAws, Fixture, conversation_id};
use tokio::runtime::Runtime;

use crate::routes::{self, Route};

/// Text of the messages between the other two users. Mallory must never receive it.
const SECRET: &str = "between us two";
/// The `clientMessageId` with which the first of the two creates their group.
const CREATION: &str = "our group";

/// The id of the group of the other two users. Mallory knows it.
fn group_of(one: &str) -> String {
    // The filter in `users` drops invalid ids later.
    UserId::try_from(one.to_owned()).map(|one| GroupId::of_request(&one, CREATION).to_string()).unwrap_or_default()
}

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
    let group = group_of(&one);
    let mut strings = vec![
        group.clone(),
        format!("group:{group}"),
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
        "createGroup".to_owned(),
        "changeGroup".to_owned(),
        "getGroup".to_owned(),
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
        "groupId",
        "members",
        "name",
        "add",
        "remove",
        "roles",
        "owner",
        "as",
    ];
    let cursors = vec![
        json!({ "conversationId": theirs, "seq": 9 }),
        json!({ "conversationId": theirs, "seq": 0, "newer": true }),
        json!({ "conversationId": theirs, "userId": one, "seq": 1 }),
        json!({ "authorizer": { "userId": one, "principalId": one } }),
        json!({ "S": theirs }),
        json!({ "conversationId": format!("group:{group}"), "seq": 9 }),
        json!({ "listed": 999_999, "groupId": group }),
        json!([one]),
        json!([mallory]),
        json!({ mallory.clone(): "owner" }),
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
    let targets = prop_oneof![2 => select(strings), 1 => Just(group.clone())];
    let valid = (targets, prop::collection::vec(field.clone(), 0..4)).prop_map(move |(target, more)| {
        let mut whole = vec![("content", json!("mine")), ("seq", json!(1)), ("name", json!("mine"))];
        match target == group {
            true => whole.push(("groupId", json!(target))),
            false => whole.extend([("recipientId", json!(target)), ("targetId", json!(target))]),
        }
        let whole: Vec<_> = whole.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let more = more.into_iter().filter(|(name, _)| whole.iter().all(|(known, _)| known != name));
        support::strategies::object(&whole.iter().cloned().chain(more).collect::<Vec<_>>())
    });
    let any = prop::collection::vec(field, 0..8).prop_map(|members| support::strategies::object(&members));
    prop::collection::vec(prop_oneof![3 => valid, 1 => any], 1..6)
}

/// Rows that do not name mallory as a user, by table, without those of other groups: mallory may create groups, and add users.
fn rows_of_others(aws: &FakeAws, mallory: &str, group: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let names = ["userId", "senderId", "recipientId", "peerId"];
    let is_others = |row: &Value| {
        let conversation = row["conversationId"]["S"].as_str().unwrap_or_default();
        let is_of_another_group = conversation.strip_prefix("group:").or(row["groupId"]["S"].as_str());
        names.iter().all(|name| row[name]["S"] != mallory) && is_of_another_group.is_none_or(|id| id == group)
    };
    TABLES
        .map(|table| (table, aws.rows(table).iter().filter(|row| is_others(row)).map(Value::to_string).collect()))
        .into()
}

/// All tables of the template.
const TABLES: [&str; 4] = ["ClientsTable", "ConversationsTable", "MessagesTable", "MembersTable"];

async fn attack(routes: &[Route], aws: &FakeAws, [one, other, mallory]: &[String; 3], frames: &[String]) {
    let theirs = conversation_id(one, other);
    let by_name = |name| routes.iter().find(|route| route.name == name).unwrap();
    for (who, to) in [(one, other), (other, one)] {
        by_name("connect").respond(Fixture::named("connect").user(who)).await;
        let frame = json!({ "recipientId": to, "content": SECRET });
        let sent = by_name("send").respond(Fixture::named("send").user(who).frame(&frame)).await;
        assert_eq!(by_name("send").frame(&sent)["type"], "sent", "{sent}");
    }
    let frame = json!({ "action": "createGroup", "name": SECRET, "members": [other], "clientMessageId": CREATION });
    let created = by_name("group").respond(Fixture::named("group").user(one).frame(&frame)).await;
    let group = group_of(one);
    assert_eq!(by_name("group").frame(&created)["value"]["groupId"], group, "{created}");
    let frame = json!({ "groupId": group, "content": SECRET });
    let sent = by_name("send").respond(Fixture::named("send").user(other).frame(&frame)).await;
    assert_eq!(by_name("send").frame(&sent)["type"], "sent", "{sent}");
    by_name("connect").respond(Fixture::named("connect").user(mallory)).await;
    let before = rows_of_others(aws, mallory, &group);
    let theirs = [theirs, format!("group:{group}")];
    let is_theirs = |value: &Value| theirs.iter().any(|id| value["conversationId"] == id.as_str());
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
                assert!(!is_theirs(&reply["value"]), "{attack}: {reply}");
                for list in ["messages", "conversations"] {
                    for listed in reply["value"][list].as_array().into_iter().flatten() {
                        assert!(!is_theirs(listed), "{attack}: {reply}");
                    }
                }
            }
        }
    }

    assert_eq!(rows_of_others(aws, mallory, &group), before, "{frames:?}");
    let is_in = |row: &Value| {
        row["userId"]["S"] == mallory.as_str() && is_theirs(&json!({ "conversationId": row["conversationId"]["S"] }))
    };
    assert!(!aws.rows("MembersTable").iter().any(is_in), "mallory is a member: {frames:?}");
    for push in aws.connections.take_pushes() {
        assert!(!push.frame.to_string().contains(SECRET), "{push:?}");
        // The sender of a `message`, the reader of a `read`.
        let by = push.frame["value"].get("senderId").unwrap_or(&push.frame["value"]["userId"]);
        assert_eq!(by, &json!(mallory), "{push:?}");
        assert!(!is_theirs(&push.frame["value"]), "{push:?}");
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
