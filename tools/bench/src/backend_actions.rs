//! Actions of backends, through the function `api`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::Fixture;

use crate::actions::{Action, Known, Workload, connect};

/// A backend sends messages as `support`.
pub fn actions() -> Workload {
    // The function has no other clock than the machine's.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let (function, connection) = connect("customer", 0);
    let set_up = vec![(function, connection.set("/requestContext/connectedAt", json!(now.as_millis() as i64)))];
    Workload { set_up, actions: vec![send_action("api: sendMessage, 1 push")] }
}

/// Messages from a backend that has received every entry.
fn send_action(name: &str) -> Action {
    let mut number = 0;
    let next = move |last_frame: &Value| {
        number += 1;
        let mut frame = json!({
            "as": "support", "action": "sendMessage", "recipientId": "customer", "content": "Your order has shipped.",
            "clientMessageId": format!("8f14e45f-ceea-467f-a8b2-{number:012}"),
        });
        Known::Position.say(&mut frame, last_frame, 0);
        let fields = frame.as_object().expect("an object").clone();
        fields.into_iter().fold(Fixture::named("api"), |event, (name, value)| event.set(&format!("/{name}"), value))
    };
    Action { name: name.to_owned(), function: "ApiFunction", next: Box::new(next) }
}
