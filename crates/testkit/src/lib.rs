//! What the tests of several crates share: the tables of the template in an embedded DynamoDB, a wire in front of it
//! that counts and disturbs calls, an `@connections` endpoint, the events of `events/`, and a conversation that works
//! over whatever serves the protocol.

mod aws;
mod client;
mod connections;
mod conversation;
mod database;
mod event;
mod issuer;
mod local;
mod upstream;
mod wire;

pub use aws::{Aws, tables};
pub use client::{Client, Person};
pub use connections::{Connections, Push};
pub use conversation::conversation;
pub use database::call;
pub use event::{Event, ask, broken_frames};
pub use issuer::Issuer;
pub use local::{Local, messages, template, without_limits};
pub use upstream::{Upstream, broken};
pub use wire::{Call, Fate, Wire};
