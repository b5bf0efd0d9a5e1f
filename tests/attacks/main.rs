//! Attacks on all routes: real events through the real edge, on the template's tables, by whoever means no good.

mod events;
mod frames;
mod routes;
mod secrets;
mod strangers;
