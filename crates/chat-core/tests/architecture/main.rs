//! The invariants of `ARCHITECTURE.md`, checked on the sources. A failure says which rule is broken and what to do.

mod confinement;
mod layers;
mod project;
mod sources;

/// The crates of the routes.
const ROUTES: [&str; 10] =
    ["connect", "disconnect", "edit", "fallback", "group", "history", "inbox", "presence", "read", "send"];

/// The crates of the other functions.
const OTHERS: [&str; 2] = ["api", "authorizer"];

const CORE: &str = "crates/chat-core/src/";
