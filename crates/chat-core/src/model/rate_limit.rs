//! `RateLimit`: how many messages a user may send, and `RateLimiter`, which enforces it within one process.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::model::{error::Error, time::Timestamp, user::UserId};

/// Messages a second on average, and a burst after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    per_second: u32,
    burst: u32,
}

/// How much of a rate limit a user has spent: the time at which the average rate has made up for it, in microseconds
/// since the Unix epoch. The default is "nothing spent".
///
/// This is the "theoretical arrival time" of the generic cell rate algorithm (GCRA, ITU-T I.371). Each message moves it
/// forward by the average interval of two messages, a pause lets the clock catch up with it, and the burst is how far it
/// may be ahead of the clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RateState(i64);

/// The limits within one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// For each user of a direct conversation.
    pub per_user: RateLimit,
    /// For all members of a group together.
    pub per_group: RateLimit,
}

impl RateLimit {
    /// The maximum average, in messages a second.
    pub const MAX_PER_SECOND: u32 = 1_000;
    /// The maximum burst, in messages.
    pub const MAX_BURST: u32 = 100_000;
    /// The burst of a group, as a multiple of its average.
    pub const GROUP_BURST_SECONDS: u32 = 5;
    /// How far two events may be out of order, in microseconds. A state that is ahead of the clock by more than a burst
    /// and this comes from a wrong clock. It counts as "nothing spent", because its user would be locked out otherwise.
    const TOLERANCE: i64 = 60_000_000;

    /// A limit of `per_second` messages on average and `burst` at once.
    ///
    /// # Panics
    /// If a value is 0 or above its maximum. The configuration has refused such values before.
    pub fn new(per_second: u32, burst: u32) -> Self {
        assert!((1..=Self::MAX_PER_SECOND).contains(&per_second), "{per_second} messages a second");
        assert!((1..=Self::MAX_BURST).contains(&burst), "a burst of {burst} messages");
        Self { per_second, burst }
    }

    /// The state after one more message.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the limit is used up.
    pub fn spend(self, state: RateState, now: Timestamp) -> Result<RateState, Error> {
        let now = now.as_micros();
        let interval = 1_000_000 / i64::from(self.per_second);
        let most_ahead = interval * i64::from(self.burst);
        let ahead = state.0.saturating_sub(now);
        let ahead = if ahead > most_ahead + Self::TOLERANCE { 0 } else { ahead.max(0) };
        let wait = ahead + interval - most_ahead;
        if wait > 0 {
            let retry_after_ms = wait.saturating_add(999) / 1_000;
            return Err(Error::RateLimited { per_second: self.per_second, retry_after_ms });
        }
        Ok(RateState(now.saturating_add(ahead + interval)))
    }
}

/// Enforces the limit per user, across conversations, for the messages that this process has seen. It makes no call.
///
/// Because other processes count for themselves, a user can exceed the limit by the number of processes. A refusal takes
/// less than a millisecond, so a flood keeps few processes busy. The limit within one conversation is exact: see
/// [`ConversationState`](crate::model::state::ConversationState).
#[derive(Debug)]
pub struct RateLimiter {
    limits: RateLimits,
    states: Mutex<HashMap<UserId, RateState>>,
}

impl RateLimiter {
    /// With more users than this, those who have spent nothing are dropped: 10,000 users take about 2 MB.
    const MAX_USERS: usize = 10_000;

    /// A limiter that has seen no message.
    pub fn new(limits: RateLimits) -> Self {
        Self { limits, states: Mutex::default() }
    }

    /// The limits within one conversation. It enforces the one per user across conversations, too.
    pub fn limits(&self) -> RateLimits {
        self.limits
    }

    /// Counts one message of `user`.
    ///
    /// # Errors
    /// As [`RateLimit::spend`].
    pub fn spend(&self, user: &UserId, now: Timestamp) -> Result<(), Error> {
        // A panic while the lock was held leaves a valid map: each entry is one integer.
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.limits.per_user.spend(states.get(user).copied().unwrap_or_default(), now)?;
        if states.len() >= Self::MAX_USERS && !states.contains_key(user) {
            states.retain(|_, state| state.0 > now.as_micros());
            if states.len() >= Self::MAX_USERS {
                states.clear();
            }
        }
        states.insert(user.clone(), state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_793_535_561_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn limit() -> RateLimit {
        RateLimit::new(10, 50)
    }

    /// How many of the messages sent at these times are within the limit.
    fn accepted(limit: RateLimit, times: impl IntoIterator<Item = i64>) -> usize {
        let mut state = RateState::default();
        let accepted = times.into_iter().filter(|&now| match limit.spend(state, at(now)) {
            Ok(next) => {
                state = next;
                true
            }
            Err(_) => false,
        });
        accepted.count()
    }

    #[test]
    fn a_burst_is_accepted_and_then_the_average() {
        assert_eq!(accepted(limit(), [NOW; 200]), 50);
        assert_eq!(accepted(limit(), (0..1_000).map(|number| NOW + number)), 50 + 9);
        assert_eq!(accepted(limit(), (0..1_000).map(|number| NOW + number * 100)), 1_000);
        assert_eq!(accepted(RateLimit::new(3, 1), (0..10_000).map(|number| NOW + number)), 30);
    }

    #[test]
    fn the_refusal_says_when_to_retry() {
        let mut state = RateState::default();
        for _ in 0..50 {
            state = limit().spend(state, at(NOW)).unwrap();
        }
        let refused = limit().spend(state, at(NOW + 20)).unwrap_err();
        assert_eq!(refused.message(), "more than 10 messages a second; send the same frame again in 80 milliseconds");
        assert_eq!(refused.retry_after_ms(), Some(80));
        assert!(limit().spend(state, at(NOW + 99)).is_err());
        assert!(limit().spend(state, at(NOW + 100)).is_ok());
    }

    #[test]
    fn a_state_from_a_wrong_clock_locks_no_user_out() {
        let hours_ahead = limit().spend(RateState::default(), at(NOW + 7_200_000)).unwrap();
        assert_eq!(limit().spend(hours_ahead, at(NOW)).unwrap(), limit().spend(RateState::default(), at(NOW)).unwrap());
        // Events out of order are not a wrong clock.
        let mut state = RateState::default();
        for _ in 0..50 {
            state = limit().spend(state, at(NOW)).unwrap();
        }
        assert!(limit().spend(state, at(NOW - 1_000)).is_err());
    }

    #[test]
    fn each_user_has_a_limit_of_their_own_and_is_dropped_in_the_end() {
        let limit = RateLimit::new(1, 1);
        let limiter = RateLimiter::new(RateLimits { per_user: limit, per_group: limit });
        let user = |number: usize| UserId::try_from(format!("user-{number}")).unwrap();
        for number in 0..RateLimiter::MAX_USERS {
            limiter.spend(&user(number), at(NOW)).unwrap();
        }
        assert!(limiter.spend(&user(0), at(NOW)).is_err());
        limiter.spend(&user(RateLimiter::MAX_USERS), at(NOW + 1_000)).unwrap();
        assert_eq!(limiter.states.lock().unwrap().len(), 1, "after a second, these users have spent nothing");
    }

    proptest! {
        /// In no window are more messages accepted than the burst and the average allow.
        #[test]
        fn no_window_holds_more_than_the_limit(
            (per_second, burst) in (1_u32..=1_000, 1_u32..=100),
            pauses in proptest::collection::vec(0_i64..500, 1..200),
        ) {
            let limit = RateLimit::new(per_second, burst);
            let (mut now, mut state, mut accepted) = (NOW, RateState::default(), Vec::new());
            for pause in pauses {
                now += pause;
                if let Ok(next) = limit.spend(state, at(now)) {
                    state = next;
                    accepted.push(now);
                }
            }
            for (index, from) in accepted.iter().enumerate() {
                for (count, to) in accepted[index..].iter().enumerate() {
                    // The interval is rounded down to whole microseconds.
                    let interval = f64::from(1_000_000 / per_second) / 1_000.0;
                    let most = f64::from(burst) + (to - from) as f64 / interval;
                    prop_assert!((count + 1) as f64 <= most + 1e-6, "{} in {} ms", count + 1, to - from);
                }
            }
        }

        #[test]
        fn no_time_and_no_state_make_it_panic(now: i64, state: i64, per_second in 1_u32..=1_000, burst in 1_u32..=100_000) {
            // Either result is right; the claim is that there is one.
            let _ = RateLimit::new(per_second, burst).spend(RateState(state), at(now));
        }
    }
}
