//! The summaries of the valid conversations among some candidates.
//!
//! In a group, the membership of the caller is read last. An entry of a group is stored only when the memberships of the change
//! before it can be read. So the membership covers everything that was read before it, the name of the group included.

use std::collections::HashMap;

use chat_core::{
    Error, Request,
    model::{
        conversation::{GroupId, Readable, Recipient},
        entry::End,
        state::{InboxHour, ReadPosition},
        time::Timestamp,
    },
    protocol::{
        replies::{ConversationSummary, SummaryKind},
        requests::InboxCursor,
    },
    store::{
        inboxes::{InboxEntry, ReadPositions},
        members::{GroupSummary, Membership},
        messages::Newest,
    },
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{Context, candidates::Candidate};

/// The number of concurrent reads of newest messages. A page of the default length needs 51.
const CONCURRENT_READS: usize = 64;
/// A conversation may move to another hour while it is read. The inbox entry of the earlier hour is then valid for this
/// long after the newest message, in milliseconds.
const MAY_BE_MOVING_MS: i64 = 60_000;

/// A conversation, and its place in the inbox.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) place: InboxCursor,
    /// The time that the inbox is sorted by.
    pub(crate) listed_at: Timestamp,
    pub(crate) summary: ConversationSummary,
}

/// Reads of a group and its newest entry until they agree. After a restore of tables of different ages they never do.
const READS: usize = 4;

/// What was read about all candidates.
struct Read {
    positions: ReadPositions,
    groups: HashMap<GroupId, GroupSummary>,
    memberships: HashMap<GroupId, Membership>,
}

/// The valid ones among these candidates. Two steps of concurrent reads, and a third one if some are groups. A group that
/// changes meanwhile is read again.
///
/// # Errors
/// If something can't be read.
pub(crate) async fn summarize(
    context: &Context,
    request: &Request,
    candidates: Vec<Candidate>,
) -> Result<Vec<Listed>, Error> {
    let user = &request.user;
    let newest = read_newest(context, request, &candidates);
    let listings = candidates.iter().flat_map(|candidate| match &candidate.entry.recipient {
        Recipient::User(peer) => {
            vec![(user.clone(), candidate.entry.recipient.clone()), (peer.clone(), Recipient::User(user.clone()))]
        }
        Recipient::Group(_) => vec![(user.clone(), candidate.entry.recipient.clone())],
    });
    let groups = || candidates.iter().filter_map(|candidate| candidate.entry.recipient.group());
    let (mut newest, positions, mut summaries) =
        tokio::try_join!(newest, context.inboxes.read_positions(listings), context.members.summaries(groups()))?;
    for _ in 1..READS {
        let changed = changed_meanwhile(&candidates, &newest, &summaries);
        if changed.is_empty() {
            break;
        }
        let groups = changed.iter().filter_map(|index| candidates[*index].entry.recipient.group());
        let again = changed.iter().map(|index| &candidates[*index]);
        let (entries, groups) =
            tokio::try_join!(read_newest(context, request, again), context.members.summaries(groups))?;
        summaries.extend(groups);
        for (index, entry) in changed.into_iter().zip(entries) {
            newest[index] = entry;
        }
    }
    let memberships = context.members.memberships(user, groups()).await?;
    let read = Read { positions, groups: summaries, memberships };
    let listed = candidates.into_iter().zip(newest).filter_map(|(candidate, newest)| {
        let Candidate { entry, is_sorted } = candidate;
        read.summary(request, &entry, newest?, is_sorted)
    });
    Ok(listed.collect())
}

/// The newest entry of each candidate that the caller may read; none of a conversation without entries.
async fn read_newest(
    context: &Context,
    request: &Request,
    candidates: impl IntoIterator<Item = &Candidate>,
) -> Result<Vec<Option<Newest>>, Error> {
    stream::iter(candidates)
        .map(|it| async {
            let to = it.entry.left.as_ref().map(|left| left.to);
            context.messages.newest(&it.entry.conversation(&request.user), to).await
        })
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await
}

/// The indices of the groups that were not read as of their newest entries.
fn changed_meanwhile(
    candidates: &[Candidate],
    newest: &[Option<Newest>],
    groups: &HashMap<GroupId, GroupSummary>,
) -> Vec<usize> {
    let is_changed = |index: &usize| {
        let entry = &candidates[*index].entry;
        let group = entry.recipient.group().and_then(|group| groups.get(&group));
        let version = newest[*index].as_ref().map(|newest| newest.end.state.group_version());
        // Of a group that the caller left, the inbox entry tells the name and the members.
        entry.left.is_none() && group.is_some_and(|group| Some(group.version) != version)
    };
    (0..candidates.len()).filter(is_changed).collect()
}

impl Read {
    /// The summary of the conversation; none if the inbox entry is not valid.
    fn summary(&self, request: &Request, entry: &InboxEntry, newest: Newest, is_sorted: bool) -> Option<Listed> {
        let user = &request.user;
        let Newest { message, end } = newest;
        let position = self.positions.of(user, &entry.recipient);
        let (kind, last_message, read, listed_at) = match &entry.recipient {
            Recipient::User(peer) => {
                let message = message?;
                let peer_read = end.read_by(peer, self.positions.of(peer, &Recipient::User(user.clone())));
                let kind = SummaryKind::Direct { peer_id: peer.clone(), peer_read_seq: peer_read.seq };
                let listed_at = message.created_at;
                (kind, Some(message), end.read_by(user, position), listed_at)
            }
            Recipient::Group(group) => {
                let membership = self.memberships.get(group)?;
                let (kind, listed_at) = self.group(*group, entry, membership, &end)?;
                let last_message = message.filter(|message| membership.readable.contains(message.seq));
                (kind, last_message, read_in_group(membership, position, &end), listed_at)
            }
        };
        let hour = entry.left.as_ref().map_or(end.state.inbox_hour, |_| entry.hour);
        if !is_valid(entry.hour, hour, listed_at, request) {
            return None;
        }
        let sorted_at = (is_sorted || hour != entry.hour).then_some(listed_at);
        let place = InboxCursor { hour, listed_at: sorted_at, recipient: entry.recipient.clone() };
        let summary = ConversationSummary {
            conversation_id: entry.conversation(user),
            kind,
            last_message,
            seq: end.seq,
            read_seq: read.seq,
            // A user who writes has read what came before, so all messages after `read_seq` are of others.
            unread: end.read_position().messages_since(read),
        };
        Some(Listed { place, listed_at, summary })
    }

    /// The group as the caller may see it; none if the entry is not about the present or the last membership.
    fn group(
        &self,
        group_id: GroupId,
        entry: &InboxEntry,
        membership: &Membership,
        end: &End,
    ) -> Option<(SummaryKind, Timestamp)> {
        let Readable { to, .. } = membership.readable;
        match (&entry.left, to) {
            (Some(left), Some(to)) if left.to == to => {
                let (name, members) = (left.name.clone(), left.members);
                let listed_at = left.listed_at;
                Some((SummaryKind::Group { group_id, name, members, listed_at, left: true }, listed_at))
            }
            (None, None) => {
                let GroupSummary { name, members, .. } = self.groups.get(&group_id)?.clone();
                let listed_at = end.state.group?.listed_at;
                Some((SummaryKind::Group { group_id, name, members, listed_at, left: false }, listed_at))
            }
            _ => None,
        }
    }
}

/// How far a member has read: up to the entry that they marked or wrote last, or that added them.
fn read_in_group(membership: &Membership, position: ReadPosition, end: &End) -> ReadPosition {
    let added = ReadPosition { seq: membership.at, messages: membership.messages };
    position.max(added).min(end.read_position())
}

/// Whether a conversation of hour `hour` is listed under the entry's hour. If it has just moved to a later one, it may have
/// done so between the read of the entry and the read of the message: then it counts, or it would be missing from the page.
fn is_valid(entry: InboxHour, hour: InboxHour, listed_at: Timestamp, request: &Request) -> bool {
    let may_be_moving = request.received_at.millis_since(listed_at) < MAY_BE_MOVING_MS;
    hour == entry || (hour > entry && may_be_moving)
}
