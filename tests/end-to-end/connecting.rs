//! If a client connects and syncs while a message is being stored, it gets the message by sync or
//! by push. A proxy between the real functions and DynamoDB holds calls, so that each test has a
//! fixed order of events.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use support::{Call, ChatClient, DynamoDbProxy, Local, Message, Outcome};
use tokio::{sync::Notify, time::sleep};

const CONVERSATION: &str = "dm:5:alice:bob";
/// Longer than the limit for a fast put. After a slow put, the send function reads the connections
/// again.
const SLOW_PUT: Duration = Duration::from_millis(30);

fn is_put(call: &Call) -> bool {
    call.operation == "PutItem" && call.body["TableName"] == "MessagesTable"
}

fn reads_connections_of_bob(call: &Call) -> bool {
    let keys = &call.body["RequestItems"]["ClientsTable"]["Keys"];
    keys.as_array().is_some_and(|keys| keys.iter().any(|key| key["userId"]["S"] == "bob"))
}

/// Holds the first call that `matches` and forwards all others. Returns two signals: the first is
/// notified when the call arrives; notify the second to release the call.
fn hold_first(
    proxy: &DynamoDbProxy,
    matches: fn(&Call) -> bool,
    hold: fn(Arc<Notify>) -> Outcome,
) -> (Arc<Notify>, Arc<Notify>) {
    let (arrived, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (arriving, mut release) = (arrived.clone(), Some(released.clone()));
    proxy.inject(move |call| match matches(call).then(|| release.take()).flatten() {
        Some(release) => {
            arriving.notify_one();
            hold(release)
        }
        None => Outcome::Forward,
    });
    (arrived, released)
}

/// Connects one of bob's devices and reads all messages.
async fn connect_and_sync(chat: &Local) -> (ChatClient, Vec<Message>) {
    let bob = chat.connect("bob").await;
    let page = bob.catch_up("alice", 0).await;
    (bob, page)
}

fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.content.as_str()).collect()
}

async fn wait_until_stored(chat: &Local, count: usize) {
    while chat.messages(CONVERSATION).await.len() < count {
        // DynamoDB sends no notification, so poll.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_connects_before_the_connections_are_read_gets_the_push() {
    let (chat, proxy) = Local::start_with_proxy().await;
    let alice = chat.connect("alice").await;
    let (arrived, released) = hold_first(&proxy, reads_connections_of_bob, Outcome::Hold);
    let connecting = async {
        arrived.notified().await;
        let (bob, _) = connect_and_sync(&chat).await;
        released.notify_one();
        // The page may already contain the message. The push must arrive in either case.
        assert_eq!(bob.next_message().await.content, "Hi");
    };
    let (sent, ()) = tokio::join!(alice.send("bob", "Hi", json!({})), connecting);
    assert_eq!(sent.unwrap().seq, 1);
    chat.stop().await;
}

#[tokio::test]
async fn a_client_that_connects_after_the_connections_are_read_and_before_the_put_gets_the_push() {
    let (chat, proxy) = Local::start_with_proxy().await;
    let alice = chat.connect("alice").await;
    proxy.take_calls();
    let (arrived, released) = hold_first(&proxy, is_put, Outcome::Hold);
    let connecting = async {
        arrived.notified().await;
        proxy.wait_for_calls("BatchGetItem", 1).await;
        let (bob, page) = connect_and_sync(&chat).await;
        assert_eq!(page, Vec::<Message>::new(), "nothing is stored yet");
        sleep(SLOW_PUT).await;
        released.notify_one();
        assert_eq!(bob.next_message().await.content, "Hi");
    };
    let (sent, ()) = tokio::join!(alice.send("bob", "Hi", json!({})), connecting);
    assert_eq!(sent.unwrap().seq, 1);
    chat.stop().await;
}

#[tokio::test]
async fn a_client_that_connects_after_the_put_and_before_its_response_finds_the_message() {
    let (chat, proxy) = Local::start_with_proxy().await;
    let alice = chat.connect("alice").await;
    let (arrived, released) = hold_first(&proxy, is_put, Outcome::HoldResponse);
    let connecting = async {
        arrived.notified().await;
        wait_until_stored(&chat, 1).await;
        let (bob, page) = connect_and_sync(&chat).await;
        assert_eq!(contents(&page), ["Hi"]);
        released.notify_one();
        bob
    };
    let (sent, bob) = tokio::join!(alice.send("bob", "Hi", json!({})), connecting);
    assert_eq!(sent.unwrap().seq, 1);
    // The first message may also be pushed. The next one must be pushed.
    alice.send("bob", "Still there?", json!({ "lastSeq": 1 })).await.unwrap();
    let mut next = bob.next_message().await;
    if next.seq == 1 {
        next = bob.next_message().await;
    }
    assert_eq!(next.content, "Still there?");
    chat.stop().await;
}

#[tokio::test]
async fn a_client_whose_connection_is_stored_after_the_message_finds_the_message() {
    let (chat, proxy) = Local::start_with_proxy().await;
    let alice = chat.connect("alice").await;
    let is_bob = |call: &Call| call.is_on("ClientsTable") && call.body["Key"]["userId"]["S"] == "bob";
    let (arrived, released) = hold_first(&proxy, is_bob, Outcome::Hold);
    let sending = async {
        arrived.notified().await;
        // The message is stored before bob's connection is in the table, so it is not pushed.
        let sent = alice.send("bob", "Hi", json!({})).await;
        released.notify_one();
        sent
    };
    let (sent, (_bob, page)) = tokio::join!(sending, connect_and_sync(&chat));
    assert_eq!(sent.unwrap().seq, 1);
    assert_eq!(contents(&page), ["Hi"]);
    chat.stop().await;
}

#[tokio::test]
async fn a_client_that_connects_before_the_second_attempt_of_a_put_gets_the_push() {
    let (chat, proxy) = Local::start_with_proxy().await;
    let (alice, tablet) = tokio::join!(chat.connect("alice"), chat.connect("alice"));
    proxy.take_calls();
    let (arrived, released) = hold_first(&proxy, is_put, Outcome::Hold);
    let connecting = async {
        arrived.notified().await;
        proxy.wait_for_calls("BatchGetItem", 1).await;
        // Another device uses the sequence number of the held put, so that put must retry.
        assert_eq!(tablet.send("bob", "Faster", json!({})).await.unwrap().seq, 1);
        let (bob, page) = connect_and_sync(&chat).await;
        assert_eq!(page.len(), 1);
        released.notify_one();
        assert_eq!(bob.next_message().await.content, "Hi");
    };
    let (sent, ()) = tokio::join!(alice.send("bob", "Hi", json!({})), connecting);
    assert_eq!(sent.unwrap().seq, 2);
    chat.stop().await;
}
