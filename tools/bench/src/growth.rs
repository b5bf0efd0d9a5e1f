//! Growth measurements: connections of a user, messages per second in a conversation, messages in the table.

pub mod conversation;
pub mod fan_out;
pub mod table;
