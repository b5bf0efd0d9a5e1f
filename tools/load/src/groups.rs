//! Groups whose members send at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{ChatClient, Local};

use crate::{percentiles, pushes::Pushes};

const MEMBERS: usize = 50;
/// The members of each group who send.
const SENDERS: usize = 5;
/// The number of messages of each sender.
const MESSAGES: usize = 20;
/// The number of groups that each client is a member of, if there are enough groups.
const GROUPS_OF_CLIENT: usize = 5;

/// Creates groups of 50 members, who are all connected. Five members of each group send 20 messages each, one after the other.
/// Every message is checked: it must be pushed to each other member at least once, in the order of its sender, and stored once.
pub(crate) async fn run(chat: &Local, groups: usize) {
    let clients = (groups * MEMBERS).div_ceil(GROUPS_OF_CLIENT).max(MEMBERS);
    let names: Vec<_> = (0..clients).map(|number| format!("member-{number}")).collect();
    let mut connected = Vec::new();
    for name in &names {
        connected.push(chat.connect(name).await);
    }
    let members: Vec<Vec<usize>> =
        (0..groups).map(|group| (0..MEMBERS).map(|member| (group * MEMBERS + member) % clients).collect()).collect();
    let mut ids = Vec::new();
    for members in &members {
        ids.push(create(&connected, &names, members).await);
    }
    for client in &connected {
        while client.buffered_frame().await.is_some() {}
    }

    let start = Instant::now();
    let senders = members.iter().zip(&ids).flat_map(|(members, id)| {
        members[..SENDERS].iter().map(|member| send(&connected[*member], id, start)).collect::<Vec<_>>()
    });
    let receivers = connected.iter().enumerate().map(|(number, client)| {
        let expected = members.iter().filter(|members| members.contains(&number)).map(|members| {
            let others = SENDERS - usize::from(members[..SENDERS].contains(&number));
            others * MESSAGES
        });
        receive(client, expected.sum(), start)
    });
    let (reply_times, mut received) = tokio::join!(join_all(senders), join_all(receivers));
    let elapsed = start.elapsed();
    for (client, received) in connected.iter().zip(&mut received) {
        while let Some(frame) = client.buffered_frame().await {
            received.pushes.add(&frame);
        }
    }

    for (members, id) in members.iter().zip(&ids) {
        let stored = stored(&connected[members[0]], id).await;
        for member in members {
            let pushed: BTreeSet<_> = received[*member].pushes.seqs(&format!("group:{id}")).collect();
            let others: BTreeSet<_> =
                stored.iter().filter(|(_, sender)| **sender != names[*member]).map(|(seq, _)| *seq).collect();
            assert_eq!(pushed, others, "each message is pushed to each other member");
        }
    }
    let count = groups * SENDERS * MESSAGES;
    let pushes: usize = received.iter().map(|received| received.times.len()).sum();
    let rate = count as f64 / elapsed.as_secs_f64();
    let repeats: usize = received.iter().map(|received| received.pushes.repeats).sum();
    println!(
        "{count} messages in {groups} groups of {MEMBERS} members, {pushes} pushes to {clients} clients in {elapsed:.1?}: \
         {rate:.0} messages/s, {:.0} pushes/s",
        pushes as f64 / elapsed.as_secs_f64()
    );
    println!("{repeats} pushes were repeated");
    println!("send to push: {}", percentiles(received.iter().flat_map(|received| &received.times)));
    println!("send to sent: {}", percentiles(reply_times.iter().flatten()));
}

/// Returns the id of the new group.
async fn create(clients: &[ChatClient], names: &[String], members: &[usize]) -> String {
    let others: Vec<_> = members[1..].iter().map(|member| &names[*member]).collect();
    // A frame names at most 48 users.
    let (first, rest) = others.split_at(others.len() - 1);
    let creator = &clients[members[0]];
    let sent = accepted(creator, json!({ "action": "createGroup", "name": "Load", "members": first })).await;
    let id = sent["groupId"].as_str().expect("the group has an id").to_owned();
    accepted(creator, json!({ "action": "changeGroup", "groupId": id, "add": rest })).await;
    id
}

async fn accepted(client: &ChatClient, frame: Value) -> Value {
    let mut reply = client.request(frame).await;
    assert_eq!(reply["type"], "sent", "{reply}");
    reply["value"].take()
}

/// Sends all messages of one member. Returns the times from send to reply.
async fn send(client: &ChatClient, group: &str, start: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut known = json!({});
    for _ in 0..MESSAGES {
        let sent_at = Instant::now();
        let mut frame =
            json!({ "action": "sendMessage", "groupId": group, "content": (sent_at - start).as_micros().to_string() });
        frame.as_object_mut().expect("a frame is an object").extend(known.as_object().cloned().unwrap_or_default());
        let sent = accepted(client, frame).await;
        times.push(sent_at.elapsed());
        known = json!({ "position": sent["position"] });
    }
    times
}

/// What one client got.
struct Received {
    /// From send to push.
    times: Vec<Duration>,
    pushes: Pushes,
}

async fn receive(client: &ChatClient, expected: usize, start: Instant) -> Received {
    let mut received = Received { times: Vec::new(), pushes: Pushes::default() };
    while received.times.len() < expected {
        let frame = client.next_frame().await;
        let Some(message) = received.pushes.add(&frame) else { continue };
        let sent_at = message["content"].as_str().and_then(|text| text.parse().ok()).expect("the time of the send");
        received.times.push(start.elapsed() - Duration::from_micros(sent_at));
    }
    received
}

/// The messages of a group by number, with their senders. The numbers of all entries are dense.
async fn stored(client: &ChatClient, group: &str) -> BTreeMap<u64, String> {
    let (mut entries, mut after) = (Vec::new(), 0);
    loop {
        let frame = json!({ "action": "getMessages", "groupId": group, "after": after, "limit": 100 });
        let page = client.request(frame).await;
        entries.extend(page["value"]["messages"].as_array().expect("a page").clone());
        match page["value"].get("lastEvaluatedKey") {
            Some(key) => after = key["seq"].as_u64().expect("a cursor has a number"),
            None => break,
        }
    }
    let seqs: Vec<_> = entries.iter().map(|entry| entry["seq"].as_u64().expect("an entry has a number")).collect();
    assert_eq!(seqs, (1..=entries.len() as u64).collect::<Vec<_>>(), "no gap");
    let messages = entries.iter().filter(|entry| entry.get("kind").is_none());
    let messages: BTreeMap<_, _> = messages
        .map(|entry| {
            (entry["seq"].as_u64().expect("a number"), entry["senderId"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    assert_eq!(messages.len(), SENDERS * MESSAGES, "every message is stored once");
    messages
}
