//! Tests of the checker: each test alters a correct history in one way and expects the matching
//! violation.

use chaos::{
    checker::{Stored, check, conversation_id},
    history::{Acknowledgement, ClientHistory, Source},
    plan::{Draft, Known},
};
use serde_json::{Value, json};

/// The histories of two devices of two users, and the stored rows.
struct Run {
    ann: ClientHistory,
    bob: ClientHistory,
    rows: Vec<Value>,
}

/// Ann has sent "Hello" and "Are you there?", and both devices have received both.
fn correct_run() -> Run {
    let row = |seq: u64, content: &str| {
        json!({
            "conversationId": "dm:3:ann:bob", "seq": seq, "messageId": format!("m{seq}"), "senderId": "ann",
            "recipientId": "bob", "content": content, "createdAt": 50, "clientMessageId": format!("c{seq}"),
        })
    };
    let rows = vec![row(1, "Hello"), row(2, "Are you there?")];
    let (mut ann, mut bob) = (ClientHistory::new("ann/1", "ann"), ClientHistory::new("bob/1", "bob"));
    for row in &rows {
        let seq = row["seq"].as_u64().unwrap();
        let (id, content) = (format!("c{seq}"), row["content"].as_str().unwrap().to_owned());
        let draft = Draft { id: Some(id), content, known: Known::LastSeq, cut: None };
        let mut sent = row.clone();
        sent["duplicate"] = json!(false);
        ann.acknowledged.push(Acknowledgement::new("bob", &draft, &sent));
        ann.drafts.push(("bob".to_owned(), draft));
        bob.seen.push((Source::Pushed, row.clone()));
        ann.views.entry("bob".to_owned()).or_default().insert(seq, row.clone());
        bob.views.entry("ann".to_owned()).or_default().insert(seq, row.clone());
    }
    Run { ann, bob, rows }
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
    check_finds("was acknowledged as", |run| run.rows.truncate(1));
}

#[test]
fn it_finds_an_acknowledged_message_that_is_overwritten() {
    check_finds("was acknowledged as", |run| run.rows[0]["messageId"] = json!("m7"));
}

#[test]
fn it_finds_a_message_that_is_stored_twice() {
    check_finds("is stored twice", |run| {
        let mut again = run.rows[0].clone();
        again["seq"] = json!(3);
        run.rows.push(again);
    });
}

#[test]
fn it_finds_a_gap() {
    check_finds("seq 2 is missing before 3", |run| run.rows[1]["seq"] = json!(3));
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
    check_finds("holds the messages [2] of the conversation", |run| {
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
    check_finds("received a message of other users", |run| run.bob.user = "eve".to_owned());
}

#[test]
fn it_finds_a_stored_message_that_was_not_sent() {
    check_finds("holds a message that its sender did not send", |run| run.ann.drafts.truncate(1));
}

#[test]
fn it_finds_a_time_outside_the_run() {
    check_finds("outside the run", |run| run.rows[0]["createdAt"] = json!(101));
}

#[test]
fn it_finds_a_draft_that_is_not_stored() {
    check_finds("was sent to bob until it was acknowledged, but is not stored", |run| {
        run.rows.truncate(1);
        run.ann.acknowledged.truncate(1);
    });
}

#[test]
fn it_finds_reordered_drafts_only_if_the_device_promises_order() {
    check_finds("and the draft before it as seq 2", |run| {
        run.ann.in_order = true;
        run.ann.drafts.reverse();
    });
    let mut run = correct_run();
    run.ann.drafts.reverse();
    assert_eq!(violations(&run), Vec::<String>::new());
}

#[test]
fn it_reports_the_violations_that_a_device_found() {
    check_finds("this is odd", |run| run.ann.violations.push("this is odd".to_owned()));
}
