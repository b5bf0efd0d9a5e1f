//! How it grows: more connections of a user, more messages a second in one conversation, more messages in the table.

pub mod conversation;
pub mod fan_out;
pub mod table;
