//! Tests of the checker: each test alters a correct history in one way and expects the matching
//! violation.

use std::collections::BTreeMap;

use chaos::{
    action::Action,
    checker::{Stored, check, check_inbox, conversation_id},
    history::{Acknowledgement, ClientHistory, Request, Source},
};
use serde_json::{Value, json};

/// The histories of two devices of two users, and the stored rows.
struct Run {
    ann: ClientHistory,
    bob: ClientHistory,
    rows: Vec<Value>,
}

impl Run {
    fn views(&mut self) -> [&mut BTreeMap<u64, Value>; 2] {
        [self.ann.views.get_mut("bob").unwrap(), self.bob.views.get_mut("ann").unwrap()]
    }

    /// Stores an entry of ann, and shows it to both devices.
    fn store(&mut self, action: &Action, row: Value) {
        let seq = self.rows.len() as u64 + 1;
        let mut row = merge(
            json!({
                "conversationId": "dm:3:ann:bob", "seq": seq, "messageId": format!("m{seq}"), "senderId": "ann",
                "recipientId": "bob", "createdAt": 40 + seq, "clientMessageId": format!("c{seq}"),
            }),
            row,
        );
        let id = format!("c{seq}");
        self.ann.requests.push(Request { peer: "bob".to_owned(), id: Some(id.clone()), action: action.clone() });
        self.ann.ask(&id, "bob", action);
        let (peer, content) = ("bob".to_owned(), row["content"].as_str().map(str::to_owned));
        self.ann.acknowledged.push(Acknowledgement { peer, id: Some(id), content, sent: row.clone() });
        self.bob.seen.push((Source::Pushed, row.clone()));
        for view in self.views() {
            view.insert(seq, row.clone());
        }
        row["tally"] = json!({ "changes": 0 });
        self.rows.push(row);
    }

    /// Replaces a message everywhere.
    fn replace(&mut self, seq: u64, fields: Value) {
        let row = &mut self.rows[seq as usize - 1];
        *row = merge(row.clone(), fields);
        let mut message = row.clone();
        message.as_object_mut().unwrap().remove("tally");
        self.bob.seen.push((Source::Listed, message.clone()));
        for view in self.views() {
            view.insert(seq, message.clone());
        }
    }
}

/// Ann has sent "Hello" and "Are you there?", edited the first message, reacted to it, and deleted the second one. Both
/// devices have received everything.
fn correct_run() -> Run {
    let (mut ann, mut bob) = (ClientHistory::new("ann/1", "ann"), ClientHistory::new("bob/1", "bob"));
    (ann.holds_changes, bob.holds_changes) = (true, true);
    ann.views.insert("bob".to_owned(), BTreeMap::new());
    bob.views.insert("ann".to_owned(), BTreeMap::new());
    let mut run = Run { ann, bob, rows: Vec::new() };
    for content in ["Hello", "Are you there?"] {
        run.store(&Action::message(content), json!({ "content": content }));
    }
    let change = |target: u64| json!({ "kind": "change", "target": target });
    run.store(&Action::Edit { target: 1, content: "Good morning".to_owned() }, change(1));
    run.replace(1, json!({ "content": "Good morning", "version": 3, "editedAt": 43 }));
    run.store(&reaction(1), change(1));
    run.replace(1, json!({ "version": 4, "reactions": { "👍": ["ann"] } }));
    run.store(&Action::Delete { target: 2 }, change(2));
    run.replace(2, json!({ "content": "", "version": 5, "deleted": { "at": 45, "by": "ann" } }));
    run
}

fn reaction(target: u64) -> Action {
    Action::React { target, reaction: "👍".to_owned(), on: true }
}

fn merge(mut value: Value, more: Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

fn violations(run: &Run) -> Vec<String> {
    let stored = Stored::from([(conversation_id("ann", "bob"), run.rows.clone())]);
    check(&[run.ann.clone(), run.bob.clone()], &stored, &(0..=100))
}

/// Alters the correct run and expects this violation.
#[track_caller]
fn check_finds(expected: &str, alter: impl FnOnce(&mut Run)) {
    let mut run = correct_run();
    alter(&mut run);
    let found = violations(&run);
    assert!(found.iter().any(|violation| violation.contains(expected)), "{expected:?} is not in {found:#?}");
}

#[test]
fn it_finds_nothing_in_a_correct_run() {
    assert_eq!(violations(&correct_run()), Vec::<String>::new());
}

#[test]
fn it_finds_an_acknowledged_message_that_is_not_stored() {
    check_finds("was acknowledged as", |run| run.rows.truncate(4));
}

#[test]
fn it_finds_an_acknowledged_message_that_is_overwritten() {
    check_finds("was acknowledged as", |run| run.rows[0]["messageId"] = json!("m7"));
}

#[test]
fn it_finds_a_message_that_is_stored_twice() {
    check_finds("is stored twice", |run| {
        let mut again = run.rows[0].clone();
        again["seq"] = json!(6);
        run.rows.push(again);
    });
}

#[test]
fn it_finds_a_gap() {
    check_finds("seq 2 is missing before 3", |run| drop(run.rows.remove(1)));
}

#[test]
fn it_finds_a_time_that_goes_back() {
    check_finds("before the entry before it", |run| run.rows[1]["createdAt"] = json!(1));
}

#[test]
fn it_finds_an_acknowledgement_that_differs_from_another_one() {
    check_finds("and as", |run| {
        let mut again = run.ann.acknowledged[0].clone();
        again.sent["seq"] = json!(2);
        run.ann.acknowledged.push(again);
    });
}

#[test]
fn it_finds_a_view_with_a_gap() {
    check_finds("holds the entries [2, 3, 4, 5] of the conversation", |run| {
        run.bob.views.get_mut("ann").unwrap().remove(&1);
    });
}

#[test]
fn it_finds_a_received_message_that_is_not_stored() {
    check_finds("Pushed was", |run| {
        let mut ghost = run.rows[1].clone();
        ghost["messageId"] = json!("m7");
        run.bob.seen.push((Source::Pushed, ghost));
    });
}

#[test]
fn it_finds_a_message_that_another_user_received() {
    check_finds("was an entry of other users", |run| run.bob.user = "eve".to_owned());
}

#[test]
fn it_finds_a_stored_message_that_was_not_sent() {
    check_finds("holds an entry that its sender did not send", |run| drop(run.ann.asked.remove("c1")));
}

#[test]
fn it_finds_a_time_outside_the_run() {
    check_finds("outside the run", |run| run.rows[4]["createdAt"] = json!(101));
}

#[test]
fn it_finds_a_draft_that_is_not_stored() {
    check_finds("was sent to bob until it was acknowledged, but is stored 0 times", |run| {
        let action = Action::message("Hello?");
        run.ann.requests.push(Request { peer: "bob".to_owned(), id: Some("c6".to_owned()), action });
    });
}

#[test]
fn it_finds_a_change_that_is_stored_under_two_ids() {
    check_finds("is stored 2 times, but was sent 1 times", |run| {
        run.store(&reaction(1), json!({ "kind": "change", "target": 1 }));
        run.ann.requests.pop();
        run.replace(1, json!({ "version": 6 }));
    });
}

#[test]
fn it_finds_reordered_drafts_only_if_the_device_promises_order() {
    check_finds("and the draft before it as seq 5", |run| {
        run.ann.in_order = true;
        run.ann.requests.reverse();
    });
    let mut run = correct_run();
    run.ann.requests.reverse();
    assert_eq!(violations(&run), Vec::<String>::new());
}

#[test]
fn it_finds_a_message_that_is_changed_without_its_version() {
    check_finds("message 1 has other [\"version\"]", |run| run.rows[0]["version"] = json!(3));
}

#[test]
fn it_finds_a_change_without_an_effect() {
    check_finds("message 1 has other [\"reactions\"]", |run| {
        run.rows[0].as_object_mut().unwrap().remove("reactions");
    });
}

#[test]
fn it_finds_a_text_in_a_change() {
    check_finds("a change holds more than a pointer", |run| run.rows[2]["content"] = json!("Good morning"));
}

#[test]
fn it_finds_a_deleted_text_in_the_table() {
    check_finds("the table holds \"Are you there?\"", |run| run.rows[1]["old"] = json!("Are you there?"));
}

#[test]
fn it_finds_a_deleted_text_in_a_view() {
    check_finds("bob/1: holds \"Are you there?\"", |run| {
        run.bob.views.get_mut("ann").unwrap().get_mut(&2).unwrap()["content"] = json!("Are you there?");
    });
}

#[test]
fn it_finds_a_view_with_an_old_version() {
    check_finds("but the table holds other [\"version\", \"reactions\"]", |run| {
        let held = run.bob.views.get_mut("ann").unwrap().get_mut(&1).unwrap();
        held["version"] = json!(3);
        held.as_object_mut().unwrap().remove("reactions");
    });
}

#[test]
fn it_finds_a_received_message_that_was_never_like_that() {
    check_finds("Listed was", |run| {
        let mut message = run.rows[0].clone();
        message["version"] = json!(3);
        run.bob.seen.push((Source::Listed, message));
    });
}

#[test]
fn it_finds_a_change_of_a_deleted_message() {
    check_finds("is not allowed", |run| {
        run.store(&reaction(2), json!({ "kind": "change", "target": 2 }));
    });
}

#[test]
fn it_finds_an_edit_of_a_message_of_somebody_else() {
    check_finds("is not allowed", |run| {
        run.rows[0]["senderId"] = json!("bob");
        run.rows[0]["recipientId"] = json!("ann");
        run.bob.ask("c1", "ann", &Action::message("Hello"));
    });
}

#[test]
fn it_finds_a_refused_change_that_is_stored() {
    check_finds("was refused, but is stored", |run| {
        run.ann.refused.insert("c5".to_owned(), ("bob".to_owned(), Action::Delete { target: 2 }));
    });
}

#[test]
fn it_finds_a_change_that_is_refused_without_a_reason() {
    check_finds("was refused, but its message is", |run| {
        run.ann.refused.insert("c6".to_owned(), ("bob".to_owned(), Action::Delete { target: 1 }));
    });
    let mut run = correct_run();
    run.ann.refused.insert("c6".to_owned(), ("bob".to_owned(), Action::Delete { target: 2 }));
    assert_eq!(violations(&run), Vec::<String>::new());
}

#[test]
fn it_finds_messages_that_a_device_has_not_shown() {
    check_finds("entry 5 is shown after 1 in the conversation with ann, without [2]", |run| {
        run.bob.shown.push(("ann".to_owned(), 1, 5));
    });
    let mut run = correct_run();
    run.bob.shown.push(("ann".to_owned(), 2, 6));
    assert_eq!(violations(&run), Vec::<String>::new());
}

#[test]
fn it_finds_each_wrong_value_of_an_inbox() {
    let Run { mut rows, .. } = correct_run();
    let answer = json!({ "seq": 6, "messageId": "m6", "senderId": "bob", "recipientId": "ann", "content": "Yes" });
    rows.push(answer);
    let of_bob = json!({ "seq": 6, "lastMessage": rows[5], "readSeq": 6, "unread": 0 });
    let of_ann = json!({ "seq": 6, "lastMessage": rows[5], "readSeq": 5, "unread": 1 });
    let check = |user: &str, peer: &str, row: &Value| check_inbox(user, peer, Some(row), &rows);
    assert_eq!(check("bob", "ann", &of_bob), Vec::<String>::new());
    assert_eq!(check("ann", "bob", &of_ann), Vec::<String>::new());
    let wrong = [
        ("seq", json!(5), "the newest entry is 6"),
        ("lastMessage", rows[4].clone(), "the newest message is"),
        ("unread", json!(0), "1 messages follow entry 5"),
        ("readSeq", json!(4), "the user has written entry Some(5)"),
    ];
    for (field, value, expected) in wrong {
        let found = check("ann", "bob", &merge(of_ann.clone(), json!({ field: value })));
        assert!(found.len() == 1 && found[0].contains(expected), "{expected:?} is not in {found:#?}");
    }
    assert_eq!(check_inbox("ann", "bob", None, &rows).len(), 1);
    assert_eq!(check_inbox("ann", "bob", None, &[]), Vec::<String>::new());
    // Changes follow the newest message.
    let unread = json!({ "seq": 5, "lastMessage": rows[1], "readSeq": 1, "unread": 1 });
    assert_eq!(check_inbox("bob", "ann", Some(&unread), &rows[..5]), Vec::<String>::new());
}

#[test]
fn it_reports_the_violations_that_a_device_found() {
    check_finds("this is odd", |run| run.ann.violations.push("this is odd".to_owned()));
}
