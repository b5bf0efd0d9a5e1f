//! What a device was told: the half of a history that clients know.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::plan::Draft;

/// How a device came to know a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By the answer to its own send.
    Acknowledged,
    /// By a push.
    Pushed,
    /// In a page.
    Listed,
    /// By the module, to whoever uses it.
    Shown,
}

/// `sent`, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// To whom.
    pub peer: String,
    /// The draft's own id.
    pub id: Option<String>,
    /// The draft's text.
    pub content: String,
    /// What came, whole.
    pub sent: Value,
}

impl Acknowledgement {
    /// That of this draft.
    pub fn new(peer: &str, draft: &Draft, sent: &Value) -> Self {
        let (id, content) = (draft.id.clone(), draft.content.clone());
        Self { peer: peer.to_owned(), id, content, sent: sent.clone() }
    }
}

/// All that one device was told, and what it made of it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Its name in a log.
    pub device: String,
    /// Whose it is.
    pub user: String,
    /// Whether it has gone for good before the end.
    pub retired: bool,
    /// What it wanted to say, and to whom.
    pub drafts: Vec<(String, Draft)>,
    /// How often it tried.
    pub attempts: usize,
    /// What it was told to be stored.
    pub acknowledged: Vec<Acknowledgement>,
    /// Every message that it was ever shown.
    pub seen: Vec<(How, Value)>,
    /// What it holds in the end, by the other one's name.
    pub views: BTreeMap<String, BTreeMap<u64, Value>>,
    /// Whether what it says in a conversation is stored in the order in which it was said.
    pub in_order: bool,
    /// What struck it as wrong itself.
    pub wrong: Vec<String>,
}

impl Told {
    /// Nothing yet.
    pub fn new(device: &str, user: &str) -> Self {
        Self { device: device.to_owned(), user: user.to_owned(), ..Self::default() }
    }

    /// Whose conversation with this user a message belongs to.
    pub fn peer(&self, message: &Value) -> String {
        let other = if message["senderId"] == self.user.as_str() { "recipientId" } else { "senderId" };
        message[other].as_str().unwrap_or_default().to_owned()
    }
}
