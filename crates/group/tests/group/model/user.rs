//! `User`: a user of a run, who sends requests and keeps what they learn of the group.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    plan::{Fate, Says, Step, USERS, What},
    world::{FIRST_MESSAGE, PROCESSES, World},
};
use crate::seqs;

/// A request and its answers.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) frame: Value,
    pub(super) answers: Vec<Value>,
}

/// A user, and what they hold of the group.
pub(super) struct User<'w> {
    world: &'w World,
    pub(super) name: &'static str,
    number: usize,
    /// The newest entry up to which the user holds all that they may read.
    high: u64,
    known: Vec<u64>,
    positions: BTreeMap<u64, Value>,
    pub(super) asked: Vec<Asked>,
    /// Every page that the user got.
    pub(super) pages: Vec<Value>,
}

impl<'w> User<'w> {
    pub(super) fn new(world: &'w World, number: usize) -> Self {
        let name = USERS[number];
        Self {
            world,
            name,
            number,
            high: 0,
            known: vec![1, FIRST_MESSAGE],
            positions: BTreeMap::new(),
            asked: Vec::new(),
            pages: Vec::new(),
        }
    }

    pub(super) async fn run(&mut self, steps: &[Step]) {
        for (index, step) in steps.iter().enumerate() {
            if matches!(step.what, What::Read) {
                self.catch_up(step.attempts[0].1).await;
                continue;
            }
            let frame = self.frame(&format!("{}-{index}", self.number), step);
            let last = [(Fate::Answered, index % PROCESSES)];
            let mut answers = Vec::new();
            for (fate, process) in step.attempts.iter().chain(&last) {
                let Some(answer) = self.answer(*process, &frame, *fate).await else { continue };
                answers.push(answer.clone());
                if *fate == Fate::AnswerLost {
                    continue;
                }
                if let Some(seq) = answer["value"]["seq"].as_u64() {
                    self.learn(seq, &answer["value"]["position"]);
                }
                break;
            }
            self.asked.push(Asked { frame, answers });
        }
    }

    /// Returns the answer, unless the function is killed. A client repeats what is `unavailable`.
    async fn answer(&self, process: usize, frame: &Value, fate: Fate) -> Option<Value> {
        let mut answer = self.world.run(process, self.name, frame, fate).await?;
        for _ in 0..20 {
            if answer["code"] != "unavailable" {
                return Some(answer);
            }
            answer = self.world.run(process, self.name, frame, Fate::Answered).await?;
        }
        panic!("{frame} is never answered: {answer}")
    }

    fn frame(&self, id: &str, step: &Step) -> Value {
        let user = |pick: u8| USERS[usize::from(pick) % USERS.len()];
        let target = |pick: u8| self.known[usize::from(pick) % self.known.len()];
        let mut frame = match step.what {
            What::Message | What::Read => json!({ "action": "sendMessage", "content": id }),
            What::Edit(pick) => json!({ "action": "editMessage", "seq": target(pick), "content": id }),
            What::Delete(pick) => json!({ "action": "deleteMessage", "seq": target(pick) }),
            What::React(pick) => json!({ "action": "react", "seq": target(pick), "reaction": "👍", "on": true }),
            What::Add(pick) => json!({ "action": "changeGroup", "add": [user(pick)] }),
            What::Remove(pick) => json!({ "action": "changeGroup", "remove": [user(pick)] }),
            What::Leave => json!({ "action": "changeGroup", "remove": [self.name] }),
            What::Role(pick, role) => json!({ "action": "changeGroup", "roles": { user(pick): role } }),
            What::Rename => json!({ "action": "changeGroup", "name": id }),
        };
        frame["groupId"] = json!(self.world.group);
        frame["clientMessageId"] = json!(id);
        let mut held = self.positions.range(..=self.high);
        match step.says {
            Says::Nothing => {}
            Says::LastSeq => frame["lastSeq"] = json!(self.high),
            Says::Position => match held.next_back() {
                Some((_, position)) => frame["position"] = position.clone(),
                None => frame["lastSeq"] = json!(self.high),
            },
            Says::OldPosition(pick) => {
                let positions: Vec<_> = held.collect();
                if let Some((_, position)) = positions.get(usize::from(pick) % positions.len().max(1)) {
                    frame["position"] = (*position).clone();
                }
            }
        }
        frame
    }

    fn learn(&mut self, seq: u64, position: &Value) {
        if position.is_string() {
            self.positions.insert(seq, position.clone());
        }
        self.known.push(seq);
        if seq == self.high + 1 {
            self.high = seq;
        }
    }

    /// Reads what follows; the end of the group can move meanwhile.
    async fn catch_up(&mut self, process: usize) {
        let frame = json!({ "action": "getMessages", "groupId": self.world.group, "after": self.high, "limit": 100 });
        let reply = self.answer(process, &frame, Fate::Answered).await.expect("it is not killed");
        if reply["type"] == "error" {
            assert_eq!(reply["code"], "forbidden", "{reply}");
            return;
        }
        let page = &reply["value"];
        for seq in seqs(page) {
            self.high = self.high.max(seq);
            self.known.push(seq);
        }
        if page["position"].is_string() {
            self.positions.insert(self.high, page["position"].clone());
        }
        self.pages.push(page.clone());
    }
}
