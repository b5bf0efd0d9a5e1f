//! Whatever mallory sends, on whichever route: nothing of a conversation of two others is read, written or listed.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::model::{conversation::ConversationId, user::UserId};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use support::{FakeAws, Fixture};
use tokio::runtime::Runtime;

use crate::routes::{self, Route};

/// What two others say to each other, and nobody else may ever see.
const SECRET: &str = "between us two";

/// Three different users: the two who talk, and mallory, whose name may be made from theirs.
fn users() -> impl Strategy<Value = [String; 3]> {
    let pair = (support::strategies::user_id(), support::strategies::user_id());
    let three = (pair, support::strategies::user_id(), 0..8).prop_map(|((one, other), third, how)| {
        let third = match how {
            0 => format!("{one}:{other}"),
            1 => format!("{}:{one}", one.len()),
            2 => ConversationId::between(&user(&one), &user(&other)).as_str().to_owned(),
            3 => one.chars().rev().collect(),
            // Of `x:y` and `z`, mallory is `x`: a careless id would be that of `x` and `y:z`.
            4 => return [format!("{one}:{third}"), other, one],
            _ => third,
        };
        [one, other, third]
    });
    three.prop_filter("three who can be users", |three| {
        let different = three.iter().collect::<BTreeSet<_>>().len() == 3;
        different && three.iter().all(|name| UserId::try_from(name.clone()).is_ok())
    })
}

/// Names that the alphabet makes too long or of white space are left to the filter.
fn user(name: &str) -> UserId {
    UserId::try_from(name.to_owned()).unwrap_or_else(|_| UserId::try_from("x".to_owned()).unwrap())
}

/// Frames with every field there is or ever was, and the others' names, conversation and cursors in them.
fn attacks([one, other, mallory]: [String; 3]) -> impl Strategy<Value = Vec<String>> {
    let theirs = ConversationId::between(&user(&one), &user(&other)).as_str().to_owned();
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
    // Good frames too, or most attacks would end at the first wrong type.
    let good = (select(strings), prop::collection::vec(field.clone(), 0..4)).prop_map(move |(target, more)| {
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
    prop::collection::vec(prop_oneof![3 => good, 1 => any], 1..6)
}

/// Every row in which mallory is nobody.
fn rows_of_others(aws: &FakeAws, mallory: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let names = ["userId", "senderId", "recipientId", "peerId"];
    let is_others = |row: &Value| names.iter().all(|name| row[name]["S"] != mallory);
    TABLES
        .map(|table| (table, aws.rows(table).iter().filter(|row| is_others(row)).map(Value::to_string).collect()))
        .into()
}

/// The tables of the template that hold anything of users.
const TABLES: [&str; 3] = ["ClientsTable", "ConversationsTable", "MessagesTable"];

async fn attack(routes: &[Route], aws: &FakeAws, [one, other, mallory]: &[String; 3], frames: &[String]) {
    let theirs = ConversationId::between(&user(one), &user(other)).as_str().to_owned();
    let by_name = |name| routes.iter().find(|route| route.name == name).unwrap();
    for (who, to) in [(one, other), (other, one)] {
        by_name("connect").answer(Fixture::named("connect").user(who)).await;
        let frame = json!({ "recipientId": to, "content": SECRET });
        let sent = by_name("send").answer(Fixture::named("send").user(who).frame(&frame)).await;
        assert_eq!(by_name("send").frame(&sent)["type"], "sent", "{sent}");
    }
    by_name("connect").answer(Fixture::named("connect").user(mallory)).await;
    let before = rows_of_others(aws, mallory);
    aws.connections.take_pushes();

    for frame in frames {
        for route in routes {
            // On their connections, too: ids of connections are no secret that anything may lean on.
            for connection in [mallory, one] {
                let event = Fixture::named(route.name).user(mallory).connection(connection);
                let event = if matches!(route.name, "connect" | "disconnect") { event } else { event.text(frame) };
                let answer = route.answer(event).await;
                let reply = route.frame(&answer);
                let where_ = format!("{} {frame}", route.name);
                assert!(!answer.to_string().contains(SECRET), "{where_}: {answer}");
                assert_ne!(reply["value"]["conversationId"], json!(theirs), "{where_}: {reply}");
                for list in ["messages", "conversations"] {
                    for listed in reply["value"][list].as_array().into_iter().flatten() {
                        assert_ne!(listed["conversationId"], json!(theirs), "{where_}: {reply}");
                    }
                }
            }
        }
    }

    assert_eq!(rows_of_others(aws, mallory), before, "{frames:?}");
    for push in aws.connections.take_pushes() {
        assert!(!push.frame.to_string().contains(SECRET), "{push:?}");
        // Of `message` it is the sender, of `read` the one who has read.
        let by = push.frame["value"].get("senderId").unwrap_or(&push.frame["value"]["userId"]);
        assert_eq!(by, &json!(mallory), "{push:?}");
        assert_ne!(push.frame["value"]["conversationId"], json!(theirs), "{push:?}");
    }
}

#[test]
fn no_frame_reaches_a_conversation_of_two_others() {
    let runtime = Runtime::new().unwrap();
    let scenes = users().prop_flat_map(|users| (Just(users.clone()), attacks(users)));
    proptest!(support::strategies::cases(64), |((users, frames) in scenes)| {
        runtime.block_on(async {
            let aws = FakeAws::start().await;
            attack(&routes::all(&aws), &aws, &users, &frames).await;
        });
    });
}
