//! `Builder`: makes the devices of a plan and their steps.

use std::{ops::RangeInclusive, time::Duration};

use fastrand::Rng;

use crate::{fault::Fault, group::is_group};

use super::{DevicePlan, Draft, GroupPlan, Known, Step, Wish};

/// Builds the devices of a plan.
pub(super) struct Builder {
    pub(super) seed: u64,
    pub(super) rng: Rng,
    /// As in [`Plan`].
    pub(super) pushes_arrive: bool,
    /// Rate of changes per thousand drafts.
    pub(super) changes: u32,
    /// The users who are, or may become, members of the group. The first ones lead it.
    pub(super) crowd: Vec<String>,
    pub(super) leaders: usize,
    pub(super) groups: Vec<GroupPlan>,
}

impl Builder {
    pub(super) fn devices(mut self, has_group: bool) -> (Vec<DevicePlan>, Vec<GroupPlan>) {
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

    /// One user who writes to themselves on several devices.
    fn note_to_self(&mut self) -> Vec<DevicePlan> {
        let ann = self.user("ann");
        let devices = self.rng.usize(2..=3);
        (1..=devices).map(|number| self.device(&ann, number, std::slice::from_ref(&ann), 3)).collect()
    }

    /// A user id that contains the seed, so that a proxy can find the run that a call belongs to.
    pub(super) fn user(&self, name: &str) -> String {
        format!("~{}~{name}", self.seed)
    }

    pub(super) fn device(&mut self, user: &str, number: usize, peers: &[String], messages: usize) -> DevicePlan {
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

    pub(super) fn wait(&mut self) -> Duration {
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

/// Whether a draft may be sent twice.
fn is_repeatable(step: &Step) -> bool {
    matches!(step, Step::Send(_, draft) if draft.id.is_some() && draft.known.is_enough())
}
