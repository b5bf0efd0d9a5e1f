//! `Recent`: the conversations in which a user has recently been typing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chat_core::model::{conversation::Recipient, time::Timestamp, user::UserId};

/// The shortest time between two pushes from one user to another, in milliseconds. Clients send `typing` every 8 s.
const PAUSE_MS: i64 = 5_000;
/// The number of pairs that a process remembers. With more, it forgets all of them, which lets some pushes through.
const MOST: usize = 10_000;

/// What this process has pushed lately. Other processes count for themselves.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<HashMap<(UserId, Recipient), Timestamp>>);

impl Recent {
    /// Whether the user has not been typing to the recipient within [`PAUSE_MS`]. If so, it counts from `now` on.
    pub(crate) fn is_first(&self, user: &UserId, recipient: &Recipient, now: Timestamp) -> bool {
        let mut pushed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (user.clone(), recipient.clone());
        // A time in the future comes from a clock that went back.
        let is_recent = |at: &Timestamp| (0..PAUSE_MS).contains(&now.millis_since(*at));
        if pushed.get(&pair).is_some_and(is_recent) {
            return false;
        }
        if pushed.len() >= MOST {
            pushed.clear();
        }
        pushed.insert(pair, now);
        true
    }
}
