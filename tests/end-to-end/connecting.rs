//! Who connects, and syncs, while a message is being stored gets it: by that sync or by a push. Each moment of the race is
//! held still by a wire between the real functions and DynamoDB, so that nothing is left to luck.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use support::{Call, Client, DynamoDbProxy, Local, Outcome};
use tokio::{sync::Notify, time::sleep};

const CONVERSATION: &str = "dm:5:alice:bob";
/// More than a put may take, so that the connections are read again after it.
const NO_FAST_PUT: Duration = Duration::from_millis(30);

fn is_put(call: &Call) -> bool {
    call.operation == "PutItem" && call.body["TableName"] == "MessagesTable"
}

fn reads_connections_of_bob(call: &Call) -> bool {
    call.operation == "Query" && call.body["ExpressionAttributeValues"][":user"]["S"] == "bob"
}

/// Holds the first call of this kind by what `hold` makes of the release, and lets all others through.
fn hold_first(
    wire: &DynamoDbProxy,
    is_it: fn(&Call) -> bool,
    hold: fn(Arc<Notify>) -> Outcome,
) -> (Arc<Notify>, Arc<Notify>) {
    let (came, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (coming, mut release) = (came.clone(), Some(released.clone()));
    wire.inject(move |call| match is_it(call).then(|| release.take()).flatten() {
        Some(release) => {
            coming.notify_one();
            hold(release)
        }
        None => Outcome::Forward,
    });
    (came, released)
}

/// Bob's device, and what its first sync shows.
async fn connect_and_sync(chat: &Local) -> (Client, Vec<Value>) {
    let bob = chat.connect("bob").await;
    let page = bob.catch_up("alice", 0).await;
    (bob, page)
}

async fn until_stored(chat: &Local, count: usize) {
    while chat.messages(CONVERSATION).await.len() < count {
        // Nothing tells when a row comes; ask again.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn before_the_connections_are_read() {
    let (chat, wire) = Local::start_with_proxy().await;
    let alice = chat.connect("alice").await;
    let (came, released) = hold_first(&wire, reads_connections_of_bob, Outcome::Hold);
    let connecting = async {
        came.notified().await;
        let (bob, _) = connect_and_sync(&chat).await;
        released.notify_one();
        // The message may be stored by then, and in the page too; it is pushed in any case.
        assert_eq!(bob.next().await["value"]["content"], "Hi");
    };
    let (sent, ()) = tokio::join!(alice.send("bob", "Hi", json!({})), connecting);
    assert_eq!(sent["value"]["seq"], 1, "{sent}");
    chat.stop().await;
}

#[tokio::test]
async fn after_the_connections_are_read_and_before_the_message_is_stored() {
    let (chat, wire) = Local::start_with_proxy().await;
    let alice = chat.connect("alice").await;
    wire.take_calls();
    let (came, released) = hold_first(&wire, is_put, Outcome::Hold);
    let connecting = async {
        came.notified().await;
        // The look, and the connections of both.
        wire.saw("Query", 3).await;
        let (bob, page) = connect_and_sync(&chat).await;
        assert_eq!(page, Vec::<Value>::new(), "nothing is stored yet");
        sleep(NO_FAST_PUT).await;
        released.notify_one();
        assert_eq!(bob.next().await["value"]["content"], "Hi");
    };
    let (sent, ()) = tokio::join!(alice.send("bob", "Hi", json!({})), connecting);
    assert_eq!(sent["value"]["seq"], 1, "{sent}");
    chat.stop().await;
}

#[tokio::test]
async fn after_the_message_is_stored_and_before_its_sender_knows() {
    let (chat, wire) = Local::start_with_proxy().await;
    let alice = chat.connect("alice").await;
    let (came, released) = hold_first(&wire, is_put, Outcome::HoldResponse);
    let connecting = async {
        came.notified().await;
        until_stored(&chat, 1).await;
        let (bob, page) = connect_and_sync(&chat).await;
        assert_eq!(page.iter().map(|message| &message["content"]).collect::<Vec<_>>(), ["Hi"]);
        released.notify_one();
        bob
    };
    let (sent, bob) = tokio::join!(alice.send("bob", "Hi", json!({})), connecting);
    assert_eq!(sent["value"]["seq"], 1, "{sent}");
    // Pushed or not: it has it. What comes next does come by a push.
    alice.send("bob", "Still there?", json!({ "lastSeq": 1 })).await;
    let mut next = bob.next().await;
    if next["value"]["seq"] == 1 {
        next = bob.next().await;
    }
    assert_eq!(next["value"]["content"], "Still there?");
    chat.stop().await;
}

#[tokio::test]
async fn while_its_connection_is_still_being_written_down() {
    let (chat, wire) = Local::start_with_proxy().await;
    let alice = chat.connect("alice").await;
    let is_bob = |call: &Call| call.operation == "PutItem" && call.body["Item"]["userId"]["S"] == "bob";
    let (came, released) = hold_first(&wire, is_bob, Outcome::Hold);
    let sending = async {
        came.notified().await;
        // Stored, and pushed to nobody, before bob's device is known.
        let sent = alice.send("bob", "Hi", json!({})).await;
        released.notify_one();
        sent
    };
    let (sent, (_bob, page)) = tokio::join!(sending, connect_and_sync(&chat));
    assert_eq!(sent["value"]["seq"], 1, "{sent}");
    assert_eq!(page.iter().map(|message| &message["content"]).collect::<Vec<_>>(), ["Hi"]);
    chat.stop().await;
}

#[tokio::test]
async fn while_others_are_faster_and_the_message_is_stored_at_the_second_attempt() {
    let (chat, wire) = Local::start_with_proxy().await;
    let (alice, carl) = tokio::join!(chat.connect("alice"), chat.connect("alice"));
    wire.take_calls();
    let (came, released) = hold_first(&wire, is_put, Outcome::Hold);
    let connecting = async {
        came.notified().await;
        wire.saw("Query", 3).await;
        // Another device takes the place that the first one wants.
        assert_eq!(carl.send("bob", "Faster", json!({})).await["value"]["seq"], 1);
        let (bob, page) = connect_and_sync(&chat).await;
        assert_eq!(page.len(), 1);
        released.notify_one();
        assert_eq!(bob.next().await["value"]["content"], "Hi");
    };
    let (sent, ()) = tokio::join!(alice.send("bob", "Hi", json!({})), connecting);
    assert_eq!(sent["value"]["seq"], 2, "{sent}");
    chat.stop().await;
}
