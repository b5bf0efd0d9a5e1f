//! Acknowledging a draft that is stored already: by an earlier attempt of this request, or of the client.

use std::sync::Arc;

use crate::{
    log::{Log, appended::Appended, audience::Audience},
    model::{
        conversation::Seq,
        draft::Draft,
        entry::{EntryHeader, StoredEntry},
        error::{Error, chain},
        group::Group,
        message::Message,
        state::ConversationState,
    },
    protocol::{deadline::in_time, request::Request},
    store::connections::Connection,
};

/// The stored entry of a draft, with what was read about it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) header: EntryHeader,
    pub(super) entry: Option<StoredEntry>,
    /// The target of the draft, if it was read. It may be older than the entry.
    pub(super) target: Option<StoredEntry>,
    pub(super) recipients: Option<Vec<Connection>>,
}

impl Log {
    /// The result if an entry is the draft.
    ///
    /// # Errors
    /// If the entry can't be read, its target, or whether the sender may read that. If only the list of members can't be read,
    /// the entry is acknowledged, and not pushed again.
    pub(super) async fn found(
        &self,
        request: &Request,
        draft: &Draft,
        found: Found,
        group: Option<Arc<Group>>,
        attempts: u32,
    ) -> Result<Appended, Error> {
        let Found { header, entry, target, recipients } = found;
        let receivers = async {
            let audience = in_time(request, self.audience_of_stored(draft, header.seq, header.state, group)).await;
            let audience = audience.unwrap_or_else(|error| {
                // A client that missed the first push sees the gap in `seq`, or catches up when it reconnects.
                tracing::warn!(
                    cause = chain(&error),
                    "an entry that was found is not pushed: who gets it can't be read"
                );
                Audience::default()
            });
            let recipients = match recipients {
                Some(recipients) => Some(recipients),
                None => self.recipients(request, &audience).await,
            };
            (audience, recipients)
        };
        let stored = in_time(request, async {
            let stored = match entry {
                Some(entry) => Some(entry),
                None => self.messages.get(draft.conversation(), header.seq).await?,
            };
            let stored = stored.ok_or_else(|| Error::Internal("an entry that was found is missing".into()))?;
            let changed = self.changed_by(draft, &stored, target).await?;
            Ok((stored, changed))
        });
        let ((audience, recipients), stored) = tokio::join!(receivers, stored);
        let (stored, changed) = stored?;
        let duplicate = !draft.is_own_attempt(&stored.header());
        Ok(Appended { stored, changed, duplicate, attempts, left_hour: None, audience, recipients })
    }

    /// The message that a stored entry of the sender is about, as it is now; none if the sender may not read it any more.
    async fn changed_by(
        &self,
        draft: &Draft,
        stored: &StoredEntry,
        target: Option<StoredEntry>,
    ) -> Result<Option<Message>, Error> {
        let Some(seq) = stored.entry.target() else { return Ok(None) };
        let is_change =
            |target: &StoredEntry| *target.entry.seq() == seq && target.entry.version() >= Some(*stored.entry.seq());
        let target = async {
            match target.filter(is_change) {
                Some(target) => Ok(Some(target)),
                None => self.messages.get(draft.conversation(), seq).await,
            }
        };
        let (target, may_read) = tokio::try_join!(target, self.may_read(draft, seq))?;
        Ok(target.filter(|_| may_read).and_then(|target| target.entry.into_message()))
    }

    /// Whether the sender may read entry `seq`.
    async fn may_read(&self, draft: &Draft, seq: Seq) -> Result<bool, Error> {
        match draft.group().filter(|_| !draft.needs_no_membership()) {
            None => Ok(true),
            Some(group) => {
                let membership = self.members.membership(draft.sender(), group).await?;
                Ok(membership.is_some_and(|membership| membership.readable.contains(seq)))
            }
        }
    }

    /// Those who get entry `seq`, which is stored with this state and is pushed again. The group is read if `group` is older
    /// than the entry: it may have members who were removed before.
    async fn audience_of_stored(
        &self,
        draft: &Draft,
        seq: Seq,
        state: ConversationState,
        group: Option<Arc<Group>>,
    ) -> Result<Audience, Error> {
        let known = match (draft.group(), group) {
            (Some(id), None) => self.members.group(id).await?,
            (_, known) => known,
        };
        let exact = match known {
            Some(known) => Some(self.group_from(known, state.group_version()).await?),
            None => None,
        };
        Ok(Audience::of_stored(draft, seq, exact.as_deref()))
    }
}
