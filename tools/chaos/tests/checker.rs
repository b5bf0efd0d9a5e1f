//! The checker finds what it is there to find: a history in which all is well, spoilt in one way at a time.

use chaos::{
    checker::{Stored, check, conversation_id},
    plan::Draft,
    told::{Acknowledgement, How, Told},
};
use serde_json::{Value, json};

/// A history: what two devices of two users were told, and what is stored.
struct History {
    ann: Told,
    bob: Told,
    rows: Vec<Value>,
}

/// Ann has said "Hello" and "Are you there?", which both have seen.
fn all_is_well() -> History {
    let row = |seq: u64, content: &str| {
        json!({
            "conversationId": "dm:3:ann:bob", "seq": seq, "messageId": format!("m{seq}"), "senderId": "ann",
            "recipientId": "bob", "content": content, "createdAt": 50, "clientMessageId": format!("c{seq}"),
        })
    };
    let rows = vec![row(1, "Hello"), row(2, "Are you there?")];
    let (mut ann, mut bob) = (Told::new("ann/1", "ann"), Told::new("bob/1", "bob"));
    for row in &rows {
        let seq = row["seq"].as_u64().unwrap();
        let (id, content) = (format!("c{seq}"), row["content"].as_str().unwrap().to_owned());
        let draft = Draft { id: Some(id), content, with_last_seq: true, cut: None };
        let mut sent = row.clone();
        sent["duplicate"] = json!(false);
        ann.acknowledged.push(Acknowledgement::new("bob", &draft, &sent));
        ann.drafts.push(("bob".to_owned(), draft));
        bob.seen.push((How::Pushed, row.clone()));
        ann.views.entry("bob".to_owned()).or_default().insert(seq, row.clone());
        bob.views.entry("ann".to_owned()).or_default().insert(seq, row.clone());
    }
    History { ann, bob, rows }
}

fn wrong_with(history: &History) -> Vec<String> {
    let stored = Stored::from([(conversation_id("ann", "bob"), history.rows.clone())]);
    check(&[history.ann.clone(), history.bob.clone()], &stored, &(0..=100))
}

/// Spoils the good history, and expects this complaint.
#[track_caller]
fn check_finds(expected: &str, spoil: impl FnOnce(&mut History)) {
    let mut history = all_is_well();
    spoil(&mut history);
    let wrong = wrong_with(&history);
    assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{expected:?} is not in {wrong:#?}");
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(wrong_with(&all_is_well()), Vec::<String>::new());
}

#[test]
fn it_finds_a_message_that_was_acknowledged_and_is_not_stored() {
    check_finds("was acknowledged as", |history| history.rows.truncate(1));
}

#[test]
fn it_finds_a_message_that_another_one_has_overwritten() {
    check_finds("was acknowledged as", |history| history.rows[0]["messageId"] = json!("m7"));
}

#[test]
fn it_finds_a_message_that_is_stored_twice() {
    check_finds("is stored twice", |history| {
        let mut again = history.rows[0].clone();
        again["seq"] = json!(3);
        history.rows.push(again);
    });
}

#[test]
fn it_finds_a_hole() {
    check_finds("2 is missing before 3", |history| history.rows[1]["seq"] = json!(3));
}

#[test]
fn it_finds_an_acknowledgement_that_differs_from_another_one() {
    check_finds("and as", |history| {
        let mut again = history.ann.acknowledged[0].clone();
        again.sent["seq"] = json!(2);
        history.ann.acknowledged.push(again);
    });
}

#[test]
fn it_finds_a_view_with_a_hole() {
    check_finds("holds [2] of the conversation", |history| {
        history.bob.views.get_mut("ann").unwrap().remove(&1);
    });
}

#[test]
fn it_finds_what_was_shown_and_is_not_stored() {
    check_finds("Pushed was", |history| {
        let mut ghost = history.rows[1].clone();
        ghost["messageId"] = json!("m7");
        history.bob.seen.push((How::Pushed, ghost));
    });
}

#[test]
fn it_finds_what_was_shown_to_somebody_else() {
    check_finds("what is not its own", |history| history.bob.user = "eve".to_owned());
}

#[test]
fn it_finds_what_nobody_said() {
    check_finds("holds what nobody said", |history| history.ann.drafts.truncate(1));
}

#[test]
fn it_finds_a_time_of_somebody_s_own_making() {
    check_finds("was not said at", |history| history.rows[0]["createdAt"] = json!(101));
}

#[test]
fn it_finds_what_was_to_be_sent_and_is_not_stored() {
    check_finds("was to be sent to bob, and is not stored", |history| {
        history.rows.truncate(1);
        history.ann.acknowledged.truncate(1);
    });
}

#[test]
fn it_finds_what_was_said_in_another_order_where_that_is_promised() {
    check_finds("and what was said before it as 2", |history| {
        history.ann.in_order = true;
        history.ann.drafts.reverse();
    });
    let mut history = all_is_well();
    history.ann.drafts.reverse();
    assert_eq!(wrong_with(&history), Vec::<String>::new());
}

#[test]
fn it_passes_on_what_struck_a_device_as_wrong() {
    check_finds("this is odd", |history| history.ann.wrong.push("this is odd".to_owned()));
}
