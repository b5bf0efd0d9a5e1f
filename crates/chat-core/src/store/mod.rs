//! One repository per table: the only code that knows keys, queries and DynamoDB's SDK.

pub mod connections;
pub mod dynamodb;
pub mod inboxes;
pub mod members;
pub mod messages;
