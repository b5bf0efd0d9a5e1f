//! Inboxes, filled by the real routes, with real tables and a wire that disturbs calls.

mod faults;
mod finding;
mod histories;
mod pages;
mod people;
mod refusals;
