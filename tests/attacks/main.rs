//! Attacks on every route: real events pass through the real Lambda entry points to the template's
//! tables.

mod events;
mod frames;
mod routes;
mod secrets;
mod strangers;
mod transient_errors;
