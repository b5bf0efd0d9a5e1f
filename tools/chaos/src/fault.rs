//! What can go wrong, by kind.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// DynamoDB does the call, and the answer never arrives.
    AnswerLost,
    /// DynamoDB refuses with a `ThrottlingException`.
    Throttled,
    /// DynamoDB fails with a 500.
    ServerError,
    /// DynamoDB answers late, but in time.
    Slow,
    /// DynamoDB never does the call and never answers.
    Unanswered,
    /// DynamoDB does the call when nobody waits for it any more.
    AppliedLate,
    /// The function is killed before its call is done.
    KilledBefore,
    /// The function is killed when its call is done, before it hears of it.
    KilledAfter,
    /// The function is stopped in the middle of its call, and goes on later.
    Paused,
    /// The function is stopped for so long that its time is up.
    TimedOut,
    /// A cold start that takes long.
    SlowStart,
    /// `@connections` says 410 of a connection that lives.
    PushGone,
    /// `@connections` says 429.
    PushThrottled,
    /// `@connections` says 500.
    PushFailed,
    /// `@connections` answers late.
    PushSlow,
    /// `@connections` never answers.
    PushUnanswered,
    /// `@connections` pushes, and the answer never arrives.
    PushAnswerLost,
    /// The `$disconnect` of a connection never comes.
    DisconnectLost,
    /// A client's socket is cut in the middle of a frame.
    CutInFrame,
    /// A client's socket is cut right after a send, whose answer it never gets.
    CutAfterSend,
    /// A client's socket is cut at any other moment.
    Cut,
    /// A client sends again while its first attempt still runs.
    Repeated,
    /// A client goes for good, with messages that nobody acknowledged.
    Retired,
}

impl Fault {
    /// Those that a call to DynamoDB may meet, and in how many of a thousand calls where a plan has them, at the most.
    pub const OF_DYNAMODB: [(Self, u32); 10] = [
        (Self::AnswerLost, 150),
        (Self::Throttled, 150),
        (Self::ServerError, 150),
        (Self::Slow, 250),
        (Self::Unanswered, 20),
        (Self::AppliedLate, 25),
        (Self::KilledBefore, 40),
        (Self::KilledAfter, 60),
        (Self::Paused, 60),
        (Self::TimedOut, 60),
    ];
    /// Those that a push may meet, in the same way.
    pub const OF_PUSHES: [(Self, u32); 9] = [
        (Self::PushGone, 150),
        (Self::PushThrottled, 200),
        (Self::PushFailed, 200),
        (Self::PushSlow, 150),
        (Self::PushUnanswered, 60),
        (Self::PushAnswerLost, 150),
        (Self::KilledBefore, 40),
        (Self::KilledAfter, 60),
        (Self::Paused, 60),
    ];

    /// How often it may strike in one run: what costs seconds, or a process, is dosed.
    pub fn most(self) -> usize {
        match self {
            Self::TimedOut => 1,
            Self::Unanswered | Self::AppliedLate => 2,
            Self::PushUnanswered | Self::Paused => 4,
            Self::KilledBefore | Self::KilledAfter => 2,
            _ => usize::MAX,
        }
    }
}

/// How often each kind has struck.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<Fault, usize>>);

impl Counts {
    /// Counts one, and says the how many-th of its kind it is.
    pub fn add(&self, fault: Fault) -> usize {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(fault).or_default();
        *count += 1;
        *count
    }

    /// How often this kind has struck.
    pub fn of(&self, fault: Fault) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&fault).copied().unwrap_or_default()
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<Fault, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
