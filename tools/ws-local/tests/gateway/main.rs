//! The gateway, through real sockets: what a browser sees on one side and a function on the other.

#![expect(
    clippy::unwrap_used,
    reason = "clippy lets tests unwrap, but doesn't see that functions next to them are tests too"
)]

mod authorizer;
mod closing;
mod connect;
mod connections;
mod events;
mod fuzz;
mod limits;
mod messages;
mod plumbing;
mod serving;
mod wire;
