//! Two people with two devices each talk, and everything that they see is checked.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Client, Person};

/// Plays it over the chat at `url`, on this machine or on AWS, and panics where something is not as it should be.
///
/// The two may have talked before; nobody else may speak for them meanwhile.
pub async fn conversation(url: &str, [alice, bob]: &[Person; 2]) {
    let (alice, alice_2, bob, bob_2) =
        tokio::join!(connect(url, alice), connect(url, alice), connect(url, bob), connect(url, bob));
    let before = newest(&alice, &bob.user).await.first().map_or(0, seq);

    let named = json!({ "clientMessageId": Uuid::new_v4(), "lastSeq": before });
    let first = alice.send(&bob.user, "Hello, Bob!", named.clone()).await;
    assert_eq!((&first["type"], seq(&first["value"])), (&json!("sent"), before + 1), "{first}");
    for device in [&alice_2, &bob, &bob_2] {
        let push = device.next().await;
        assert_eq!(push["type"], "message", "{push}");
        assert_eq!(push["value"]["senderId"], alice.user);
        assert_eq!(push["value"]["content"], "Hello, Bob!");
        assert_eq!(push["value"]["messageId"], first["value"]["messageId"]);
    }

    let second = bob_2.send(&alice.user, "Hello, Alice!", json!({ "lastSeq": before + 1 })).await;
    assert_eq!(seq(&second["value"]), before + 2, "{second}");
    for device in [&alice, &alice_2, &bob] {
        assert_eq!(device.next().await["value"]["content"], "Hello, Alice!");
    }

    // Who writes has read everything; the other one says so, on one device for all.
    let [of_alice, of_bob] = [inbox(&alice, &bob.user).await, inbox(&bob, &alice.user).await];
    assert_eq!((&of_alice["unread"], &of_alice["peerReadSeq"]), (&json!(1), &json!(before + 2)), "{of_alice}");
    assert_eq!((&of_bob["unread"], &of_bob["peerReadSeq"]), (&json!(0), &json!(before + 1)), "{of_bob}");
    assert_eq!(of_alice["lastMessage"]["content"], "Hello, Alice!");
    let receipt = alice.mark_read(&bob.user, before + 2).await;
    assert_eq!((&receipt["type"], seq(&receipt["value"])), (&json!("read"), before + 2), "{receipt}");
    for device in [&alice_2, &bob, &bob_2] {
        let push = device.next().await;
        assert_eq!((&push["type"], &push["value"]), (&json!("read"), &receipt["value"]));
        assert_eq!(push["value"]["userId"], alice.user);
    }
    assert_eq!(inbox(&alice_2, &bob.user).await["unread"], 0);
    assert_eq!(inbox(&bob, &alice.user).await["peerReadSeq"], before + 2);

    // On another device, as after a lost connection: stored once, and shown again.
    let repeated = alice_2.send(&bob.user, "Hello, Bob!", named).await;
    assert_eq!(repeated["value"]["duplicate"], true, "{repeated}");
    for field in ["messageId", "seq", "createdAt"] {
        assert_eq!(repeated["value"][field], first["value"][field], "{field}");
    }
    for device in [&alice, &bob, &bob_2] {
        assert_eq!(device.next().await["value"]["messageId"], first["value"]["messageId"]);
    }

    let (of_alice, of_bob) = (newest(&alice, &bob.user).await, newest(&bob, &alice.user).await);
    assert_eq!(of_alice, of_bob);
    assert_eq!(of_alice.iter().map(seq).collect::<Vec<_>>(), [before + 2, before + 1]);
    let caught_up = bob_2.catch_up(&alice.user, before).await;
    assert_eq!(caught_up.iter().rev().collect::<Vec<_>>(), of_alice.iter().collect::<Vec<_>>());

    assert_eq!(alice.ask(json!({ "action": "ping" })).await["type"], "pong");
    assert_eq!(bob.ask(json!({ "action": "dance" })).await["code"], "unknown_action");
    for device in [&alice, &alice_2, &bob, &bob_2] {
        assert_eq!(device.already_there().await, None, "nothing is pushed twice, or to who sent it");
        device.close().await;
    }
}

async fn connect(url: &str, person: &Person) -> Client {
    Client::connect_as(url, person)
        .await
        .unwrap_or_else(|error| panic!("{} can't connect to {url}: {error}", person.id))
}

/// The two newest messages, newest first.
async fn newest(client: &Client, other: &str) -> Vec<Value> {
    let page = client.messages(other, json!({ "limit": 2 })).await;
    page["value"]["messages"].as_array().unwrap_or_else(|| panic!("no page: {page}")).clone()
}

/// The conversation with the other one, as it stands on the first page.
async fn inbox(client: &Client, other: &str) -> Value {
    let page = client.conversations(json!({ "limit": 100 })).await;
    let conversations = page["value"]["conversations"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    let found = conversations.iter().find(|conversation| conversation["peerId"] == other);
    found.unwrap_or_else(|| panic!("{other} is not in {page}")).clone()
}

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap_or_else(|| panic!("no seq: {message}"))
}
