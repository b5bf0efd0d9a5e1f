//! `Fault`: the kinds of faults, with their rates and limits.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use chat_client::Cut;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// DynamoDB carries out the call, and the response is lost.
    AnswerLost,
    /// DynamoDB responds with a `ThrottlingException`, or cancels the transaction for that reason.
    Throttled,
    /// DynamoDB refuses the write, or cancels the transaction, because another transaction uses the item.
    Conflict,
    /// A transaction is carried out between the reads of the first and of the last items of a query. DynamoDB isolates
    /// transactions from each item that a query reads, and not from the query as a whole.
    TornRead,
    /// While DynamoDB applies a transaction that changes a group, each read of its members sees each item before or after it.
    /// The response to the transaction comes when all of them are new.
    TornWrite,
    /// DynamoDB leaves a part of a batch of writes for another call.
    Unprocessed,
    /// DynamoDB responds with status 500.
    ServerError,
    /// DynamoDB carries out the call and responds late, but before the client's timeout.
    Slow,
    /// DynamoDB carries out the call at once, and responds late, but before the client's timeout.
    AnswerLate,
    /// DynamoDB neither carries out the call nor responds.
    Unanswered,
    /// DynamoDB carries out the call after the client's timeout.
    AppliedLate,
    /// The function's process is killed before the call is carried out.
    KilledBefore,
    /// The function's process is killed after the call is carried out, before the response.
    KilledAfter,
    /// The function's process is stopped during its call and continued later.
    Paused,
    /// The function's process is stopped until the function times out.
    TimedOut,
    /// A cold start takes longer.
    SlowStart,
    /// `@connections` responds with 410 for an open connection.
    PushGone,
    /// `@connections` responds with 429.
    PushThrottled,
    /// `@connections` responds with 500.
    PushFailed,
    /// `@connections` responds late.
    PushSlow,
    /// `@connections` neither pushes nor responds.
    PushUnanswered,
    /// `@connections` pushes, and the response is lost.
    PushAnswerLost,
    /// The `$disconnect` event of a connection is lost.
    DisconnectLost,
    /// A client's socket is cut inside a frame.
    CutInFrame,
    /// A client's socket is cut after a send, before the reply arrives.
    CutAfterSend,
    /// A client's socket is cut at any other time.
    Cut,
    /// A client repeats a send while its first attempt is still running.
    Repeated,
    /// A client stops for good, with unacknowledged messages.
    Retired,
}

impl Fault {
    /// Faults of calls to DynamoDB, each with its highest rate per thousand calls.
    pub const OF_DYNAMODB: [(Self, u32); 15] = [
        (Self::TornWrite, 900),
        (Self::AnswerLost, 150),
        (Self::Throttled, 150),
        (Self::Conflict, 250),
        (Self::TornRead, 250),
        (Self::Unprocessed, 300),
        (Self::ServerError, 150),
        (Self::Slow, 250),
        (Self::AnswerLate, 200),
        (Self::Unanswered, 20),
        (Self::AppliedLate, 25),
        (Self::KilledBefore, 40),
        (Self::KilledAfter, 60),
        (Self::Paused, 60),
        (Self::TimedOut, 60),
    ];
    /// Faults of pushes, each with its highest rate per thousand calls.
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

    /// Whether the fault can strike this kind of call to DynamoDB.
    pub fn can_strike(self, kind: &str) -> bool {
        match self {
            Self::Conflict => ["Put", "Change", "Group"].contains(&kind),
            Self::TornRead => ["Page", "Members"].contains(&kind),
            Self::TornWrite => kind == "Group",
            Self::Unprocessed => kind == "Listings",
            _ => true,
        }
    }

    /// Where a fault of a client's socket cuts it.
    pub fn as_cut(self) -> Cut {
        if self == Self::CutInFrame { Cut::InsideFrame } else { Cut::AfterFrame }
    }

    /// How many times a run may inject this fault. Faults that take seconds or kill a process are
    /// limited.
    pub fn limit_per_run(self) -> usize {
        match self {
            Self::TimedOut => 1,
            Self::Unanswered | Self::AppliedLate => 2,
            Self::PushUnanswered | Self::Paused => 4,
            Self::KilledBefore | Self::KilledAfter => 2,
            _ => usize::MAX,
        }
    }
}

/// Number of injected faults by kind.
#[derive(Debug, Default)]
pub struct FaultCounts(Mutex<BTreeMap<Fault, usize>>);

impl FaultCounts {
    pub fn add(&self, fault: Fault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(fault).or_default() += 1;
    }

    pub fn count(&self, fault: Fault) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&fault).copied().unwrap_or_default()
    }

    pub fn all(&self) -> BTreeMap<Fault, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
