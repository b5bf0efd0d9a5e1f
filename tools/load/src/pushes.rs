//! `Pushes`: the messages that one client got as pushes.

use std::collections::BTreeMap;

use serde_json::Value;

/// A message is pushed at least once: a push whose response was lost, or came too late, is repeated.
#[derive(Default)]
pub(crate) struct Pushes {
    /// By conversation and number.
    messages: BTreeMap<(String, u64), Value>,
    /// The newest number, by conversation and sender.
    newest: BTreeMap<(String, String), u64>,
    /// Number of pushes of a message that the client had got before.
    pub(crate) repeats: usize,
}

impl Pushes {
    /// Adds a pushed frame. Returns the message if the client had not got it before.
    ///
    /// # Panics
    /// If the message differs from the one that was pushed with the same number. If its sender sent a message that was pushed
    /// before with a larger number, because each sender waits until a message is acknowledged, and thus pushed.
    pub(crate) fn add<'a>(&mut self, frame: &'a Value) -> Option<&'a Value> {
        let message = &frame["value"];
        let text = |field: &str| message[field].as_str().expect("a push has this field").to_owned();
        let (conversation, sender) = (text("conversationId"), text("senderId"));
        let seq = message["seq"].as_u64().expect("a message has a number");
        if let Some(first) = self.messages.get(&(conversation.clone(), seq)) {
            assert_eq!(first, message, "a message is pushed again as it was");
            self.repeats += 1;
            return None;
        }
        let newest = self.newest.insert((conversation.clone(), sender), seq).unwrap_or_default();
        assert!(newest < seq, "the messages of a sender are pushed in order: {frame} after {newest}");
        self.messages.insert((conversation, seq), message.clone());
        Some(message)
    }

    /// The numbers of the messages of this conversation.
    pub(crate) fn seqs(&self, conversation: &str) -> impl Iterator<Item = u64> {
        self.messages.keys().filter(move |(of, _)| of == conversation).map(|(_, seq)| *seq)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn push(sender: &str, seq: u64) -> Value {
        json!({ "value": { "conversationId": "group:1", "senderId": sender, "seq": seq, "content": "Hello" } })
    }

    #[test]
    fn it_counts_repeats_and_takes_each_message_once() {
        let mut pushes = Pushes::default();
        // The messages of two senders may overtake each other.
        for (sender, seq, is_new) in [("ann", 2, true), ("bob", 1, true), ("ann", 2, false), ("ann", 3, true)] {
            assert_eq!(pushes.add(&push(sender, seq)).is_some(), is_new);
        }
        assert_eq!(pushes.repeats, 1);
        assert_eq!(pushes.seqs("group:1").collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(pushes.seqs("group:2").count(), 0);
    }

    #[test]
    #[should_panic(expected = "pushed again as it was")]
    fn it_refuses_a_repeat_that_differs() {
        let mut pushes = Pushes::default();
        pushes.add(&push("ann", 1));
        pushes.add(&push("bob", 1));
    }

    #[test]
    #[should_panic(expected = "in order")]
    fn it_refuses_messages_of_a_sender_in_another_order() {
        let mut pushes = Pushes::default();
        pushes.add(&push("ann", 2));
        pushes.add(&push("ann", 1));
    }
}
