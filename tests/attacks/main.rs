//! Attacks on all routes, by real events through the real Lambda edge, on the template's tables.

mod events;
mod frames;
mod routes;
mod secrets;
mod strangers;
