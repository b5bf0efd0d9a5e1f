//! `Plan`: the devices, messages, changes and faults of one run, all determined by its seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use fastrand::Rng;

use crate::{
    fault::Fault,
    group::{GroupChange, PREFIX, is_group},
};

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
pub struct GroupPlan {
    /// What devices send to: `group:NAME`, and `group:ID` when the group exists.
    pub peer: String,
    pub name: String,
    /// The user who creates it.
    pub owner: String,
    /// The other members at the start.
    pub members: Vec<String>,
    /// The roles of some of them, given with the second entry.
    pub roles: BTreeMap<String, String>,
    pub history: &'static str,
    pub posting: &'static str,
    pub adding: &'static str,
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

/// Builds the devices of a plan.
struct Builder {
    seed: u64,
    rng: Rng,
    /// As in [`Plan`].
    pushes_arrive: bool,
    /// Rate of changes per thousand drafts.
    changes: u32,
    /// The users who are, or may become, members of the group. The first ones lead it.
    crowd: Vec<String>,
    leaders: usize,
    groups: Vec<GroupPlan>,
}

impl Builder {
    fn devices(mut self, has_group: bool) -> (Vec<DevicePlan>, Vec<GroupPlan>) {
        let mut devices = match self.rng.u32(0..10) {
            _ if has_group => self.group(),
            0..=3 => self.pair(1..=2, 1..=4),
            4..=6 => self.pair(2..=4, 1..=2),
            7..=8 => self.star(),
            _ => self.note_to_self(),
        };
        self.share_drafts(&mut devices);
        let sends = devices.iter().flat_map(|device| &device.steps).filter(|(_, step)| matches!(step, Step::Send(..)));
        // A group has two entries more.
        if sends.count() > 20 {
            devices.iter_mut().flat_map(|device| &mut device.steps).for_each(|(_, step)| {
                if let Step::Send(_, draft) = step
                    && draft.id.is_some()
                    && !draft.known.is_enough()
                {
                    draft.known = Known::LastSeq;
                }
            });
        }
        for device in &mut devices {
            self.add_interruptions(device);
        }
        (devices, self.groups)
    }

    /// Two users with some devices each. Each device sends some messages.
    fn pair(&mut self, devices: RangeInclusive<usize>, messages: RangeInclusive<usize>) -> Vec<DevicePlan> {
        let (ann, bob) = (self.user("ann"), self.user("bob"));
        let mut all = Vec::new();
        for (user, peer) in [(&ann, &bob), (&bob, &ann)] {
            for number in 1..=self.rng.usize(devices.clone()) {
                let count = self.rng.usize(messages.clone());
                all.push(self.device(user, number, std::slice::from_ref(peer), count));
            }
        }
        all
    }

    /// One user with several conversations.
    fn star(&mut self) -> Vec<DevicePlan> {
        let ann = self.user("ann");
        let peers: Vec<_> = ["bob", "cem", "dan"][..self.rng.usize(2..=3)].iter().map(|name| self.user(name)).collect();
        let mut all: Vec<_> = (1..=2).map(|number| self.device(&ann, number, &peers, peers.len())).collect();
        for peer in &peers {
            let count = self.rng.usize(1..=2);
            all.push(self.device(peer, 1, std::slice::from_ref(&ann), count));
        }
        all
    }

    /// A group of 3 to 12 users. One or two of them are not members at the start, and one of these is added early, so that
    /// messages precede a membership. In some plans two of the users also write to each other.
    fn group(&mut self) -> Vec<DevicePlan> {
        const NAMES: [&str; 12] = ["ann", "bob", "cem", "dan", "eva", "fay", "gus", "hal", "ina", "jon", "kim", "liv"];
        let count = if self.rng.u32(0..4) == 0 { self.rng.usize(6..=12) } else { self.rng.usize(3..=5) };
        let crowd: Vec<_> = NAMES[..count].iter().map(|name| self.user(name)).collect();
        let name = self.user("group");
        let peer = format!("{PREFIX}{name}");
        let outside = if count > 3 { self.rng.usize(1..=2) } else { 1 };
        let second = if self.rng.bool() { "owner" } else { "admin" };
        let mut choose = |one, other| if self.rng.bool() { one } else { other };
        let (history, adding) = (choose("all", "joined"), choose("all", "admins"));
        self.groups.push(GroupPlan {
            peer: peer.clone(),
            name,
            owner: crowd[0].clone(),
            members: crowd[1..count - outside].to_vec(),
            roles: [(crowd[1].clone(), second.to_owned())].into(),
            history,
            posting: "all",
            adding,
        });
        (self.leaders, self.crowd) = (2, crowd.clone());
        let has_pair = self.rng.u32(0..3) == 0;
        let mut all = Vec::new();
        for (place, user) in crowd.iter().enumerate() {
            let mut peers = vec![peer.clone()];
            peers.extend((has_pair && place < 2).then(|| crowd[1 - place].clone()));
            let devices = if count < 6 && self.rng.u32(0..3) == 0 { 2 } else { 1 };
            for number in 1..=devices {
                let messages = if count < 6 { self.rng.usize(1..=3) } else { 1 };
                let mut device = self.device(user, number, &peers, messages);
                if device.name == format!("{}/1", crowd[0]) {
                    device.steps.insert(1, (self.wait(), Step::Send(peer.clone(), early_addition(&device, &crowd))));
                }
                // At the end, when others may have been added.
                for _ in 0..self.rng.usize(1..=2) {
                    device.steps.push((self.wait(), Step::Repeat(peer.clone())));
                }
                all.push(device);
            }
        }
        all
    }

    /// What a user may want to change in the group. Most changes are about the same users, so that they are removed and added
    /// again.
    fn group_wish(&mut self, user: &str) -> Wish {
        let leads = self.crowd[..self.leaders].iter().any(|leader| leader == user);
        let others: Vec<_> = self.crowd.iter().filter(|other| *other != user).cloned().collect();
        let often = others.len().min(2);
        let among = if self.rng.bool() { often } else { others.len() };
        let other = others[others.len() - 1 - self.rng.usize(..among)].clone();
        let (add, remove) = (
            |user| GroupChange { add: vec![user], ..GroupChange::default() },
            |user| GroupChange { remove: vec![user], ..GroupChange::default() },
        );
        Wish::Group(match self.rng.u32(0..12) {
            0..=3 => add(other),
            4..=7 if leads => remove(other),
            4..=7 => add(other),
            8 | 9 => remove(user.to_owned()),
            10 => {
                let role = ["owner", "admin", "member"][self.rng.usize(..3)];
                GroupChange { roles: [(other, role.to_owned())].into(), ..GroupChange::default() }
            }
            _ if self.rng.bool() => GroupChange { name: Some(self.user("name")), ..GroupChange::default() },
            _ => {
                let posting = if self.rng.bool() { "admins" } else { "all" };
                GroupChange { posting: Some(posting.to_owned()), ..GroupChange::default() }
            }
        })
    }

    /// One user who writes to themselves on several devices.
    fn note_to_self(&mut self) -> Vec<DevicePlan> {
        let ann = self.user("ann");
        let devices = self.rng.usize(2..=3);
        (1..=devices).map(|number| self.device(&ann, number, std::slice::from_ref(&ann), 3)).collect()
    }

    /// A user id that contains the seed, so that a proxy can find the run that a call belongs to.
    fn user(&self, name: &str) -> String {
        format!("~{}~{name}", self.seed)
    }

    fn device(&mut self, user: &str, number: usize, peers: &[String], messages: usize) -> DevicePlan {
        let name = format!("{user}/{number}");
        let patience = if self.rng.u32(0..3) == 0 { self.rng.u64(40..300) } else { 15_000 };
        let mut steps = Vec::new();
        let drafts = if self.changes > 0 || is_group(&peers[0]) { 2 * messages } else { messages };
        for number in 0..drafts {
            let peer = &peers[self.rng.usize(..peers.len())];
            let content = format!("{name} says {number} {}", "x".repeat(self.length()));
            let cut = match self.rng.u32(0..20) {
                0 => Some(Fault::CutInFrame),
                1 => Some(Fault::CutAfterSend),
                _ => None,
            };
            // The first draft gives the others something to change.
            let wish = match number {
                0 => Wish::Message,
                _ if is_group(peer) && self.rng.u32(0..5) < 2 => self.group_wish(user),
                _ => self.wish(),
            };
            // A device that misses the reply to a draft without an id learns of it by the next message.
            let has_id = self.rng.u32(0..12) > 0 || self.pushes_arrive || wish != Wish::Message;
            let id = has_id.then(|| format!("{name} {number}"));
            // A device with several conversations has positions of other ones.
            let wrong = if peers.len() > 1 { 6 } else { 1 };
            let known = match self.rng.u32(0..16) {
                choice if choice < wrong => Known::WrongPosition,
                0..=7 => Known::LastSeq,
                8..=9 => Known::Nothing,
                _ => Known::Position,
            };
            let draft = Draft { id, content, wish, choice: self.rng.usize(..), known, cut };
            steps.push((self.wait(), Step::Send(peer.clone(), draft)));
        }
        let (user, peers, page) = (user.to_owned(), peers.to_vec(), self.rng.u64(2..40));
        let (patience, reads) = (Duration::from_millis(patience), self.rng.bool());
        DevicePlan { user, name, peers, patience, page, reads, storage_failures: 0, steps }
    }

    fn wish(&mut self) -> Wish {
        const REACTIONS: [&str; 3] = ["👍", "❤️", "not an emoji"];
        if self.rng.u32(0..1_000) >= self.changes {
            return if self.rng.u32(0..6) == 0 { Wish::Reply } else { Wish::Message };
        }
        match self.rng.u32(0..20) {
            0..=6 => Wish::Edit,
            7..=9 => Wish::Delete,
            _ => Wish::React { reaction: REACTIONS[self.rng.usize(..REACTIONS.len())], on: self.rng.u32(0..3) > 0 },
        }
    }

    /// Length of a message. Most are short.
    fn length(&mut self) -> usize {
        if self.rng.u32(0..10) == 0 { self.rng.usize(..2_000) } else { self.rng.usize(..20) }
    }

    fn wait(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(0..100))
    }

    /// Makes two devices of a user send the same drafts. Each draft must be stored once.
    fn share_drafts(&mut self, devices: &mut [DevicePlan]) {
        for one in 0..devices.len() {
            let other =
                devices.iter().rposition(|device| device.user == devices[one].user).filter(|&other| other > one);
            let (Some(other), 0) = (other, self.rng.u32(0..3)) else { continue };
            let shared: Vec<_> = devices[one].steps.iter().filter(|(_, step)| is_repeatable(step)).cloned().collect();
            let at = self.rng.usize(..=devices[other].steps.len());
            devices[other].steps.splice(at..at, shared);
        }
    }

    fn add_interruptions(&mut self, device: &mut DevicePlan) {
        let interruptions = if self.pushes_arrive { 3..=8 } else { 0..=2 };
        for _ in 0..self.rng.usize(interruptions) {
            let step = match self.rng.u32(0..4) {
                0 => Step::Away(Duration::from_millis(self.rng.u64(10..400))),
                _ => Step::Cut,
            };
            let at = self.rng.usize(..=device.steps.len());
            device.steps.insert(at, (self.wait(), step));
        }
        // The first device of each user never retires, so that the checker has a view.
        if !device.name.ends_with("/1") && self.rng.u32(0..10) == 0 {
            device.steps.push((self.wait(), Step::Retire));
        }
    }
}

/// The addition of a user who is not a member at the start.
fn early_addition(device: &DevicePlan, crowd: &[String]) -> Draft {
    let change = GroupChange { add: crowd.last().cloned().into_iter().collect(), ..GroupChange::default() };
    Draft { wish: Wish::Group(change), ..Draft::message(format!("{} adds a member", device.name), Known::Position) }
}

/// Whether a draft may be sent twice.
fn is_repeatable(step: &Step) -> bool {
    matches!(step, Step::Send(_, draft) if draft.id.is_some() && draft.known.is_enough())
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
