//! `getConversations` with the template's tables, inboxes written by the real routes, and a fault-injecting proxy.

mod chat;
mod faults;
mod finding;
mod histories;
mod order;
mod pages;
mod refusals;
