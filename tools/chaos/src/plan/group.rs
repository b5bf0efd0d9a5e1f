//! `GroupPlan`: a group of a plan, and what its users do.

use std::collections::BTreeMap;

use crate::group::{GroupChange, PREFIX};

use super::{DevicePlan, Draft, Known, Step, Wish, builder::Builder};

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

impl Builder {
    /// A group of 3 to 12 users. One or two of them are not members at the start, and one of these is added early, so that
    /// messages precede a membership. In some plans two of the users also write to each other.
    pub(super) fn group(&mut self) -> Vec<DevicePlan> {
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
    pub(super) fn group_wish(&mut self, user: &str) -> Wish {
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
}

/// The addition of a user who is not a member at the start.
fn early_addition(device: &DevicePlan, crowd: &[String]) -> Draft {
    let change = GroupChange { add: crowd.last().cloned().into_iter().collect(), ..GroupChange::default() };
    Draft { wish: Wish::Group(change), ..Draft::message(format!("{} adds a member", device.name), Known::Position) }
}
