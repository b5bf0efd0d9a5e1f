//! What the tests of several crates share: the tables of the template in an embedded DynamoDB, a wire in front of it
//! that counts and disturbs calls, an `@connections` endpoint, the events of `events/`, and a conversation that works
//! over whatever serves the protocol.

mod connections;
mod database;
mod dynamodb_proxy;
mod fake_aws;
mod fixture;
mod issuer;
pub mod jwt;
mod local;
pub mod strategies;
mod upstream;

pub use chat_client::{Client, Person, conversation};

pub use connections::{Connections, Push};
pub use database::call;
pub use dynamodb_proxy::{Call, DynamoDbProxy, Outcome};
pub use fake_aws::{FakeAws, tables};
pub use fixture::{Fixture, broken_frames, invoke};
pub use issuer::Issuer;
pub use local::{Local, messages, template, without_limits};
pub use upstream::{Upstream, broken};
