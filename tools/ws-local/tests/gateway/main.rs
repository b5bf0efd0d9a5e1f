//! Tests of the gateway over real sockets: what clients and functions receive.

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
mod harness;
mod limits;
mod messages;
mod serving;
mod wire;
