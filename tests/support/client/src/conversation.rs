//! A scripted conversation between two users with two devices each. It checks every frame.

use serde_json::json;
use uuid::Uuid;

use crate::{ChatClient, InboxEntry, Message, Sent, User};

/// Runs the conversation against the chat at `url`, local or on AWS. The two users may already have
/// messages. No other client may use their ids during the run.
///
/// # Panics
/// If a frame differs from the protocol.
pub async fn conversation(url: &str, users: &[User; 2]) {
    let script = Script::connect(url, users).await;
    let id = Uuid::new_v4().to_string();
    let hello = script.a_message_reaches_all_other_devices(&id).await;
    script.a_reply_reaches_all_other_devices(&hello).await;
    script.a_reader_marks_the_conversation_read_on_all_devices().await;
    script.a_repeated_send_is_a_duplicate(&id, &hello).await;
    script.both_users_see_the_same_history().await;
    script.ping_and_unknown_actions_have_replies().await;
    script.no_frame_is_left_over().await;
}

struct Script {
    alice: ChatClient,
    alice_2: ChatClient,
    bob: ChatClient,
    bob_2: ChatClient,
    /// Newest sequence number of the conversation before the script runs.
    before: u64,
}

impl Script {
    async fn connect(url: &str, [alice, bob]: &[User; 2]) -> Self {
        let (alice, alice_2, bob, bob_2) =
            tokio::join!(connect(url, alice), connect(url, alice), connect(url, bob), connect(url, bob));
        let before = newest_two(&alice, &bob.user).await.first().map_or(0, |message| message.seq);
        Self { alice, alice_2, bob, bob_2, before }
    }

    async fn a_message_reaches_all_other_devices(&self, id: &str) -> Sent {
        let named = json!({ "clientMessageId": id, "lastSeq": self.before });
        let sent = self.alice.send(&self.bob.user, "Hello, Bob!", named).await.expect("the message is stored");
        assert_eq!((sent.seq, sent.duplicate), (self.before + 1, false));
        for device in [&self.alice_2, &self.bob, &self.bob_2] {
            let push = device.next_message().await;
            assert_eq!((push.sender_id, push.content), (self.alice.user.clone(), "Hello, Bob!".to_owned()));
            assert_eq!(push.message_id, sent.message_id);
        }
        sent
    }

    async fn a_reply_reaches_all_other_devices(&self, hello: &Sent) {
        let position = hello.position.as_deref().expect("the functions have a key for positions");
        let known = json!({ "position": position });
        let sent = self.bob_2.send(&self.alice.user, "Hello, Alice!", known).await.expect("the reply is stored");
        assert_eq!(sent.seq, self.before + 2);
        for device in [&self.alice, &self.alice_2, &self.bob] {
            assert_eq!(device.next_message().await.content, "Hello, Alice!");
        }
    }

    /// A send marks the conversation as read up to that message for the sender. The recipient uses
    /// `markRead`.
    async fn a_reader_marks_the_conversation_read_on_all_devices(&self) {
        let Self { alice, alice_2, bob, bob_2, before } = self;
        let [of_alice, of_bob] = [inbox_entry(alice, &bob.user).await, inbox_entry(bob, &alice.user).await];
        assert_eq!((of_alice.unread, of_alice.peer_read_seq), (1, Some(before + 2)));
        assert_eq!((of_bob.unread, of_bob.peer_read_seq), (0, Some(before + 1)));
        assert_eq!(of_alice.last_message.content, "Hello, Alice!");

        let receipt = alice.mark_read(&bob.user, before + 2).await.expect("the message exists");
        assert_eq!((receipt.user_id.as_str(), receipt.seq), (alice.user.as_str(), before + 2));
        for device in [alice_2, bob, bob_2] {
            assert_eq!(device.next_receipt().await, receipt);
        }
        assert_eq!(inbox_entry(alice_2, &bob.user).await.unread, 0);
        assert_eq!(inbox_entry(bob, &alice.user).await.peer_read_seq, Some(before + 2));
    }

    /// Repeats a send from another device, as after a lost connection. The message is stored once
    /// and pushed again.
    async fn a_repeated_send_is_a_duplicate(&self, id: &str, first: &Sent) {
        let named = json!({ "clientMessageId": id, "lastSeq": self.before });
        let repeated = self.alice_2.send(&self.bob.user, "Hello, Bob!", named).await.expect("a repeat succeeds");
        assert!(repeated.duplicate, "{repeated:?}");
        assert_eq!(repeated.identity(), first.identity());
        for device in [&self.alice, &self.bob, &self.bob_2] {
            assert_eq!(device.next_message().await.message_id, first.message_id);
        }
    }

    async fn both_users_see_the_same_history(&self) {
        let Self { alice, bob, bob_2, before, .. } = self;
        let (of_alice, of_bob) = (newest_two(alice, &bob.user).await, newest_two(bob, &alice.user).await);
        assert_eq!(of_alice, of_bob);
        assert_eq!(of_alice.iter().map(|message| message.seq).collect::<Vec<_>>(), [before + 2, before + 1]);
        let mut caught_up = bob_2.catch_up(&alice.user, *before).await;
        caught_up.reverse();
        assert_eq!(caught_up, of_alice);
    }

    async fn ping_and_unknown_actions_have_replies(&self) {
        assert_eq!(self.alice.request(json!({ "action": "ping" })).await["type"], "pong");
        assert_eq!(self.bob.request(json!({ "action": "dance" })).await["code"], "unknown_action");
    }

    async fn no_frame_is_left_over(&self) {
        for device in [&self.alice, &self.alice_2, &self.bob, &self.bob_2] {
            let frame = device.buffered_frame().await;
            assert_eq!(frame, None, "no frame is pushed twice, or to the device that sent it");
            device.close().await;
        }
    }
}

async fn connect(url: &str, user: &User) -> ChatClient {
    let client = ChatClient::connect_as(url, user).await;
    client.unwrap_or_else(|error| panic!("{} can't connect to {url}: {error}", user.id))
}

/// The two newest messages, newest first.
async fn newest_two(client: &ChatClient, peer: &str) -> Vec<Message> {
    client.messages(peer, json!({ "limit": 2 })).await.expect("a page").messages
}

/// The conversation with `peer` on the first page of the inbox.
async fn inbox_entry(client: &ChatClient, peer: &str) -> InboxEntry {
    let page = client.conversations(json!({ "limit": 100 })).await.expect("a page");
    let entry = page.conversations.iter().find(|entry| entry.peer_id == peer);
    entry.unwrap_or_else(|| panic!("{peer} is not in {page:?}")).clone()
}
