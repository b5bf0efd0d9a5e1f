//! Creates the groups of a run, while faults are injected.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chat_client::Connection;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    action::Action,
    group::{GroupChange, PREFIX},
    harness::Harness,
    history::ClientHistory,
    plan::{GroupPlan, Plan},
    restoration::INTERVAL,
    schedule::FaultSchedule,
};

/// How long to wait for a reply before the request is repeated.
const PATIENCE: Duration = Duration::from_secs(3);

/// Creates the groups, and replaces their names in the plan by their ids. Returns what their creators asked for.
pub(crate) async fn create_groups(harness: &Harness, plan: &mut Plan) -> Vec<ClientHistory> {
    if plan.groups.is_empty() {
        return Vec::new();
    }
    // A run of its own, with the same faults, because the plan of the devices needs the ids.
    let schedule = harness.begin(plan.clone());
    let mut ids = BTreeMap::new();
    let mut histories = Vec::new();
    for group in &plan.groups {
        let (id, history) = create(harness, &schedule, group).await;
        ids.insert(group.peer.clone(), id);
        histories.push(history);
    }
    schedule.quiesce().await;
    schedule.functions_idle().await;
    plan.resolve(&ids);
    histories
}

async fn create(harness: &Harness, schedule: &Arc<FaultSchedule>, group: &GroupPlan) -> (String, ClientHistory) {
    let GroupPlan { name, owner, members, roles, history, posting, adding, .. } = group;
    let mut creator = ClientHistory::new(&format!("{owner}/creator"), owner);
    creator.retired = true;
    let frame = json!({
        "action": "createGroup", "name": name, "members": members, "history": history, "posting": posting,
        "adding": adding, "clientMessageId": format!("{name} create"),
    });
    let sent = send(harness, schedule, owner, &frame).await;
    let again = send(harness, schedule, owner, &frame).await;
    if again["groupId"] != sent["groupId"] || again["messageId"] != sent["messageId"] || again["duplicate"] != true {
        creator.violations.push(format!("{frame} was acknowledged as {sent} and as {again}"));
    }
    let id = sent["groupId"].as_str().unwrap_or_default().to_owned();
    let change = GroupChange { roles: roles.clone(), ..GroupChange::default() };
    let (peer, action, draft) = (format!("{PREFIX}{id}"), Action::Group(change), format!("{name} roles"));
    let mut frame = action.frame(&peer);
    frame["clientMessageId"] = json!(draft);
    creator.ask(&draft, &peer, &action);
    send(harness, schedule, owner, &frame).await;
    (id, creator)
}

/// Repeats a request until it is acknowledged.
async fn send(harness: &Harness, schedule: &FaultSchedule, user: &str, frame: &Value) -> Value {
    let url = format!("{}?userId={user}", harness.local.websocket());
    loop {
        if let Ok(Ok(connection)) = timeout(PATIENCE, Connection::open(&url, drop)).await {
            let reply = connection.request(frame.clone(), PATIENCE, None).await;
            schedule.note(format_args!("{frame} gets {reply:?}"));
            if let Ok(mut reply) = reply
                && reply["type"] == "sent"
            {
                return reply["value"].take();
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
