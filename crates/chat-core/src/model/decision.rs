//! `Decision`: what a draft becomes at the end of its conversation, or why it is refused there.

use crate::model::{
    change::{Change, ChangeAuthor},
    conversation::Seq,
    draft::{Draft, DraftKind},
    entry::{End, Entry},
    error::Error,
    group::{Group, Member},
    group_change::{GroupAuthor, NOT_A_MEMBER},
    message::{Mentions, Message},
    rate_limit::RateLimits,
    state::{ConversationState, ReadPosition},
};

const NO_SUCH_MESSAGE: &str = "seq: the conversation has no such message; send the seq of one that you hold";
const NO_SUCH_QUOTE: &str = "replyTo: the conversation has no such entry; name one that you hold";

/// What is stored if a draft follows an entry.
#[derive(Debug)]
pub struct Decision {
    /// With its number and time.
    pub entry: Entry,
    /// The state of the conversation as of the entry.
    pub state: ConversationState,
    /// The message that the entry is about, as it is then.
    pub changed: Option<Message>,
    /// The group as it is then, if the entry changes it.
    pub group: Option<Group>,
}

impl Draft {
    /// What the draft becomes after `newest`, or as the first entry of its conversation. `target` is the entry that it changes,
    /// and `group` the group that it goes to, as of `newest`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the sender may not do this; a sender who is not a member of the group always gets it, whatever
    /// else is wrong. [`Error::RateLimited`] if the sender, or the group, has used up the limit in this conversation.
    /// [`Error::BadRequest`] if the draft refers to an entry that does not exist or is not theirs to read. Those of
    /// [`Change::apply`] and [`GroupChange::apply`](crate::model::group_change::GroupChange::apply).
    pub fn decide(
        &self,
        newest: Option<&End>,
        limits: RateLimits,
        target: Option<&Entry>,
        group: Option<&Group>,
    ) -> Result<Decision, Error> {
        let end = newest.map_or(Seq::NONE, |newest| newest.seq);
        let (seq, created_at) = (end.next(), self.created_at_after(newest));
        let member = self.member(group)?;
        let state = self.state_after(newest, limits, group)?;
        let first = member.map_or(Seq::FIRST, |member| member.readable_from);
        let (changed, group) = match &self.kind {
            DraftKind::Message { reply_to, mentions, .. } => {
                check_message(*reply_to, mentions, end, member.zip(group))?;
                (None, None)
            }
            DraftKind::Change { target: number, change } => {
                if *number > end || *number < first {
                    return Err(Error::bad_request(NO_SUCH_MESSAGE));
                }
                let is_moderator = self.is_by_moderator(group);
                let author = ChangeAuthor { user: self.sender(), is_moderator, seq, created_at };
                (Some(changed(change, target, author)?), None)
            }
            DraftKind::Group { group_id, change, limit } => {
                let messages = ReadPosition::at(seq, state.changes).messages;
                let (user, is_backend) = (self.sender(), self.is_by_backend());
                let author = GroupAuthor { user, is_backend, seq, created_at, messages };
                let after = match (change.created, group) {
                    (true, None) if newest.is_none() => change.create(*group_id, author, *limit)?,
                    (false, Some(group)) => change.apply(group, author, *limit)?,
                    (true, _) => return Err(Error::Internal("the id of a new group is taken".into())),
                    (false, None) => return Err(Error::Forbidden(NOT_A_MEMBER)),
                };
                (None, Some(after))
            }
        };
        Ok(Decision { entry: self.entry(seq, created_at), state, changed, group })
    }

    /// The sender as a member of the group; none in a direct conversation, and if the draft needs no membership. What depends
    /// on the membership is then not checked.
    fn member<'a>(&self, group: Option<&'a Group>) -> Result<Option<&'a Member>, Error> {
        if self.group().is_none() || self.creates_group() || self.needs_no_membership() {
            return Ok(None);
        }
        let member = group.and_then(|group| group.members.get(self.sender()));
        member.map(Some).ok_or(Error::Forbidden(NOT_A_MEMBER))
    }
}

fn check_message(
    reply_to: Option<Seq>,
    mentions: &Mentions,
    end: Seq,
    sender: Option<(&Member, &Group)>,
) -> Result<(), Error> {
    if reply_to > Some(end) {
        return Err(Error::bad_request(NO_SUCH_QUOTE));
    }
    let Some((member, group)) = sender else { return Ok(()) };
    if !group.settings.posting.includes(member.role) {
        return Err(Error::Forbidden("only admins and owners may send messages to this group"));
    }
    if reply_to.is_some_and(|seq| seq < member.readable_from) {
        return Err(Error::bad_request(NO_SUCH_QUOTE));
    }
    match mentions.iter().find(|user| !group.members.contains_key(user)) {
        Some(user) => Err(Error::bad_request(format!("mentions: {user} is not a member of the group; leave them out"))),
        None => Ok(()),
    }
}

fn changed(change: &Change, target: Option<&Entry>, author: ChangeAuthor<'_>) -> Result<Message, Error> {
    match target {
        Some(Entry::Message(message)) => change.apply(message, author),
        Some(Entry::Change(_) | Entry::Group(_)) => {
            Err(Error::bad_request("seq: this entry is not a message; send the seq of a message"))
        }
        None => Err(Error::bad_request(NO_SUCH_MESSAGE)),
    }
}
