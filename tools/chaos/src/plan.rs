//! What happens in one run: who says what to whom, and which faults strike. All of it comes from the seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fastrand::Rng;

use crate::fault::Fault;

/// A run, as its seed has it.
#[derive(Debug)]
pub struct Plan {
    /// Where all of it comes from.
    pub seed: u64,
    /// Everybody's devices.
    pub devices: Vec<DevicePlan>,
    /// In how many of a thousand calls each kind strikes. Each run has only some kinds (Groce et al., "Swarm Testing"):
    /// where all strike at once, each hides what another would have shown.
    pub rates: BTreeMap<Fault, u32>,
    /// Whether every call takes a few milliseconds more or less, which mixes the order of things.
    pub jitter: bool,
    /// Whether connections count as an hour old, so that a 410 removes them.
    pub aged: bool,
    /// Whether the devices of a user are tabs of one browser, where their client is the module.
    pub tabs: bool,
}

/// One device.
#[derive(Debug, Clone)]
pub struct DevicePlan {
    /// Whose it is.
    pub user: String,
    /// What a log calls it.
    pub name: String,
    /// With whom it talks.
    pub peers: Vec<String>,
    /// How long it waits for an answer before it sends again.
    pub patience: Duration,
    /// How many messages it asks for at once.
    pub page: u64,
    /// What it does, one after the other.
    pub steps: Vec<(Duration, Step)>,
}

/// Something that a device does.
#[derive(Debug, Clone)]
pub enum Step {
    /// It has something to say to this peer.
    Say(String, Draft),
    /// Its socket is cut.
    Cut,
    /// It goes away for so long.
    Away(Duration),
    /// It goes for good.
    Retire,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its `clientMessageId`; a client without sends it only once.
    pub id: Option<String>,
    /// No other message has the same.
    pub content: String,
    /// Whether the client says what it has seen.
    pub with_last_seq: bool,
    /// What happens to the socket at the first attempt.
    pub cut: Option<Fault>,
}

impl Plan {
    /// The run of this seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut rates = BTreeMap::new();
        for (fault, most) in Fault::OF_DYNAMODB.into_iter().chain(Fault::OF_PUSHES) {
            // A function whose time is up costs ten seconds.
            let has_it = if fault == Fault::TimedOut { rng.u32(0..40) == 0 } else { rng.bool() };
            if has_it {
                rates.insert(fault, rng.u32(most / 5..=most));
            }
        }
        if rng.bool() {
            rates.insert(Fault::DisconnectLost, rng.u32(200..=1_000));
        }
        let (jitter, aged) = (rng.bool(), rng.bool());
        let devices = Writer { seed, rng }.devices();
        Self { seed, devices, rates, jitter, aged, tabs: false }
    }

    /// The same with devices whose client is the module. It names each message itself, and always says what it has seen;
    /// so no two devices can send the same one, but as tabs that share an outbox. It waits for longer after a failure than
    /// the harness's own client, so everything takes longer.
    pub fn for_module(mut self) -> Self {
        let mut said = BTreeSet::new();
        for device in &mut self.devices {
            device.steps.retain_mut(|(wait, step)| {
                *wait *= 5;
                let Step::Say(_, draft) = step else { return true };
                draft.id.get_or_insert_with(|| draft.content.clone());
                draft.with_last_seq = true;
                said.insert(draft.content.clone())
            });
        }
        self.tabs = self.seed.is_multiple_of(3);
        self
    }

    /// What strikes the `number`-th call of this kind. It does not lean on what else happens meanwhile.
    pub fn fault(&self, kind: &str, number: u64, faults: &[(Fault, u32)]) -> Option<Fault> {
        let mut rng = self.rng(kind, number);
        faults.iter().map(|(fault, _)| *fault).find(|fault| rng.u32(0..1_000) < self.rate(*fault))
    }

    /// Of a thousand.
    pub fn rate(&self, fault: Fault) -> u32 {
        self.rates.get(&fault).copied().unwrap_or_default()
    }

    /// Numbers for the `number`-th thing of a kind, the same in every run of the seed.
    pub fn rng(&self, kind: &str, number: u64) -> Rng {
        let kind = kind.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Rng::with_seed(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ kind.rotate_left(32) ^ number)
    }

    /// The conversations that there may be, by the two who have them.
    pub fn conversations(&self) -> Vec<(String, String)> {
        let pair = |user: &String, peer: &String| (user.min(peer).clone(), user.max(peer).clone());
        let all = self.devices.iter().flat_map(|device| device.peers.iter().map(|peer| pair(&device.user, peer)));
        let mut all: Vec<_> = all.collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Makes the devices of a plan.
struct Writer {
    seed: u64,
    rng: Rng,
}

impl Writer {
    fn devices(mut self) -> Vec<DevicePlan> {
        let mut devices = match self.rng.u32(0..10) {
            0..=3 => self.pair(1..=2, 1..=4),
            4..=6 => self.pair(2..=4, 1..=2),
            7..=8 => self.star(),
            _ => self.note_to_self(),
        };
        self.twins(&mut devices);
        let said = devices.iter().flat_map(|device| &device.steps).filter(|(_, step)| matches!(step, Step::Say(..)));
        // Of a client that doesn't say what it has seen, the service looks for repeats among the newest 25 only.
        if said.count() > 20 {
            devices.iter_mut().flat_map(|device| &mut device.steps).for_each(|(_, step)| {
                if let Step::Say(_, draft) = step {
                    draft.with_last_seq = draft.id.is_some();
                }
            });
        }
        for device in &mut devices {
            self.inject(device);
        }
        devices
    }

    /// Two people with some devices each, each of which says some messages.
    fn pair(
        &mut self,
        devices: std::ops::RangeInclusive<usize>,
        messages: std::ops::RangeInclusive<usize>,
    ) -> Vec<DevicePlan> {
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

    /// One sender in many conversations.
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

    fn note_to_self(&mut self) -> Vec<DevicePlan> {
        let ann = self.user("ann");
        let devices = self.rng.usize(2..=3);
        (1..=devices).map(|number| self.device(&ann, number, std::slice::from_ref(&ann), 3)).collect()
    }

    /// A name that tells the run, so that a proxy knows whose call it sees.
    fn user(&self, name: &str) -> String {
        format!("~{}~{name}", self.seed)
    }

    fn device(&mut self, user: &str, number: usize, peers: &[String], messages: usize) -> DevicePlan {
        let name = format!("{user}/{number}");
        let patience = if self.rng.u32(0..3) == 0 { self.rng.u64(40..300) } else { 15_000 };
        let mut steps = Vec::new();
        for number in 0..messages {
            let peer = &peers[self.rng.usize(..peers.len())];
            let content = format!("{name} says {number} {}", "x".repeat(self.length()));
            let cut = match self.rng.u32(0..20) {
                0 => Some(Fault::CutInFrame),
                1 => Some(Fault::CutAfterSend),
                _ => None,
            };
            let id = (self.rng.u32(0..12) > 0).then(|| format!("{name} {number}"));
            let with_last_seq = id.is_some() && self.rng.u32(0..8) > 0;
            let draft = Draft { id, content, with_last_seq, cut };
            steps.push((self.wait(), Step::Say(peer.clone(), draft)));
        }
        let (user, peers, page) = (user.to_owned(), peers.to_vec(), self.rng.u64(2..40));
        DevicePlan { user, name, peers, patience: Duration::from_millis(patience), page, steps }
    }

    /// Most are short.
    fn length(&mut self) -> usize {
        if self.rng.u32(0..10) == 0 { self.rng.usize(..2_000) } else { self.rng.usize(..20) }
    }

    fn wait(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(0..100))
    }

    /// Lets two devices of one user send the same message, which is one and must stay one.
    fn twins(&mut self, devices: &mut [DevicePlan]) {
        for one in 0..devices.len() {
            let other =
                devices.iter().rposition(|device| device.user == devices[one].user).filter(|&other| other > one);
            let (Some(other), 0) = (other, self.rng.u32(0..3)) else { continue };
            let shared: Vec<_> = devices[one].steps.iter().filter(|(_, step)| is_repeatable(step)).cloned().collect();
            let at = self.rng.usize(..=devices[other].steps.len());
            devices[other].steps.splice(at..at, shared);
        }
    }

    fn inject(&mut self, device: &mut DevicePlan) {
        for _ in 0..self.rng.usize(0..=2) {
            let step = match self.rng.u32(0..4) {
                0 => Step::Away(Duration::from_millis(self.rng.u64(10..400))),
                _ => Step::Cut,
            };
            let at = self.rng.usize(..=device.steps.len());
            device.steps.insert(at, (self.wait(), step));
        }
        // The first of a user's stays: somebody must be there to look in the end.
        if !device.name.ends_with("/1") && self.rng.u32(0..10) == 0 {
            device.steps.push((self.wait(), Step::Retire));
        }
    }
}

/// Only a message with an id may be sent twice.
fn is_repeatable(step: &Step) -> bool {
    matches!(step, Step::Say(_, draft) if draft.id.is_some() && draft.with_last_seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_plan_again() {
        for seed in 0..200 {
            assert_eq!(format!("{:?}", Plan::new(seed)), format!("{:?}", Plan::new(seed)));
        }
    }

    #[test]
    fn the_plans_of_two_hundred_seeds_hold_every_fault() {
        let plans: Vec<_> = (0..200).map(Plan::new).collect();
        for (fault, _) in Fault::OF_DYNAMODB.into_iter().chain(Fault::OF_PUSHES) {
            assert!(plans.iter().any(|plan| plan.rate(fault) > 0), "{fault:?}");
            assert!(plans.iter().any(|plan| plan.rate(fault) == 0), "{fault:?}");
        }
    }
}
