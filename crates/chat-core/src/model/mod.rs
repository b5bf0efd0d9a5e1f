//! Values that are valid by construction. No I/O, no clock.

pub mod change;
pub mod conversation;
pub mod decision;
pub mod draft;
pub mod entry;
pub mod error;
pub mod group;
pub mod group_change;
pub mod json;
pub mod message;
pub mod rate_limit;
pub mod state;
pub mod time;
pub mod user;
