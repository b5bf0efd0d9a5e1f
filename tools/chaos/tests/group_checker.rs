//! Tests of the checker of groups: each test alters a correct history in one way and expects the matching violation.

use std::collections::BTreeMap;

use chaos::{
    action::Action,
    checker::{Stored, check},
    group::{GroupChange, GroupFold},
    group_checker::check_group_inbox,
    history::{ClientHistory, Source},
};
use serde_json::{Value, json};

const GROUP: &str = "group:11111111-1111-4111-8111-111111111111";

struct Run {
    histories: Vec<ClientHistory>,
    rows: Vec<Value>,
}

/// Ann creates the group with bob, adds cem, and removes bob. Each of them writes while they are a member, and gets every
/// entry at which they are one.
fn correct_run() -> Run {
    let mut run = Run { histories: Vec::new(), rows: Vec::new() };
    for user in ["ann", "bob", "cem"] {
        let mut history = ClientHistory::new(&format!("{user}/1"), user);
        history.holds_changes = true;
        run.histories.push(history);
    }
    let add = GroupChange { add: vec!["cem".to_owned()], ..GroupChange::default() };
    let remove = GroupChange { remove: vec!["bob".to_owned()], ..GroupChange::default() };
    let first = json!({
        "kind": "group", "created": true, "name": "Climbing", "history": "joined", "posting": "all", "adding": "admins",
        "added": ["bob"],
    });
    run.store("ann", None, first, &["ann", "bob"]);
    run.store("bob", Some(Action::message("Hello")), json!({ "content": "Hello" }), &["ann", "bob"]);
    run.store("ann", Some(Action::Group(add)), json!({ "kind": "group", "added": ["cem"] }), &["ann", "bob", "cem"]);
    run.store(
        "ann",
        Some(Action::Group(remove)),
        json!({ "kind": "group", "removed": ["bob"] }),
        &["ann", "bob", "cem"],
    );
    run.store("cem", Some(Action::message("Hi")), json!({ "content": "Hi" }), &["ann", "cem"]);
    run
}

impl Run {
    fn history(&mut self, user: &str) -> &mut ClientHistory {
        self.histories.iter_mut().find(|history| history.user == user).unwrap()
    }

    fn store(&mut self, sender: &str, action: Option<Action>, fields: Value, audience: &[&str]) {
        let seq = self.rows.len() as u64 + 1;
        let mut row = json!({
            "conversationId": GROUP, "groupId": &GROUP[6..], "seq": seq, "messageId": format!("m{seq}"),
            "senderId": sender, "createdAt": 40 + seq, "clientMessageId": format!("c{seq}"),
        });
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        if let Some(action) = action {
            self.history(sender).ask(&format!("c{seq}"), GROUP, &action);
        }
        for user in audience {
            self.push(user, &row);
        }
        self.rows.push(row);
    }

    fn push(&mut self, user: &str, row: &Value) {
        let history = self.history(user);
        history.seen.push((Source::Pushed, row.clone()));
        let seq = row["seq"].as_u64().unwrap();
        history.views.entry(GROUP.to_owned()).or_default().insert(seq, row.clone());
    }

    fn violations(&self) -> Vec<String> {
        check(&self.histories, &Stored::from([(GROUP.to_owned(), self.rows.clone())]), &(0..=100))
    }
}

#[track_caller]
fn check_finds(expected: &str, alter: impl FnOnce(&mut Run)) {
    let mut run = correct_run();
    alter(&mut run);
    let found = run.violations();
    assert!(found.iter().any(|violation| violation.contains(expected)), "{expected:?} is not in {found:#?}");
}

#[test]
fn it_finds_nothing_in_a_correct_run() {
    assert_eq!(correct_run().violations(), Vec::<String>::new());
}

#[test]
fn it_finds_a_push_to_a_user_who_was_removed() {
    check_finds("bob/1: Pushed was an entry of other users", |run| {
        let row = run.rows[4].clone();
        run.push("bob", &row);
    });
}

#[test]
fn it_finds_a_push_to_a_user_who_is_not_yet_a_member() {
    check_finds("cem/1: Pushed was an entry of other users", |run| {
        let row = run.rows[1].clone();
        run.push("cem", &row);
    });
}

#[test]
fn it_finds_a_write_by_a_user_who_is_not_a_member() {
    check_finds("bob writes entry 6 without being a member", |run| {
        run.store("bob", Some(Action::message("Bye")), json!({ "content": "Bye" }), &["ann", "cem"]);
    });
}

#[test]
fn it_finds_a_change_that_its_sender_may_not_make() {
    check_finds("cem may not write entry 6", |run| {
        let rename = GroupChange { name: Some("Cooking".to_owned()), ..GroupChange::default() };
        run.store("cem", Some(Action::Group(rename)), json!({ "kind": "group", "name": "Cooking" }), &["ann", "cem"]);
    });
}

#[test]
fn it_finds_a_member_who_is_added_twice() {
    check_finds("entry 6 adds cem, who is a member", |run| {
        let add = GroupChange { add: vec!["cem".to_owned()], ..GroupChange::default() };
        run.store("ann", Some(Action::Group(add)), json!({ "kind": "group", "added": ["cem"] }), &["ann", "cem"]);
    });
}

#[test]
fn it_finds_a_present_member_who_lacks_an_entry() {
    check_finds("cem/1: holds the entries", |run| drop(run.history("cem").views.get_mut(GROUP).unwrap().remove(&4)));
}

#[test]
fn it_finds_a_group_entry_that_a_device_has_not_shown() {
    check_finds("entry 5 is shown after 3 in the conversation with group", |run| {
        run.history("cem").shown.push((GROUP.to_owned(), 3, 5));
    });
    let mut run = correct_run();
    // Cem may read entries from 3 on.
    run.history("cem").shown.push((GROUP.to_owned(), 1, 3));
    assert_eq!(run.violations(), Vec::<String>::new());
}

#[test]
fn it_finds_each_wrong_value_of_a_group_that_a_device_shows() {
    let members = |users: &[(&str, &str)]| -> Value {
        users.iter().map(|(user, role)| json!({ "userId": user, "role": role })).collect()
    };
    let shown = BTreeMap::from([
        (
            "cem",
            json!({ "name": "Climbing", "count": 2, "history": "joined", "posting": "all", "adding": "admins",
            "left": false, "you": "member", "members": members(&[("cem", "member"), ("ann", "owner")]) }),
        ),
        ("bob", json!({ "name": "Climbing", "count": 2, "left": true })),
    ]);
    for (user, group) in &shown {
        let violations = |group: Value| {
            let mut run = correct_run();
            run.history(user).groups.insert(GROUP.to_owned(), group);
            run.violations()
        };
        assert_eq!(violations(group.clone()), Vec::<String>::new());
        for (field, value) in [
            ("name", json!("Cooking")),
            ("count", json!(3)),
            ("left", json!(group["left"] == false)),
            ("you", json!("owner")),
            ("history", json!("all")),
            ("posting", json!("admins")),
            ("adding", json!("all")),
            ("members", members(&[("ann", "owner"), ("bob", "member"), ("cem", "member")])),
        ] {
            let mut wrong = group.clone();
            wrong[field] = value;
            assert_eq!(violations(wrong).len(), 1, "{field} of {user}");
        }
    }
}

#[test]
fn a_frame_says_which_change_of_the_group_it_asks_for() {
    let change = GroupChange {
        add: vec!["dan".to_owned(), "eva".to_owned()],
        remove: vec!["bob".to_owned()],
        roles: [("cem".to_owned(), "admin".to_owned())].into(),
        name: Some("Cooking".to_owned()),
        posting: Some("admins".to_owned()),
    };
    for action in [Action::Group(change), Action::Group(GroupChange::default()), Action::message("Hello")] {
        assert_eq!(Action::of_frame(&action.frame(GROUP)), Some((GROUP.to_owned(), action)));
    }
}

#[test]
fn it_finds_a_refusal_without_a_reason() {
    check_finds("was refused", |run| {
        let action = Action::message("Hello?");
        run.history("ann").refused.insert("c9".to_owned(), (GROUP.to_owned(), action));
    });
    let mut run = correct_run();
    // Bob was removed.
    run.history("bob").refused.insert("c9".to_owned(), (GROUP.to_owned(), Action::message("Bye")));
    assert_eq!(run.violations(), Vec::<String>::new());
}

#[test]
fn it_finds_a_refused_message_that_was_stored_before_its_sender_was_removed() {
    check_finds("was refused, but is stored", |run| {
        run.history("bob").refused.insert("c2".to_owned(), (GROUP.to_owned(), Action::message("Hello")));
    });
}

#[test]
fn it_finds_each_wrong_item_of_a_member() {
    let fold = GroupFold::new(&correct_run().rows);
    let items = [
        json!({ "userId": " ", "since": 4, "members": 2, "total": 8, "name": "Climbing" }),
        json!({ "userId": "ann", "at": 1, "seen": 1, "role": "owner", "since": 1 }),
        json!({ "userId": "bob", "at": 1, "to": 4, "seen": 1, "role": "member", "since": 4 }),
        json!({ "userId": "cem", "at": 3, "seen": 3, "role": "member", "since": 3 }),
    ];
    assert_eq!(fold.check_items(&items), Vec::<String>::new());
    for (item, field) in [(0, "total"), (0, "members"), (1, "role"), (2, "to"), (3, "seen"), (3, "since")] {
        let mut items = items.clone();
        items[item][field] = json!(7);
        assert_eq!(fold.check_items(&items).len(), 1, "{field} of {}", items[item]);
    }
    assert_eq!(fold.check_items(&items[..3]).len(), 1);
}

#[test]
fn it_finds_each_wrong_value_of_an_inbox() {
    let run = correct_run();
    let fold = GroupFold::new(&run.rows);
    let inboxes = BTreeMap::from([
        (
            "cem",
            json!({ "seq": 5, "name": "Climbing", "members": 2, "lastMessage": run.rows[4], "readSeq": 5, "unread": 0 }),
        ),
        (
            "bob",
            json!({ "seq": 4, "name": "Climbing", "members": 2, "lastMessage": run.rows[1], "readSeq": 2, "unread": 0,
            "left": true }),
        ),
    ]);
    for (user, row) in &inboxes {
        assert_eq!(check_group_inbox(user, Some(row), &run.rows, &fold), Vec::<String>::new());
        assert_eq!(check_group_inbox(user, None, &run.rows, &fold).len(), 1);
        for (field, value) in [
            ("seq", json!(3)),
            ("members", json!(3)),
            ("lastMessage", Value::Null),
            ("unread", json!(1)),
            ("readSeq", json!(0)),
        ] {
            let mut row = row.clone();
            row[field] = value;
            assert!(!check_group_inbox(user, Some(&row), &run.rows, &fold).is_empty(), "{field} of {user}");
        }
    }
    assert_eq!(check_group_inbox("dan", None, &run.rows, &fold), Vec::<String>::new());
}
