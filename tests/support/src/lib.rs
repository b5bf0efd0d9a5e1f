//! Test support for several crates: the template's tables in an embedded DynamoDB, fault-injecting proxies, a fake
//! `@connections` endpoint, the events of `events/`, the whole system on this machine, and the protocol client.

mod database;
mod dynamodb_proxy;
mod fake_aws;
mod fake_connections;
mod fault_proxy;
mod fixture;
pub mod jwt;
mod local;
mod local_issuer;
pub mod strategies;

pub use chat_client::{ChatClient, ErrorFrame, Message, ReadReceipt, Sent, User, conversation};

pub use database::call;
pub use dynamodb_proxy::{Call, DynamoDbProxy, Outcome};
pub use fake_aws::{FakeAws, tables};
pub use fake_connections::{FakeConnections, Push};
pub use fault_proxy::{FaultProxy, HttpCall, Upstream, lost_response};
pub use fixture::{Fixture, broken_frames, conversation_id, in_context, invoke};
pub use local::{Local, deploy, messages, stack, template, without_limits};
pub use local_issuer::LocalIssuer;
