//! The actions `typing` and `getPresence`.

use serde_json::{Value, json};
use support::Fixture;

use crate::actions::{Action, Workload, connect, query_action, user_message};

/// The time of the first `typing`, in milliseconds since the Unix epoch: soon after the connections of the set-up were opened.
const FIRST_TYPING: i64 = 1_793_535_600_000;
/// A process drops a second `typing` within this time, in milliseconds.
const PAUSE_MS: i64 = 5_000;

/// Both actions between users.
pub fn actions() -> Workload {
    let mut set_up = vec![connect("reader", 0), user_message("reader", "alice", 0)];
    set_up.extend((0..20).map(|number| user_message(&format!("contact {number}"), "iris", 0)));
    let contacts: Vec<_> = (0..20).map(|number| format!("contact {number}")).collect();
    let ask = json!({ "action": "getPresence", "userIds": contacts });
    let actions = vec![
        typing_action("typing, 1 push", json!({ "targetId": "reader" })),
        query_action("getPresence, 20", "PresenceFunction", "presence", "iris", ask),
    ];
    Workload { set_up, actions }
}

/// Alice types to `recipient`, and pauses before each event so that none is dropped.
pub(crate) fn typing_action(name: &str, recipient: Value) -> Action {
    let mut frame = recipient;
    frame["action"] = json!("typing");
    let event = Fixture::named("typing").user("alice").frame(&frame);
    let mut at = FIRST_TYPING;
    let next = move |_: &Value| {
        at += PAUSE_MS;
        event.clone().received_at(at)
    };
    Action { name: name.to_owned(), function: "PresenceFunction", next: Box::new(next) }
}
