//! `Action`: what a client asks for: a message, or a change of one.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{
    group::{GroupChange, PREFIX, is_group},
    plan::{Draft, Wish},
};

/// Among how many of the newest messages a device chooses. A small number makes devices change the same one.
const NEWEST: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Message {
        content: String,
        reply_to: Option<u64>,
        mentions: Vec<String>,
    },
    Edit {
        target: u64,
        content: String,
    },
    Delete {
        target: u64,
    },
    React {
        target: u64,
        reaction: String,
        on: bool,
    },
    /// A change of the group.
    Group(GroupChange),
}

impl Action {
    /// What the draft becomes for a user who knows these messages, oldest first.
    pub fn choose<'a>(draft: &Draft, user: &str, peer: &str, known: impl Iterator<Item = &'a Value>) -> Self {
        // The content of a message without an id can't be derived from what devices asked for.
        let can_change = |message: &&Value| message["deleted"].is_null() && message["clientMessageId"].is_string();
        let known: Vec<_> = known.filter(can_change).collect();
        let own: Vec<_> = known.iter().copied().filter(|message| message["senderId"] == user).collect();
        let among = |messages: &[&Value]| {
            let newest = messages.iter().rev().take(NEWEST).collect::<Vec<_>>();
            newest.get(draft.choice % newest.len().max(1))?["seq"].as_u64()
        };
        let chosen = match &draft.wish {
            Wish::Message => None,
            Wish::Reply => among(&known).map(|target| {
                let author = || known.iter().find(|message| message["seq"] == target)?["senderId"].as_str();
                let other = if is_group(peer) { author().unwrap_or(user) } else { peer };
                let mut mentions = vec![user.to_owned(), other.to_owned()];
                mentions.dedup();
                Self::Message { content: draft.content.clone(), reply_to: Some(target), mentions }
            }),
            Wish::Edit => among(&own).map(|target| Self::Edit { target, content: draft.content.clone() }),
            Wish::Delete => among(&own).map(|target| Self::Delete { target }),
            Wish::Group(change) => Some(Self::Group(change.clone())),
            Wish::React { reaction, on } => {
                among(&known).map(|target| Self::React { target, reaction: (*reaction).to_owned(), on: *on })
            }
        };
        chosen.unwrap_or_else(|| Self::message(&draft.content))
    }

    /// A message that neither replies nor mentions.
    pub fn message(content: &str) -> Self {
        Self::Message { content: content.to_owned(), reply_to: None, mentions: Vec::new() }
    }

    /// The action of a client's frame, with its peer.
    pub fn of_frame(frame: &Value) -> Option<(String, Self)> {
        let content = || frame["content"].as_str().map(str::to_owned);
        let target = || frame["seq"].as_u64();
        let peer = match frame["groupId"].as_str() {
            Some(group) => format!("{PREFIX}{group}"),
            None => {
                let field = if frame["action"] == "sendMessage" { "recipientId" } else { "targetId" };
                frame[field].as_str().unwrap_or_default().to_owned()
            }
        };
        let action = match frame["action"].as_str()? {
            "sendMessage" => {
                let mentions = frame["mentions"].as_array().into_iter().flatten();
                let mentions = mentions.filter_map(Value::as_str).map(str::to_owned).collect();
                Self::Message { content: content()?, reply_to: frame["replyTo"].as_u64(), mentions }
            }
            "editMessage" => Self::Edit { target: target()?, content: content()? },
            "deleteMessage" => Self::Delete { target: target()? },
            "react" => Self::React {
                target: target()?,
                reaction: frame["reaction"].as_str()?.to_owned(),
                on: frame["on"].as_bool()?,
            },
            "changeGroup" => Self::Group(GroupChange::of_frame(frame)),
            _ => return None,
        };
        Some((peer, action))
    }

    /// The frame that asks for the action; the inverse of [`Action::of_frame`].
    pub fn frame(&self, peer: &str) -> Value {
        let mut frame = self.fields();
        frame["action"] = json!(match self {
            Self::Message { .. } => "sendMessage",
            Self::Edit { .. } => "editMessage",
            Self::Delete { .. } => "deleteMessage",
            Self::React { .. } => "react",
            Self::Group(_) => "changeGroup",
        });
        match peer.strip_prefix(PREFIX) {
            Some(group) => frame["groupId"] = json!(group),
            None => frame[if self.target().is_none() { "recipientId" } else { "targetId" }] = json!(peer),
        }
        frame
    }

    /// The fields of the frame that say what to do.
    pub fn fields(&self) -> Value {
        match self {
            Self::Message { content, reply_to, mentions } => {
                let mut fields = Map::from_iter([("content".to_owned(), json!(content))]);
                fields.extend(reply_to.map(|seq| ("replyTo".to_owned(), json!(seq))));
                fields.extend((!mentions.is_empty()).then(|| ("mentions".to_owned(), json!(mentions))));
                fields.into()
            }
            Self::Edit { target, content } => json!({ "seq": target, "content": content }),
            Self::Delete { target } => json!({ "seq": target }),
            Self::React { target, reaction, on } => json!({ "seq": target, "reaction": reaction, "on": on }),
            Self::Group(change) => change.frame().into(),
        }
    }

    /// Whether it is a message, and not a change of one or of a group.
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Message { .. })
    }

    /// The message to change; none for a message, and for a change of a group.
    pub fn target(&self) -> Option<u64> {
        match self {
            Self::Message { .. } | Self::Group(_) => None,
            Self::Edit { target, .. } | Self::Delete { target } | Self::React { target, .. } => Some(*target),
        }
    }

    /// The text that a message has after the action, if the action says it.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Message { content, .. } | Self::Edit { content, .. } => Some(content),
            Self::Delete { .. } | Self::React { .. } | Self::Group(_) => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { content, reply_to: None, .. } => write!(f, "{content:.30?}"),
            Self::Message { content, reply_to: Some(seq), .. } => write!(f, "{content:.30?} in reply to {seq}"),
            Self::Edit { target, content } => write!(f, "edit of {target} to {content:.30?}"),
            Self::Delete { target } => write!(f, "deletion of {target}"),
            Self::Group(change) => write!(f, "change of the group: {}", Value::from(change.frame())),
            Self::React { target, reaction, on } => {
                write!(f, "{} {reaction:?} at {target}", if *on { "reaction" } else { "removal of reaction" })
            }
        }
    }
}
