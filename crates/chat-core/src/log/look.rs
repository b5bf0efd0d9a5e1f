//! Looking: the end of a conversation as a draft finds it, the message that the draft changes, and the group that it goes to.

use std::sync::Arc;

use crate::{
    log::Log,
    model::{
        conversation::Seq,
        draft::Draft,
        entry::{End, EntryHeader, StoredEntry},
        error::Error,
        group::Group,
        group_change::NOT_A_MEMBER,
    },
    protocol::{
        position::{Evidence, Position},
        requests::KnownEnd,
    },
    store::dynamodb::random_wait,
};

/// The maximum number of entries after `lastSeq` that are searched for a duplicate.
const MAX_UNSEEN: u64 = 1_000;
/// The number of newest entries that are searched for a duplicate if nothing shows what the client holds.
const UNSEEN_BY_DEFAULT: u16 = 25;
/// The number of entries per query: more than a client that is nearly up to date needs, and at most 2.4 MB of reading.
const HEADERS_PER_QUERY: u16 = 100;

/// What is read before the first put.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) lookup: Lookup,
    /// The entry that the draft changes.
    pub(super) target: Option<StoredEntry>,
    /// The group that the draft goes to, in any version; none if the draft creates it.
    pub(super) group: Option<Arc<Group>>,
}

/// The end of a conversation, as a draft finds it.
#[derive(Debug)]
pub(super) enum Lookup {
    /// No entry from the searched ones is this draft.
    Fresh {
        /// The newest known entry; none if the conversation has none.
        newest: Option<End>,
        /// Whether every entry up to `newest` that can be the draft was searched.
        is_searched: bool,
    },
    /// This entry is the draft, stored by an earlier attempt of this function or of the client.
    Duplicate(EntryHeader),
}

impl Log {
    /// Reads the end, the target and the group at once.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the sender was never a member of the group, or there is no such group: after one call, and
    /// before anything else is known. Those of [`Log::prove_end`].
    pub(super) async fn start(&self, draft: &Draft, known: &KnownEnd) -> Result<Start, Error> {
        let (lookup, target, group) = tokio::try_join!(
            async { Ok(self.prove_end(draft, known).await) },
            async { Ok(self.target(draft).await) },
            self.group_of(draft),
        )?;
        Ok(Start { lookup: lookup?, target: target?, group })
    }

    /// Reads every entry that the client may not have seen: those from `lastSeq` on, or the newest 25. A valid position
    /// needs no read, and neither does the creation of a group, whose first slot shows whether it is a repeat.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if entry `lastSeq` does not exist, and those of [`Log::search`].
    async fn prove_end(&self, draft: &Draft, known: &KnownEnd) -> Result<Lookup, Error> {
        match known {
            _ if draft.creates_group() => Ok(Lookup::Fresh { newest: None, is_searched: false }),
            KnownEnd::Unknown => self.look(draft, None).await,
            KnownEnd::Position(position) => self.prove_position(draft, position).await,
            KnownEnd::LastSeq(last_seq) => match self.look(draft, Some(*last_seq)).await? {
                Lookup::Fresh { newest, .. } if seq_of(newest.as_ref()) < *last_seq => {
                    Err(match self.removal(draft).await? {
                        Some(_) => Error::Forbidden(NOT_A_MEMBER),
                        None => Error::bad_request(
                            "lastSeq: the conversation has no such entry; send the newest seq that you hold, or 0",
                        ),
                    })
                }
                lookup => Ok(lookup),
            },
        }
    }

    /// A position that is not valid is never an error: it only makes the look necessary.
    async fn prove_position(&self, draft: &Draft, position: &Position) -> Result<Lookup, Error> {
        match self.positions.read(position, draft.sender(), draft.recipient()) {
            Evidence::Proof(end) => Ok(Lookup::Fresh { newest: Some(end), is_searched: false }),
            // The claim may be about another conversation, so the newest entries are searched in any case.
            Evidence::Claim(seq) => match self.look(draft, Some(seq.before(UNSEEN_BY_DEFAULT.into()))).await? {
                Lookup::Fresh { newest, .. } if seq_of(newest.as_ref()) < seq => self.look(draft, None).await,
                lookup => Ok(lookup),
            },
            Evidence::Nothing => self.look(draft, None).await,
        }
    }

    /// The entry that the draft changes, as it is stored now; none without a call if the draft is a message.
    ///
    /// # Errors
    /// If the entry can't be read.
    pub(super) async fn target(&self, draft: &Draft) -> Result<Option<StoredEntry>, Error> {
        match draft.target() {
            None => Ok(None),
            Some(target) => self.messages.get(draft.conversation(), target).await,
        }
    }

    /// The group that the draft goes to, in any version. It is not read if this process knows it with the sender as a member.
    async fn group_of(&self, draft: &Draft) -> Result<Option<Arc<Group>>, Error> {
        let Some(id) = draft.group().filter(|_| !draft.creates_group()) else { return Ok(None) };
        let is_enough = |group: &Arc<Group>| draft.needs_no_membership() || group.role(draft.sender()).is_some();
        if let Some(group) = self.members.cached(id).filter(is_enough) {
            return Ok(Some(group));
        }
        let membership = async {
            match self.members.membership(draft.sender(), id).await? {
                None if !draft.needs_no_membership() => Err(Error::Forbidden(NOT_A_MEMBER)),
                _ => Ok(()),
            }
        };
        let (group, ()) = tokio::try_join!(self.members.group(id), membership)?;
        group.ok_or(Error::Forbidden(NOT_A_MEMBER)).map(Some)
    }

    /// The group as of entry `version`, or of a later one. It is read until its items are that new.
    ///
    /// # Errors
    /// If the group can't be read.
    pub(super) async fn group_from(&self, known: Arc<Group>, version: Seq) -> Result<Arc<Group>, Error> {
        let mut group = known;
        while group.version < version {
            let read = self.members.group(group.id).await?.ok_or(Error::Forbidden(NOT_A_MEMBER))?;
            if read.version < version {
                tokio::time::sleep(random_wait()).await;
            }
            group = read;
        }
        Ok(group)
    }

    /// The look before the first put. Without a `clientMessageId` there is nothing to search for.
    async fn look(&self, draft: &Draft, from: Option<Seq>) -> Result<Lookup, Error> {
        self.search(draft, from, draft.has_client_message_id()).await
    }

    /// Reads the entries from `from` on, or the newest 25, newest first, until one of them is the draft. Without `may_be_stored`,
    /// it reads the newest entry only.
    ///
    /// A removed sender can have stored the draft only up to the entry that removed them. So if there are too many entries,
    /// only the ones up to it are searched, and the sender learns nothing about later ones. A draft that creates its group can only be
    /// the first entry.
    ///
    /// # Errors
    /// [`Error::OutOfDate`] if there are more than 1,000 entries, [`Error::Forbidden`] if the sender was removed from the group
    /// and did not store the draft before.
    pub(super) async fn search(&self, draft: &Draft, from: Option<Seq>, may_be_stored: bool) -> Result<Lookup, Error> {
        if draft.creates_group() {
            return self.search_until(draft, None, Some(Seq::FIRST), may_be_stored).await;
        }
        match self.search_until(draft, from, None, may_be_stored).await {
            Err(Error::OutOfDate) => match self.removal(draft).await? {
                None => Err(Error::OutOfDate),
                Some(removal) if from > Some(removal) => Err(Error::Forbidden(NOT_A_MEMBER)),
                Some(removal) => match self.search_until(draft, from, Some(removal), may_be_stored).await? {
                    Lookup::Fresh { .. } => Err(Error::Forbidden(NOT_A_MEMBER)),
                    found => Ok(found),
                },
            },
            result => result,
        }
    }

    /// Like [`Log::search`], among the entries up to `last`.
    async fn search_until(
        &self,
        draft: &Draft,
        from: Option<Seq>,
        last: Option<Seq>,
        may_be_stored: bool,
    ) -> Result<Lookup, Error> {
        let limit = match (may_be_stored, from) {
            (false, _) => 1,
            (true, None) => UNSEEN_BY_DEFAULT,
            (true, Some(_)) => HEADERS_PER_QUERY,
        };
        let mut newest: Option<End> = None;
        let mut before = last.map(Seq::next);
        loop {
            let page = self.messages.headers(draft.conversation(), from, before, limit).await?;
            for header in page.headers {
                if draft.is_own_attempt(&header) || draft.is_duplicate_of(&header) {
                    return Ok(Lookup::Duplicate(header));
                }
                newest.get_or_insert_with(|| header.into());
            }
            before = page.more_before;
            match from {
                Some(from) if before > Some(from) && may_be_stored => {
                    if seq_of(newest.as_ref()).since(from) > MAX_UNSEEN {
                        return Err(Error::OutOfDate);
                    }
                }
                _ => return Ok(Lookup::Fresh { newest, is_searched: true }),
            }
        }
    }

    /// The entry that removed the sender from the group; none if the sender is a member, or needs no membership.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the sender never was a member. If the membership can't be read.
    async fn removal(&self, draft: &Draft) -> Result<Option<Seq>, Error> {
        let Some(id) = draft.group().filter(|_| !draft.needs_no_membership()) else { return Ok(None) };
        let membership = self.members.membership(draft.sender(), id).await?;
        Ok(membership.ok_or(Error::Forbidden(NOT_A_MEMBER))?.readable.to)
    }
}

/// The sequence number of the newest entry, or [`Seq::NONE`].
pub(super) fn seq_of(newest: Option<&End>) -> Seq {
    newest.map_or(Seq::NONE, |newest| newest.seq)
}
