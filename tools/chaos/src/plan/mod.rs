//! `Plan`: the devices, messages, changes and faults of one run, all determined by its seed.

mod builder;
mod group;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fastrand::Rng;

use crate::{
    fault::Fault,
    group::{GroupChange, PREFIX, is_group},
};

use self::builder::Builder;

pub use self::group::GroupPlan;

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// The devices of all users.
    pub devices: Vec<DevicePlan>,
    /// The groups, which exist before the devices begin.
    pub groups: Vec<GroupPlan>,
    /// Rate of each fault per thousand calls. Each run uses only some of the faults, because some
    /// faults hide the effects of others (Groce et al., "Swarm Testing").
    pub rates: BTreeMap<Fault, u32>,
    /// Whether each call is delayed by a few milliseconds, to vary the order of concurrent calls.
    pub jitter: bool,
    /// Whether connections appear an hour old, so that a 410 removes them.
    pub aged: bool,
    /// Whether no fault loses a push. Then each connected device must get every message without a further one.
    pub pushes_arrive: bool,
    /// Whether the devices of a user are tabs of one browser. Only for runs with `web/chat-client.js`.
    pub tabs: bool,
    /// When the key of positions changes, if it does, counted from the start of the run.
    pub key_change: Option<Duration>,
    /// Whether the messages are restored to an earlier point in time at the end. Only for runs with `web/chat-client.js`.
    pub restores: bool,
}

#[derive(Debug, Clone)]
pub struct DevicePlan {
    pub user: String,
    /// Name in the log: `USER/NUMBER`.
    pub name: String,
    /// The other member of each of its conversations, or the group.
    pub peers: Vec<String>,
    /// How long the device waits for a reply before it repeats a send.
    pub patience: Duration,
    /// `limit` in its page requests.
    pub page: u64,
    /// Whether the device marks what it receives as read.
    pub reads: bool,
    /// Rate per thousand at which calls of the browser's storage fail. Only for devices with `web/chat-client.js`.
    pub storage_failures: u32,
    /// Its steps in order, each with the time to wait before it.
    pub steps: Vec<(Duration, Step)>,
}

#[derive(Debug, Clone)]
pub enum Step {
    /// Send a message to this peer or group.
    Send(String, Draft),
    /// Send an acknowledged entry in this group again, as a client does that has lost the acknowledgement.
    Repeat(String),
    /// Lose the connection.
    Cut,
    /// Stay disconnected for this duration.
    Away(Duration),
    /// Stop for good.
    Retire,
}

/// A message to send, or a change of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// `clientMessageId`. A draft without one is a message that is sent only once.
    pub id: Option<String>,
    /// Unique in the run, except for copies of this draft on other devices.
    pub content: String,
    pub wish: Wish,
    /// Chooses among the messages that the device knows.
    pub choice: usize,
    /// What the device says about the conversation.
    pub known: Known,
    /// Where to cut the connection at the first attempt, if at all.
    pub cut: Option<Fault>,
}

impl Draft {
    /// A message that is sent until it is acknowledged.
    pub fn message(content: String, known: Known) -> Self {
        Self { id: Some(content.clone()), content, wish: Wish::Message, choice: 0, known, cut: None }
    }
}

/// What a device wants to do. If it knows no message with which it can do that, it sends a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Message,
    /// A message that replies to an entry and mentions both users.
    Reply,
    /// Replace the content of a message of its user.
    Edit,
    /// Delete a message of its user.
    Delete,
    /// Add a reaction to a message, or remove it.
    React {
        reaction: &'static str,
        on: bool,
    },
    /// Change the group.
    Group(GroupChange),
}

/// What a device says about a conversation when it sends a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Nothing,
    /// The newest sequence number up to which it holds every message.
    LastSeq,
    /// The position of that message, or else its sequence number.
    Position,
    /// A position that proves nothing: one of another conversation, or a damaged one.
    WrongPosition,
}

impl Known {
    /// Whether the service finds every earlier attempt at the draft. Otherwise it looks among the newest 25 messages only.
    pub fn is_enough(self) -> bool {
        matches!(self, Self::LastSeq | Self::Position)
    }
}

impl Plan {
    /// The plan of this seed, for devices that speak the protocol themselves. Half of the plans have a group.
    pub fn new(seed: u64) -> Self {
        let has_group = Rng::with_seed(seed.wrapping_mul(0x2545_F491_4F6C_DD1D)).bool();
        let mut rng = Rng::with_seed(seed);
        let mut rates = BTreeMap::new();
        for (fault, highest) in Fault::OF_DYNAMODB.into_iter().chain(Fault::OF_PUSHES) {
            // This fault is rare, because a function takes ten seconds to time out.
            let is_chosen = match fault {
                Fault::TimedOut => rng.u32(0..40) == 0,
                // This one needs a change of a group, which most runs have only a few of.
                Fault::TornWrite => rng.u32(0..4) > 0,
                _ => rng.bool(),
            };
            if is_chosen {
                rates.insert(fault, rng.u32(highest / 5..=highest));
            }
        }
        if rng.bool() {
            rates.insert(Fault::DisconnectLost, rng.u32(200..=1_000));
        }
        let changes = [0, 400, 600, 800][rng.usize(0..4)];
        let (jitter, aged) = (rng.bool(), rng.bool());
        let pushes_arrive = rng.u32(0..6) == 0;
        if pushes_arrive {
            let late = rng.u32(0..=300);
            rates =
                BTreeMap::from([(Fault::Slow, 300), (Fault::AnswerLate, late), (Fault::Conflict, rng.u32(0..=250))]);
            rates.extend([(Fault::TornWrite, 500), (Fault::Unprocessed, 200)]);
        }
        let key_change = (rng.u32(0..8) == 0).then(|| Duration::from_millis(rng.u64(0..1_000)));
        let builder = Builder { seed, rng, pushes_arrive, changes, crowd: Vec::new(), leaders: 0, groups: Vec::new() };
        let (devices, groups) = builder.devices(has_group);
        Self { seed, devices, groups, rates, jitter, aged, key_change, pushes_arrive, tabs: false, restores: false }
    }

    /// Adapts the plan to devices that run `web/chat-client.js`. The module chooses each
    /// `clientMessageId` and always says what it holds, so two devices can't send the same draft,
    /// except as tabs that share an outbox. The module waits longer after a failure, so the waits
    /// before all steps are longer.
    pub fn for_module(mut self) -> Self {
        let mut contents = BTreeSet::new();
        let mut rng = self.rng("storage", 0);
        for device in &mut self.devices {
            if rng.bool() {
                device.storage_failures = rng.u32(20..=200);
            }
            device.steps.retain_mut(|(wait, step)| {
                *wait *= 5;
                let Step::Send(_, draft) = step else { return true };
                draft.id.get_or_insert_with(|| draft.content.clone());
                draft.known = Known::Position;
                contents.insert(draft.content.clone())
            });
        }
        self.tabs = self.seed.is_multiple_of(3);
        // A group's members are in another table, which is not restored.
        self.restores = self.groups.is_empty() && self.seed.is_multiple_of(2);
        self
    }

    /// The fault for the `number`-th call of this kind, if any. It depends only on the plan, not on
    /// other events in the run.
    pub fn fault(&self, kind: &str, number: u64, faults: &[(Fault, u32)]) -> Option<Fault> {
        let mut rng = self.rng(kind, number);
        faults.iter().map(|(fault, _)| *fault).find(|fault| rng.u32(0..1_000) < self.rate(*fault))
    }

    /// Rate per thousand calls.
    pub fn rate(&self, fault: Fault) -> u32 {
        self.rates.get(&fault).copied().unwrap_or_default()
    }

    /// Random numbers for the `number`-th event of a kind, the same in every run of the seed.
    pub fn rng(&self, kind: &str, number: u64) -> Rng {
        let kind = kind.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Rng::with_seed(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ kind.rotate_left(32) ^ number)
    }

    /// Replaces the names of groups by their ids, which are known when the groups exist.
    pub fn resolve(&mut self, ids: &BTreeMap<String, String>) {
        let replace = |peer: &mut String| {
            if let Some(id) = ids.get(peer) {
                *peer = format!("{PREFIX}{id}");
            }
        };
        self.groups.iter_mut().for_each(|group| replace(&mut group.peer));
        for device in &mut self.devices {
            device.peers.iter_mut().for_each(replace);
            for (_, step) in &mut device.steps {
                if let Step::Send(peer, _) | Step::Repeat(peer) = step {
                    replace(peer);
                }
            }
        }
    }

    /// The two users of each direct conversation, sorted.
    pub fn conversations(&self) -> Vec<(String, String)> {
        let pair = |user: &String, peer: &String| (user.min(peer).clone(), user.max(peer).clone());
        let all = self.devices.iter().flat_map(|device| device.peers.iter().map(|peer| pair(&device.user, peer)));
        let mut all: Vec<_> = all.filter(|(_, other)| !is_group(other)).filter(|(one, _)| !is_group(one)).collect();
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_plan() {
        for seed in 0..200 {
            assert_eq!(format!("{:?}", Plan::new(seed)), format!("{:?}", Plan::new(seed)));
        }
    }

    #[test]
    fn the_plans_of_two_hundred_seeds_contain_every_fault() {
        let plans: Vec<_> = (0..200).map(Plan::new).collect();
        for (fault, _) in Fault::OF_DYNAMODB.into_iter().chain(Fault::OF_PUSHES) {
            assert!(plans.iter().any(|plan| plan.rate(fault) > 0), "{fault:?}");
            assert!(plans.iter().any(|plan| plan.rate(fault) == 0), "{fault:?}");
        }
    }

    #[test]
    fn half_of_the_plans_have_a_group_whose_members_are_removed_and_added() {
        let plans: Vec<_> = (0..300).map(Plan::new).filter(|plan| !plan.groups.is_empty()).collect();
        assert!((120..180).contains(&plans.len()), "{}", plans.len());
        let steps = plans.iter().flat_map(|plan| &plan.devices).flat_map(|device| &device.steps);
        let changes = steps.filter_map(|(_, step)| match step {
            Step::Send(peer, Draft { wish: Wish::Group(change), .. }) if is_group(peer) => Some(change),
            _ => None,
        });
        let changes: Vec<_> = changes.collect();
        assert!(changes.iter().filter(|change| !change.add.is_empty()).count() > 50);
        assert!(changes.iter().filter(|change| !change.remove.is_empty()).count() > 50);
        for GroupPlan { owner, members, .. } in plans.iter().flat_map(|plan| &plan.groups) {
            assert!(changes.iter().any(|change| {
                let added = change.add.iter().filter(|user| !members.contains(user) && *user != owner);
                added.filter(|user| user.split('~').nth(1) == owner.split('~').nth(1)).count() == 1
            }));
        }
    }

    #[test]
    fn a_quarter_of_the_plans_for_the_module_have_no_group_and_restore_the_messages() {
        let plans: Vec<_> = (0..300).map(|seed| Plan::new(seed).for_module()).filter(|plan| plan.restores).collect();
        assert!((60..90).contains(&plans.len()), "{}", plans.len());
        assert!(plans.iter().all(|plan| plan.groups.is_empty()));
    }

    #[test]
    fn some_plans_have_changes_of_every_kind_and_some_have_none() {
        let wishes = |seed| {
            let steps = Plan::new(seed).devices.into_iter().flat_map(|device| device.steps);
            let wishes = steps.filter_map(|(_, step)| match step {
                Step::Send(_, draft) => Some(draft.wish),
                _ => None,
            });
            wishes.collect::<Vec<_>>()
        };
        let is_change = |wish: &Wish| !matches!(wish, Wish::Message | Wish::Reply | Wish::Group(_));
        let plans: Vec<_> = (0..50).map(wishes).collect();
        assert!(plans.iter().any(|wishes| !wishes.iter().any(is_change)));
        let all = plans.concat();
        assert!(all.contains(&Wish::Reply) && all.contains(&Wish::Edit) && all.contains(&Wish::Delete));
        for expected in [true, false] {
            assert!(all.iter().any(|wish| matches!(wish, Wish::React { on, .. } if *on == expected)));
        }
    }
}
