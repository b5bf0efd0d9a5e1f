//! What the tests of several crates share: the tables of the template in an embedded DynamoDB, a wire in front of it
//! that counts and disturbs calls, an `@connections` endpoint, and the events of `events/`.

mod aws;
mod client;
mod connections;
mod event;
mod local;
mod wire;

pub use aws::Aws;
pub use client::Client;
pub use connections::{Connections, Push};
pub use event::{Event, ask, broken_frames};
pub use local::Local;
pub use wire::{Call, Fate, Wire};
