//! `Step`: one action of a user in a run, and the failures of its attempts.

use proptest::{prelude::*, sample::select};

/// The first two are owners. The last one is not a member at the start.
pub(super) const USERS: [&str; 5] = ["alice", "bob", "carol", "李", "erin"];

/// What a user says about the group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says {
    Nothing,
    LastSeq,
    /// The position of the newest entry that the user holds without a gap, if it has one.
    Position,
    /// The position of an earlier entry.
    OldPosition(u8),
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    /// With an answer.
    Answered,
    /// The answer is lost on its way to the client.
    AnswerLost,
    /// The response to a call of the function is lost, and the SDK repeats the call.
    ResponseLost(u8),
    /// The function is killed while it waits for this call, which takes effect later.
    Killed(u8),
}

/// What a user does. The numbers choose among users, or among the entries that the user knows.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Message,
    Edit(u8),
    Delete(u8),
    React(u8),
    Add(u8),
    Remove(u8),
    Leave,
    Role(u8, &'static str),
    Rename,
    Read,
}

/// One step of a user.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) what: What,
    pub(super) says: Says,
    /// Of the attempts before the last one, which is answered. Each with its process.
    pub(super) attempts: Vec<(Fate, usize)>,
}

pub(super) fn steps() -> impl Strategy<Value = Step> {
    let says = prop_oneof![
        1 => Just(Says::Nothing),
        2 => Just(Says::LastSeq),
        4 => Just(Says::Position),
        2 => any::<u8>().prop_map(Says::OldPosition),
    ];
    let fate = prop_oneof![
        4 => Just(Fate::Answered),
        1 => Just(Fate::AnswerLost),
        1 => (0..5_u8).prop_map(Fate::ResponseLost),
        2 => (0..6_u8).prop_map(Fate::Killed),
    ];
    let what = prop_oneof![
        8 => Just(What::Message),
        1 => any::<u8>().prop_map(What::Edit),
        1 => any::<u8>().prop_map(What::Delete),
        4 => any::<u8>().prop_map(What::React),
        4 => any::<u8>().prop_map(What::Add),
        4 => any::<u8>().prop_map(What::Remove),
        2 => Just(What::Leave),
        1 => (any::<u8>(), select(vec!["member", "admin", "owner"])).prop_map(|(user, role)| What::Role(user, role)),
        1 => Just(What::Rename),
        4 => Just(What::Read),
    ];
    let attempts = proptest::collection::vec((fate, 0..3_usize), 1..3);
    (what, says, attempts).prop_map(|(what, says, attempts)| Step { what, says, attempts })
}
