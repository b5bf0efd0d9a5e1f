//! `Appended`: a stored entry, and what its delivery needs.

use crate::{
    log::audience::Audience,
    model::{entry::StoredEntry, message::Message, state::InboxHour},
    store::{connections::Connection, inboxes::Listing},
};

/// The result of an append.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) stored: StoredEntry,
    /// The message that the entry is about, as it is now.
    pub(super) changed: Option<Message>,
    /// Whether an earlier request of the client had stored the entry.
    pub(super) duplicate: bool,
    /// The number of puts; 0 for a duplicate that was found before the first one.
    pub(super) attempts: u32,
    /// The hour of the inboxes that the conversation left with this entry, and whose inboxes they are.
    pub(super) left_hour: Option<(InboxHour, Vec<Listing>)>,
    /// Those who get the entry.
    pub(super) audience: Audience,
    /// Their connections; none if they could not be read, or if the entry was stored too long after they were.
    pub(super) recipients: Option<Vec<Connection>>,
}
