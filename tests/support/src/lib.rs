//! What the tests of several crates share: the tables of the template in an embedded DynamoDB, a wire in front of it
//! that counts and disturbs calls, an `@connections` endpoint, the events of `events/`, and a conversation that works
//! over whatever serves the protocol.

mod aws;
mod connections;
mod database;
mod event;
mod issuer;
pub mod jwt;
mod local;
pub mod strategies;
mod upstream;
mod wire;

pub use chat_client::{Client, Person, conversation};

pub use aws::{Aws, tables};
pub use connections::{Connections, Push};
pub use database::call;
pub use event::{Event, ask, broken_frames};
pub use issuer::Issuer;
pub use local::{Local, messages, template, without_limits};
pub use upstream::{Upstream, broken};
pub use wire::{Call, Fate, Wire};
