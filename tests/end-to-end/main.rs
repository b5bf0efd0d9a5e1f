//! End-to-end tests of the chat on one machine: the functions in `template.yaml` run as processes
//! behind real WebSockets.

mod changes;
mod connecting;
mod conversations;
mod groups;
mod limits;
