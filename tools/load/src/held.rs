//! `Held`: which messages of a conversation a client holds.

use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::{Value, json};

/// What a client says about a conversation.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Known {
    Nothing,
    LastSeq,
    /// The position of the newest message, or its number if there is no position.
    Position,
}

#[derive(Default)]
pub(crate) struct Held {
    /// The client holds every message up to this one.
    high: u64,
    ahead: BTreeSet<u64>,
    /// The newest position, with the number of its message.
    position: Option<(u64, String)>,
}

impl Held {
    pub(crate) fn add(&mut self, seq: u64, position: Option<String>) {
        self.ahead.insert(seq);
        while self.ahead.remove(&(self.high + 1)) {
            self.high += 1;
        }
        self.position = self.position.take().max(position.map(|position| (seq, position)));
    }

    /// The fields of `sendMessage`.
    pub(crate) fn as_known(&self, known: Known) -> Value {
        match (known, &self.position) {
            (Known::Nothing, _) => json!({}),
            (Known::Position, Some((seq, position))) if *seq == self.high => json!({ "position": position }),
            _ => json!({ "lastSeq": self.high }),
        }
    }
}
