//! The processes and their calls to DynamoDB, which take effect in a chosen order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use futures_util::FutureExt;
use proptest::sample::Index;
use serde_json::{Value, json};
use support::{Call, FakeAws, Fixture, Outcome, invoke};
use tokio::sync::Notify;

use super::plan::{Fate, USERS};
use crate::NOW;

pub(super) const PROCESSES: usize = 3;

/// The entry that follows the two that make the group.
pub(super) const FIRST_MESSAGE: u64 = 3;

/// The functions of one process of each, which handle one event at a time, and keep what they know between events.
struct Process {
    sends: send::Context,
    edits: edit::Context,
    groups: group::Context,
    histories: history::Context,
}

/// The calls that wait to take effect, by process, and those of killed functions.
#[derive(Default)]
struct Calls {
    waiting: BTreeMap<usize, Vec<Arc<Notify>>>,
    orphans: Vec<Arc<Notify>>,
    /// The fate of the process's current attempt, and the number of its calls so far.
    attempts: HashMap<usize, (Fate, u8)>,
    /// While a transaction is applied item by item: the items of `Members` before it, and the number of reads that have seen
    /// them since.
    torn: Option<(Arc<Notify>, Vec<Value>, u8)>,
}

/// The number of reads within which DynamoDB has applied a transaction.
const TORN_READS: u8 = 4;

impl Calls {
    /// The call no longer waits.
    fn forget(&mut self, call: &Arc<Notify>) {
        let others = |other: &Arc<Notify>| !Arc::ptr_eq(other, call);
        self.waiting.values_mut().for_each(|waiting| waiting.retain(others));
        self.orphans.retain(others);
    }
}

pub(super) struct World {
    pub(super) aws: Arc<FakeAws>,
    pub(super) group: String,
    calls: Arc<Mutex<Calls>>,
    changed: Arc<Notify>,
    processes: Vec<tokio::sync::Mutex<Process>>,
    killed: Vec<Notify>,
}

impl World {
    pub(super) async fn start(history: &str) -> Self {
        let aws = Arc::new(FakeAws::start().await);
        for user in USERS {
            aws.put_connection(user, user, NOW - 3_600_000);
        }
        let processes: Vec<_> = (0..PROCESSES).map(|number| tokio::sync::Mutex::new(process(&aws, number))).collect();
        let frame = json!({
            "action": "createGroup", "name": "Climbing", "members": &USERS[1..4], "history": history, "adding": "all",
        });
        let event = Fixture::named("group").user(USERS[0]).frame(&frame);
        let sent = invoke(&processes[0].lock().await.groups, group::handle, event).await;
        let group = sent["value"]["groupId"].as_str().unwrap().to_owned();
        let frame =
            json!({ "action": "changeGroup", "groupId": group, "roles": { USERS[1]: "owner", USERS[2]: "admin" } });
        let event = Fixture::named("group").user(USERS[0]).frame(&frame);
        assert_eq!(invoke(&processes[0].lock().await.groups, group::handle, event).await["type"], "sent");
        let frame = json!({ "action": "sendMessage", "groupId": group, "content": "Before erin was a member" });
        let event = Fixture::named("send").user(USERS[0]).frame(&frame);
        let sent = invoke(&processes[0].lock().await.sends, send::handle, event).await;
        assert_eq!(sent["value"]["seq"], FIRST_MESSAGE);
        let killed = (0..PROCESSES).map(|_| Notify::new()).collect();
        Self { aws, group, calls: Arc::default(), changed: Arc::default(), processes, killed }
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Holds each call for entries or members until the scheduler lets it take effect. A transaction that changes members takes
    /// effect at once, but until its response comes, each read of a member's item shows it before or after.
    pub(super) fn hold_calls(&self, picks: Vec<Index>) {
        let (calls, changed, aws) = (self.calls.clone(), self.changed.clone(), self.aws.clone());
        let mut coins = picks.into_iter().cycle().enumerate();
        self.aws.dynamodb.inject(move |call| {
            let Ok(process) = call.access_key.parse::<usize>() else { return Outcome::Forward };
            let is_transaction = call.operation == "TransactWriteItems";
            let is_on_members = call.is_on("MembersTable");
            if !(call.is_on("MessagesTable") || is_on_members || is_transaction) {
                return Outcome::Forward;
            }
            let mut calls = calls.lock().unwrap();
            let Some((fate, count)) = calls.attempts.get_mut(&process) else { return Outcome::Forward };
            let (fate, number) = (*fate, *count);
            *count += 1;
            let changes_members = is_transaction && call.body.to_string().contains("MembersTable");
            if is_on_members && let Some((transaction, before, reads)) = &mut calls.torn {
                let mut coin = || coins.next().is_some_and(|(turn, pick)| (pick.index(2) + turn).is_multiple_of(2));
                let response = torn(call, before, &aws.rows("MembersTable"), &mut coin);
                *reads += 1;
                if *reads == TORN_READS {
                    let transaction = transaction.clone();
                    calls.forget(&transaction);
                    release(&mut calls, &transaction);
                }
                return Outcome::Respond(200, response);
            }
            if fate == Fate::ResponseLost(number)
                && (call.operation == "PutItem" || is_transaction)
                && calls.torn.is_none()
            {
                return Outcome::LoseResponse;
            }
            if changes_members && calls.torn.is_some() {
                return Outcome::Respond(400, conflict());
            }
            let released = Arc::new(Notify::new());
            calls.waiting.entry(process).or_default().push(released.clone());
            changed.notify_one();
            if changes_members {
                calls.torn = Some((released.clone(), aws.rows("MembersTable"), 0));
                return Outcome::HoldResponse(released);
            }
            Outcome::Hold(released)
        });
    }

    /// Lets the calls take effect one after the other, in an order that `picks` selects, until all users are done.
    pub(super) async fn schedule(&self, running: &Mutex<usize>, picks: &[Index]) {
        let mut picks = picks.iter().cycle();
        loop {
            let is_done = *running.lock().unwrap() == 0;
            let ready = {
                let mut calls = self.calls.lock().unwrap();
                let waits = |process: &usize| calls.waiting.get(process).is_some_and(|waiting| !waiting.is_empty());
                let ready = !calls.attempts.is_empty() && calls.attempts.keys().all(waits);
                if ready {
                    self.release(&mut calls, picks.next().unwrap());
                }
                ready
            };
            if is_done {
                return;
            }
            if !ready {
                self.changed.notified().await;
            }
        }
    }

    fn release(&self, calls: &mut Calls, pick: &Index) {
        let waiting: Vec<_> =
            calls.waiting.iter().flat_map(|(process, all)| all.iter().map(|call| (*process, call.clone()))).collect();
        let next = pick.index(waiting.len() + calls.orphans.len());
        let Some((process, call)) = waiting.get(next).cloned() else {
            let orphan = calls.orphans.swap_remove(next - waiting.len());
            return release(calls, &orphan);
        };
        let (fate, count) = calls.attempts[&process];
        if matches!(fate, Fate::Killed(number) if number < count) {
            let orphans = calls.waiting.remove(&process).unwrap_or_default();
            calls.orphans.extend(orphans);
            calls.attempts.remove(&process);
            self.killed[process].notify_one();
            self.changed.notify_one();
        } else {
            calls.forget(&call);
            release(calls, &call);
        }
    }

    /// Lets the calls of killed functions take effect.
    pub(super) fn release_all(&self) {
        self.aws.dynamodb.inject(|_| Outcome::Forward);
        let mut calls = self.calls.lock().unwrap();
        for orphan in std::mem::take(&mut calls.orphans) {
            release(&mut calls, &orphan);
        }
    }

    /// Runs an event in a process. Returns the reply, unless the function is killed.
    pub(super) async fn run(&self, number: usize, user: &str, frame: &Value, fate: Fate) -> Option<Value> {
        let mut process = self.processes[number].lock().await;
        self.calls.lock().unwrap().attempts.insert(number, (fate, 0));
        let event = Fixture::named("send").user(user).frame(frame).timeout_ms(120_000);
        let function = async {
            match frame["action"].as_str().unwrap() {
                "sendMessage" => invoke(&process.sends, send::handle, event).await,
                "getMessages" => invoke(&process.histories, history::handle, event).await,
                "changeGroup" => invoke(&process.groups, group::handle, event).await,
                _ => invoke(&process.edits, edit::handle, event).await,
            }
        };
        let reply = tokio::select! {
            reply = function => Some(reply),
            () = self.killed[number].notified() => None,
        };
        match reply {
            Some(_) => {
                let mut calls = self.calls.lock().unwrap();
                calls.attempts.remove(&number);
                // The reply can be ready at the moment of the kill, which must not kill the next function.
                let _ = self.killed[number].notified().now_or_never();
                let left = calls.waiting.remove(&number).unwrap_or_default();
                for call in left {
                    release(&mut calls, &call);
                }
            }
            // A new process knows no group.
            None => *process = self::process(&self.aws, number),
        }
        self.wake();
        reply
    }
}

fn release(calls: &mut Calls, call: &Arc<Notify>) {
    if calls.torn.as_ref().is_some_and(|(transaction, ..)| Arc::ptr_eq(transaction, call)) {
        calls.torn = None;
    }
    call.notify_one();
}

fn process(aws: &FakeAws, number: usize) -> Process {
    let limits = [("MESSAGE_RATE", "1000"), ("MESSAGE_BURST", "100000"), ("GROUP_RATE", "1000")];
    let name = number.to_string();
    Process {
        sends: aws.context_of(&name, &limits),
        edits: aws.context_of(&name, &limits),
        groups: aws.context_of(&name, &limits),
        histories: aws.context_of(&name, &limits),
    }
}

/// The response to a read of members while a transaction is applied. An item that was read after the transaction stays so.
fn torn(call: &Call, before: &mut Vec<Value>, after: &[Value], coin: &mut impl FnMut() -> bool) -> Value {
    let find = |rows: &[Value], user: &Value| rows.iter().find(|row| row["userId"] == *user).cloned();
    let mut item = |user: &Value| {
        if coin() {
            return find(before, user);
        }
        let new = find(after, user);
        before.retain(|row| row["userId"] != *user);
        before.extend(new.clone());
        new
    };
    match call.operation.as_str() {
        "Query" => {
            let mut users: Vec<_> = after.iter().map(|row| row["userId"].clone()).collect();
            users.sort_by_key(|user| user["S"].as_str().unwrap().to_owned());
            let items: Vec<_> = users.iter().filter_map(item).collect();
            json!({ "Count": items.len(), "ScannedCount": items.len(), "Items": items })
        }
        "GetItem" => match item(&call.body["Key"]["userId"]) {
            Some(item) => json!({ "Item": item }),
            None => json!({}),
        },
        other => panic!("{other} reads members"),
    }
}

fn conflict() -> Value {
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled",
        "CancellationReasons": [{ "Code": "TransactionConflict", "Message": "in conflict" }, { "Code": "None" }],
    })
}
