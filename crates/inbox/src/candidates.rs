//! The conversations that a page may show, in runs of whole hours.
//!
//! Inbox entries know the hour of a conversation's newest message, and not its time. So the entries of an hour are sorted
//! only after the newest message of each was read, and an hour is read as a whole: whatever the page shows of it, it shows
//! the newest.

use std::collections::VecDeque;

use chat_core::{
    Error,
    model::{state::InboxHour, user::UserId},
    protocol::requests::InboxCursor,
    store::inboxes::{EntriesFrom, InboxEntry, Inboxes},
};

/// The largest number of entries of one hour that are read and sorted for a page. An hour with more is shown in the order
/// of the entries, because its page would otherwise read them all, and strangers could make a page too expensive to read.
const SORTED_ENTRIES: usize = 200;

/// The entries of a user's inbox from a place on.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    inboxes: &'a Inboxes,
    user: &'a UserId,
    /// Where the next read begins.
    from: EntriesFrom,
    /// Read, and not yet returned.
    ahead: VecDeque<InboxEntry>,
    /// Whether no more entries follow those in `ahead`.
    ended: bool,
    /// The hour that has too many entries to be sorted.
    unsorted_hour: Option<InboxHour>,
}

/// An inbox entry, and whether its hour is sorted by the time of the newest messages.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) entry: InboxEntry,
    pub(crate) is_sorted: bool,
}

impl<'a> Candidates<'a> {
    /// The entries that may follow `start`: those of its hour that were shown are among them, unless the hour is unsorted.
    pub(crate) fn new(inboxes: &'a Inboxes, user: &'a UserId, start: Option<&InboxCursor>) -> Self {
        let (from, unsorted_hour) = match start {
            None => (EntriesFrom::Start, None),
            Some(InboxCursor { hour, listed_at: Some(_), .. }) => (EntriesFrom::Hour(*hour), None),
            Some(InboxCursor { hour, listed_at: None, recipient }) => {
                (EntriesFrom::After(*hour, recipient.clone()), Some(*hour))
            }
        };
        Self { inboxes, user, from, ahead: VecDeque::new(), ended: false, unsorted_hour }
    }

    /// The next entries: at least `wanted`, if there are that many, and all or `wanted` of each hour.
    ///
    /// # Errors
    /// If the entries can't be read.
    pub(crate) async fn next(&mut self, wanted: usize) -> Result<Vec<Candidate>, Error> {
        let mut candidates = Vec::new();
        while candidates.len() < wanted {
            let Some(first) = self.ahead.front() else {
                if self.ended {
                    break;
                }
                self.read().await?;
                continue;
            };
            let hour = first.hour;
            let entries = self.ahead.iter().take_while(|entry| entry.hour == hour).count();
            if entries > SORTED_ENTRIES {
                self.unsorted_hour = Some(hour);
            }
            let is_sorted = self.unsorted_hour != Some(hour);
            if is_sorted && entries == self.ahead.len() && !self.ended {
                self.read().await?;
                continue;
            }
            let taken = if is_sorted { entries } else { entries.min(wanted) };
            candidates.extend(self.ahead.drain(..taken).map(|entry| Candidate { entry, is_sorted }));
        }
        Ok(candidates)
    }

    /// Reads one entry more than an hour may have, which shows whether it has more.
    async fn read(&mut self) -> Result<(), Error> {
        let limit = SORTED_ENTRIES + 1;
        let entries = self.inboxes.entries(self.user, &self.from, limit).await?;
        self.ended = entries.len() < limit;
        if let Some(last) = entries.last() {
            self.from = EntriesFrom::AfterEntry(last.clone());
        }
        self.ahead.extend(entries);
        Ok(())
    }
}
