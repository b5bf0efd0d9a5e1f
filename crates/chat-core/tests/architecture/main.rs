//! The invariants of `ARCHITECTURE.md`, checked on the sources. A failure says which rule is broken and what to do.

mod confinement;
mod layers;
mod project;
mod sources;

/// The crates of the routes. The authorizer is the only other function.
const ROUTES: [&str; 9] = ["connect", "disconnect", "edit", "fallback", "history", "inbox", "presence", "read", "send"];

const CORE: &str = "crates/chat-core/src/";
