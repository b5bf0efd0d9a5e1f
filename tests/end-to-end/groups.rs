//! Groups over real WebSockets, through the real functions as processes.

use serde_json::{Value, json};
use support::{ChatClient, Local};

/// Sends a request that must be accepted, and returns the value of its reply.
async fn accepted(client: &ChatClient, frame: Value) -> Value {
    let mut reply = client.request(frame.clone()).await;
    assert_ne!(reply["type"], "error", "{frame} {reply}");
    reply["value"].take()
}

fn send(group: &Value, content: &str) -> Value {
    json!({ "action": "sendMessage", "groupId": group, "content": content })
}

/// The next push, which must be an entry of the group.
async fn pushed(client: &ChatClient, group: &Value) -> Value {
    let mut frame = client.next_frame().await;
    assert_eq!((&frame["type"], &frame["value"]["groupId"]), (&json!("message"), group), "{frame}");
    frame["value"].take()
}

#[tokio::test]
async fn a_group_from_its_creation_to_the_removal_of_a_member() {
    let chat = Local::start().await;
    let (alice, bob, carol) = tokio::join!(chat.connect("alice"), chat.connect("bob"), chat.connect("李"));
    let sent = accepted(&alice, json!({ "action": "createGroup", "name": "登山", "members": ["bob"] })).await;
    let group = &sent["groupId"];
    assert_eq!(pushed(&bob, group).await["added"], json!(["bob"]));
    accepted(&bob, send(group, "hello")).await;
    assert_eq!(pushed(&alice, group).await["content"], "hello");

    accepted(&alice, json!({ "action": "changeGroup", "groupId": group, "add": ["李"] })).await;
    for client in [&bob, &carol] {
        assert_eq!(pushed(client, group).await["added"], json!(["李"]));
    }
    accepted(&carol, json!({ "action": "markRead", "groupId": group, "seq": 2 })).await;
    for client in [&alice, &bob] {
        let receipt = client.next_frame().await;
        assert_eq!((&receipt["type"], &receipt["value"]["userId"]), (&json!("read"), &json!("李")), "{receipt}");
    }
    accepted(&carol, json!({ "action": "react", "groupId": group, "seq": 2, "reaction": "👋", "on": true })).await;
    for client in [&alice, &bob] {
        assert_eq!(pushed(client, group).await["target"], 2);
    }
    client_sees_typing(&carol, &[&alice, &bob], group).await;

    accepted(&alice, json!({ "action": "changeGroup", "groupId": group, "remove": ["bob"] })).await;
    for client in [&bob, &carol] {
        assert_eq!(pushed(client, group).await["removed"], json!(["bob"]));
    }
    accepted(&alice, send(group, "without bob")).await;
    assert_eq!(pushed(&carol, group).await["content"], "without bob");
    let refused = bob.request(send(group, "still here?")).await;
    assert_eq!(refused["code"], "forbidden", "{refused}");
    // Bob's next frame is this message, so nothing else came before it.
    accepted(&alice, json!({ "action": "sendMessage", "recipientId": "bob", "content": "only to you" })).await;
    assert_eq!(bob.next_frame().await["value"]["content"], "only to you");
    let page = accepted(&bob, json!({ "action": "getMessages", "groupId": group })).await;
    assert_eq!(page["messages"][0]["removed"], json!(["bob"]), "{page}");
    chat.stop().await;
}

async fn client_sees_typing(typist: &ChatClient, others: &[&ChatClient], group: &Value) {
    let frame = json!({ "action": "typing", "groupId": group });
    typist.send_text(&frame.to_string());
    for client in others {
        let push = client.next_frame().await;
        assert_eq!((&push["type"], &push["value"]["groupId"]), (&json!("typing"), group), "{push}");
    }
}

/// Members send at once from several processes, while others join and leave.
#[tokio::test]
async fn concurrent_senders_share_one_dense_order_while_members_come_and_go() {
    const SENDERS: usize = 6;
    let chat = Local::start_with(support::without_limits).await;
    let names: Vec<_> = (0..SENDERS).map(|number| format!("user-{number}")).collect();
    let clients = futures_util::future::join_all(names.iter().map(|name| chat.connect(name))).await;
    let sent = accepted(&clients[0], json!({ "action": "createGroup", "name": "x", "members": names[1..] })).await;
    let group = sent["groupId"].clone();
    let work = clients.iter().enumerate().map(async |(number, client)| {
        for turn in 0..10 {
            if number == 0 && turn % 2 == 0 {
                let change = if turn % 4 == 0 { json!({ "add": ["guest"] }) } else { json!({ "remove": ["guest"] }) };
                let mut frame = json!({ "action": "changeGroup", "groupId": group });
                frame.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
                accepted(client, frame).await;
            }
            accepted(client, send(&group, &format!("{number}-{turn}"))).await;
        }
    });
    futures_util::future::join_all(work).await;
    let rows = chat.messages(sent["conversationId"].as_str().unwrap()).await;
    let numbers: Vec<_> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=1 + 5 + SENDERS as u64 * 10).collect::<Vec<_>>());
    chat.stop().await;
}
