//! Breaks things on purpose, many times, and checks that nothing was lost, doubled or reordered.
//!
//! A run is made from a seed: clients that follow the protocol talk through the real functions and the local gateway,
//! while faults strike by the seed's [`plan`]. Afterwards the [`checker`] compares what clients were told with what the
//! table holds. The plan is the same whenever the seed is; which of two calls comes first is up to the machine, so a
//! failure also leaves its whole history.
//!
//! A client is the harness's own ([`device`], its talk and its link), or `web/chat-client.js`, whose [`host`] is Node.js
//! and whose connections lead through a relay. Both are told, seen and checked in the same way.

mod calls;
pub mod checker;
pub mod device;
pub mod fault;
pub mod host;
pub mod link;
mod page;
pub mod plan;
mod pushes;
mod relay;
pub mod run;
pub mod storm;
mod talk;
pub mod told;
mod view;
pub mod world;
