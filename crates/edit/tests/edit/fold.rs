//! `Folded`: a message as it follows from the entries, and checks of the stored messages and the replies against it.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use support::FakeAws;

/// A stored attribute that is a number.
fn number(row: &Value, pointer: &str) -> u64 {
    let text = row.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} {row}"));
    text.parse().unwrap()
}

/// A number that is absent if it is 0.
fn count(row: &Value, pointer: &str) -> u64 {
    row.pointer(pointer).map_or(0, |_| number(row, pointer))
}

/// A message as the log says that it must be.
#[derive(Debug, Default, PartialEq)]
struct Folded {
    content: String,
    version: Option<u64>,
    is_deleted: bool,
    reactions: BTreeMap<String, Vec<String>>,
}

impl Folded {
    fn of(row: &Value) -> Self {
        let texts = |list: &Value| {
            list["L"].as_array().unwrap().iter().map(|user| user["S"].as_str().unwrap().to_owned()).collect()
        };
        let reactions = row["reactions"]["M"].as_object().into_iter().flatten();
        Self {
            content: row["content"]["S"].as_str().unwrap().to_owned(),
            version: row.get("version").map(|_| number(row, "/version/N")),
            is_deleted: row.get("deleted").is_some(),
            reactions: reactions.map(|(text, users)| (text.clone(), texts(users))).collect(),
        }
    }

    /// Applies what the client of an entry asked for.
    fn apply(&mut self, frame: &Value, sender: &str, seq: u64) {
        assert!(!self.is_deleted, "a deleted message never changes: {frame}");
        self.version = Some(seq);
        match frame["action"].as_str().unwrap() {
            "editMessage" => self.content = frame["content"].as_str().unwrap().to_owned(),
            "deleteMessage" => *self = Self { version: Some(seq), is_deleted: true, ..Self::default() },
            _ => {
                let text = frame["reaction"].as_str().unwrap();
                let users = self.reactions.entry(text.to_owned()).or_default();
                let is_there = users.iter().any(|user| user == sender);
                match frame["on"] == true {
                    true if !is_there => users.push(sender.to_owned()),
                    true => {}
                    false => users.retain(|user| user != sender),
                }
                self.reactions.retain(|_, users| !users.is_empty());
            }
        }
    }
}

/// Checks what is stored, and every answer.
pub(crate) fn check(aws: &FakeAws, answers: impl Iterator<Item = (Value, Vec<Value>)>) {
    let answers: Vec<_> = answers.collect();
    let asked: HashMap<_, _> =
        answers.iter().map(|(frame, _)| (frame["clientMessageId"].as_str().unwrap(), frame)).collect();
    let rows = aws.rows("MessagesTable");
    let mut rows: Vec<_> = rows.iter().filter(|row| row["conversationId"]["S"] == "dm:5:alice:bob").collect();
    rows.sort_by_key(|row| number(row, "/seq/N"));
    let mut newest = HashMap::new();
    let mut by_id = HashMap::new();
    let mut messages: BTreeMap<u64, (&Value, Folded)> = BTreeMap::new();
    let (mut changes, mut changes_at) = (0, HashMap::from([(0, 0)]));
    for (index, row) in rows.iter().enumerate() {
        let seq = number(row, "/seq/N");
        assert_eq!(seq, index as u64 + 1, "no gap");
        let [sender, recipient, id] =
            ["senderId", "recipientId", "clientMessageId"].map(|name| row[name]["S"].as_str().unwrap());
        assert_eq!(by_id.insert(id, *row), None, "{id} is stored once");
        let frame = asked[id];
        match row.get("kind") {
            None => {
                assert_eq!(frame["action"], "sendMessage");
                let content = id.to_owned();
                messages.insert(seq, (row, Folded { content, ..Folded::default() }));
            }
            Some(_) => {
                changes += 1;
                let target = number(row, "/target/N");
                assert_eq!(frame["seq"], target);
                let (message, folded) = messages.get_mut(&target).expect("a change is about a message before it");
                let is_own = message["senderId"]["S"] == sender;
                assert!(is_own || frame["action"] == "react", "only the sender edits and deletes: {frame}");
                folded.apply(frame, sender, seq);
                assert!(row.get("content").is_none(), "the entry of a change holds no text");
            }
        }
        // The state is what a fold of all entries before gives.
        changes_at.insert(seq, changes);
        let expected = newest.get(recipient).copied().unwrap_or(0);
        assert_eq!(number(row, "/tally/M/recipientSeq/N"), expected, "entry {seq}");
        assert_eq!(count(row, "/tally/M/changes/N"), changes, "entry {seq}");
        assert_eq!(count(row, "/tally/M/theirChanges/N"), changes_at[&expected], "entry {seq}");
        let newest_message = messages.keys().next_back().unwrap();
        assert_eq!(count(row, "/tally/M/trailing/N"), seq - newest_message, "entry {seq}");
        newest.insert(sender, seq);
    }
    for (row, folded) in messages.values() {
        assert_eq!(Folded::of(row), *folded, "message {}", row["seq"]);
    }
    for (frame, answers) in &answers {
        let row = by_id.get(frame["clientMessageId"].as_str().unwrap());
        assert!(row.is_some() || frame["action"] != "sendMessage", "every message is stored: {frame}");
        for answer in answers {
            let Some(row) = row else {
                let code = answer["code"].as_str().unwrap_or_else(|| panic!("{frame} {answer}"));
                assert!(["forbidden", "bad_request"].contains(&code), "{frame} {answer}");
                continue;
            };
            let sent = &answer["value"];
            let number = number(row, "/seq/N");
            assert_eq!(
                (&sent["seq"], &sent["messageId"]),
                (&json!(number), &row["messageId"]["S"]),
                "{frame} {answer}"
            );
            if frame["action"] != "sendMessage" {
                assert!(sent["changed"]["version"].as_u64() >= Some(number), "{frame} {answer}");
            }
        }
    }
}
