//! Creates the groups of a run, while faults are injected.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chat_client::Connection;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    action::Action,
    group::{GroupChange, PREFIX},
    harness::Harness,
    history::ClientHistory,
    host::Host,
    plan::{GroupPlan, Plan},
    restoration::INTERVAL,
    schedule::FaultSchedule,
};

/// How long to wait for a reply before the request is repeated.
const PATIENCE: Duration = Duration::from_secs(3);
/// When the page that creates a group is loaded again.
const RELOAD: Duration = Duration::from_millis(300);

/// Creates the groups, with `web/chat-client.js` if there is a `host`, and replaces their names in the plan by their ids.
/// Returns what their creators asked for.
pub(crate) async fn create_groups(harness: &Harness, plan: &mut Plan, host: Option<&Arc<Host>>) -> Vec<ClientHistory> {
    if plan.groups.is_empty() {
        return Vec::new();
    }
    // A run of its own, with the same faults, because the plan of the devices needs the ids.
    let schedule = harness.begin(plan.clone());
    let mut ids = BTreeMap::new();
    let mut histories = Vec::new();
    for group in &plan.groups {
        let mut creator = ClientHistory::new(&format!("{}/creator", group.owner), &group.owner);
        creator.retired = true;
        let id = match host {
            Some(host) => create_with_module(harness, host, group, &mut creator).await,
            None => create(harness, &schedule, group, &mut creator).await,
        };
        ids.insert(group.peer.clone(), id);
        histories.push(creator);
    }
    schedule.quiesce().await;
    schedule.functions_idle().await;
    plan.resolve(&ids);
    histories
}

/// Creates a group with a page that `host` runs. Returns its id.
async fn create_with_module(
    harness: &Harness,
    host: &Arc<Host>,
    group: &GroupPlan,
    creator: &mut ClientHistory,
) -> String {
    let (sender, mut events) = mpsc::unbounded_channel();
    host.listen(&creator.device, move |event| {
        // Nothing follows the last event, so the receiver exists.
        let _ = sender.send(event);
    });
    host.call(json!({
        "operation": "create", "device": creator.device, "user": group.owner, "url": harness.local.websocket(),
        "group": fields(group), "roles": group.roles, "reloadAfter": RELOAD.as_millis() as u64,
        "times": { "answer": PATIENCE.as_millis() as u64, "first": 500, "longest": 1_000 },
    }));
    loop {
        let event = events.recv().await.expect("the host keeps the listener");
        let text = |field: &str| event[field].as_str().unwrap_or_default();
        if event["event"] == "created" {
            let peer = format!("{PREFIX}{}", text("groupId"));
            creator.ask(text("clientMessageId"), &peer, &roles(group));
            return text("groupId").to_owned();
        }
        creator.violations.push(text("text").to_owned());
    }
}

/// Creates a group with requests, each of which is repeated until it is acknowledged. Returns its id.
async fn create(
    harness: &Harness,
    schedule: &Arc<FaultSchedule>,
    group: &GroupPlan,
    creator: &mut ClientHistory,
) -> String {
    let GroupPlan { name, owner, .. } = group;
    let mut frame = fields(group);
    (frame["action"], frame["clientMessageId"]) = (json!("createGroup"), json!(format!("{name} create")));
    let sent = send(harness, schedule, owner, &frame).await;
    let again = send(harness, schedule, owner, &frame).await;
    if again["groupId"] != sent["groupId"] || again["messageId"] != sent["messageId"] || again["duplicate"] != true {
        creator.violations.push(format!("{frame} was acknowledged as {sent} and as {again}"));
    }
    let id = sent["groupId"].as_str().unwrap_or_default().to_owned();
    let (peer, action, draft) = (format!("{PREFIX}{id}"), roles(group), format!("{name} roles"));
    let mut frame = action.frame(&peer);
    frame["clientMessageId"] = json!(draft);
    creator.ask(&draft, &peer, &action);
    send(harness, schedule, owner, &frame).await;
    id
}

/// What a new group is like.
fn fields(group: &GroupPlan) -> Value {
    let GroupPlan { name, members, history, posting, adding, .. } = group;
    json!({ "name": name, "members": members, "history": history, "posting": posting, "adding": adding })
}

/// The second entry of a group.
fn roles(group: &GroupPlan) -> Action {
    Action::Group(GroupChange { roles: group.roles.clone(), ..GroupChange::default() })
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
