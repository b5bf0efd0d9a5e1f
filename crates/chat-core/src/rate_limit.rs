//! How fast one user may send.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{error::Error, user::UserId};

/// So many messages a second on average, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    per_second: u32,
    burst: u32,
}

/// What a user has left: until when all is used up that the average gives them, in microseconds since 1970.
///
/// One number says it all (the "theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371): each message
/// moves it on by the average distance of two, a pause lets time catch up with it, and how far it may be ahead of time is
/// the burst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Allowance(i64);

impl RateLimit {
    /// The most messages a second that can be asked for.
    pub const MAX_PER_SECOND: u32 = 1_000;
    /// The most messages at once that can be asked for.
    pub const MAX_BURST: u32 = 100_000;
    /// How far events may overtake each other, in microseconds. What is further ahead of now than a burst and this was
    /// written by a clock that was wrong, and counts as nothing; or its user could not write until that time comes.
    const SLACK: i64 = 60_000_000;

    /// What is 0 or past its maximum is taken as 1 or the maximum.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second.clamp(1, Self::MAX_PER_SECOND), burst: burst.clamp(1, Self::MAX_BURST) }
    }

    /// What is left after one more message, at `now` (milliseconds since 1970).
    ///
    /// # Errors
    /// [`Error::RateLimited`] where nothing was left; it says how long to wait.
    pub fn spend(self, allowance: Allowance, now: i64) -> Result<Allowance, Error> {
        let now = now.saturating_mul(1_000);
        let distance = 1_000_000 / i64::from(self.per_second);
        let ahead = distance * i64::from(self.burst);
        let used = allowance.0.saturating_sub(now);
        let used = if used > ahead + Self::SLACK { 0 } else { used.max(0) };
        let wait = used + distance - ahead;
        if wait > 0 {
            let retry_after = wait.saturating_add(999) / 1_000;
            return Err(Error::RateLimited { per_second: self.per_second, retry_after });
        }
        Ok(Allowance(now.saturating_add(used + distance)))
    }
}

/// Keeps every user to the limit, as far as this process has seen them: before the first call to anywhere, and for
/// messages to anybody, repeats included.
///
/// Other processes see the rest, so a user gets at most as many times the limit as there are processes; a flood that is
/// refused in less than a millisecond keeps few of them busy. What is exact is the limit within one conversation, which
/// [`crate::tally::Tally`] holds.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    allowances: Mutex<HashMap<UserId, Allowance>>,
}

impl RateLimiter {
    /// Past so many users, those are forgotten who have not sent for a while: 10,000 take about 2 MB.
    const MOST_USERS: usize = 10_000;

    /// One that has seen nobody.
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, allowances: Mutex::default() }
    }

    /// What it keeps to.
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Takes one message off what `user` has left, at `now` (milliseconds since 1970).
    ///
    /// # Errors
    /// As [`RateLimit::spend`].
    pub fn spend(&self, user: &UserId, now: i64) -> Result<(), Error> {
        // Whoever panicked left a map of whole numbers.
        let mut allowances = self.allowances.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.limit.spend(allowances.get(user).copied().unwrap_or_default(), now)?;
        if allowances.len() >= Self::MOST_USERS && !allowances.contains_key(user) {
            allowances.retain(|_, allowance| allowance.0 > now.saturating_mul(1_000));
            if allowances.len() >= Self::MOST_USERS {
                allowances.clear();
            }
        }
        allowances.insert(user.clone(), left);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_793_535_561_000;

    fn limit() -> RateLimit {
        RateLimit::new(10, 50)
    }

    /// How many messages of those that come at these times are taken.
    fn taken(limit: RateLimit, times: impl IntoIterator<Item = i64>) -> usize {
        let mut allowance = Allowance::default();
        let spent = times.into_iter().filter(|&now| match limit.spend(allowance, now) {
            Ok(left) => {
                allowance = left;
                true
            }
            Err(_) => false,
        });
        spent.count()
    }

    #[test]
    fn a_burst_is_taken_and_then_the_average() {
        assert_eq!(taken(limit(), [NOW; 200]), 50);
        assert_eq!(taken(limit(), (0..1_000).map(|number| NOW + number)), 50 + 9);
        assert_eq!(taken(limit(), (0..1_000).map(|number| NOW + number * 100)), 1_000);
        assert_eq!(taken(RateLimit::new(3, 1), (0..10_000).map(|number| NOW + number)), 30);
    }

    #[test]
    fn the_refusal_says_when_the_same_may_come_again() {
        let mut allowance = Allowance::default();
        for _ in 0..50 {
            allowance = limit().spend(allowance, NOW).unwrap();
        }
        let refused = limit().spend(allowance, NOW + 20).unwrap_err();
        assert_eq!(refused.message(), "more than 10 messages a second; send the same again in 80 milliseconds");
        assert_eq!(refused.retry_after(), Some(80));
        assert!(limit().spend(allowance, NOW + 99).is_err());
        assert!(limit().spend(allowance, NOW + 100).is_ok());
    }

    #[test]
    fn a_clock_that_was_wrong_locks_nobody_out() {
        let hours_ahead = limit().spend(Allowance::default(), NOW + 7_200_000).unwrap();
        assert_eq!(limit().spend(hours_ahead, NOW).unwrap(), limit().spend(Allowance::default(), NOW).unwrap());
        // Events that overtake each other are no wrong clock.
        let mut allowance = Allowance::default();
        for _ in 0..50 {
            allowance = limit().spend(allowance, NOW).unwrap();
        }
        assert!(limit().spend(allowance, NOW - 1_000).is_err());
    }

    #[test]
    fn users_do_not_share_and_are_forgotten_in_the_end() {
        let limiter = RateLimiter::new(RateLimit::new(1, 1));
        let user = |number: usize| UserId::try_from(format!("user-{number}")).unwrap();
        for number in 0..RateLimiter::MOST_USERS {
            limiter.spend(&user(number), NOW).unwrap();
        }
        assert!(limiter.spend(&user(0), NOW).is_err());
        limiter.spend(&user(RateLimiter::MOST_USERS), NOW + 1_000).unwrap();
        assert_eq!(limiter.allowances.lock().unwrap().len(), 1, "what was used up a second ago is there again");
    }

    proptest! {
        /// Whatever the times, no window holds more than the burst and what the average gives in it.
        #[test]
        fn no_window_holds_more_than_the_limit(
            (per_second, burst) in (1_u32..=1_000, 1_u32..=100),
            pauses in proptest::collection::vec(0_i64..500, 1..200),
        ) {
            let limit = RateLimit::new(per_second, burst);
            let (mut now, mut allowance, mut taken) = (NOW, Allowance::default(), Vec::new());
            for pause in pauses {
                now += pause;
                if let Ok(left) = limit.spend(allowance, now) {
                    allowance = left;
                    taken.push(now);
                }
            }
            for (index, from) in taken.iter().enumerate() {
                for (count, to) in taken[index..].iter().enumerate() {
                    // The distance of two is rounded down to whole microseconds.
                    let distance = f64::from(1_000_000 / per_second) / 1_000.0;
                    let most = f64::from(burst) + (to - from) as f64 / distance;
                    prop_assert!((count + 1) as f64 <= most + 1e-6, "{} in {} ms", count + 1, to - from);
                }
            }
        }

        #[test]
        fn no_time_and_no_allowance_make_it_panic(now: i64, allowance: i64, per_second in 1_u32..=1_000, burst in 1_u32..=100_000) {
            let _ = RateLimit::new(per_second, burst).spend(Allowance(allowance), now);
        }
    }
}
