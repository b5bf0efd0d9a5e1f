//! Chaos test: real clients exchange messages through the real functions while faults are injected, and a checker looks
//! for lost, duplicated and reordered messages.
//!
//! A seed determines the [`plan`] of a run: devices, messages and faults. The order of concurrent
//! calls depends on the machine, so a failed run also writes a full report. The modules, in the
//! order of their dependencies:
//!
//! - [`fault`], [`plan`]: the actions and faults of a run
//! - [`schedule`]: the faults of a run in progress
//! - [`history`], [`fold`], [`group`], [`checker`], [`group_checker`]: the messages that the clients received, compared with the table
//! - [`host`], `relay`, [`device`]: the clients, one in Rust and one that runs `web/chat-client.js` in Node.js
//! - `processes`, `proxies`, `exposure`, `partial`, `injection`, [`harness`]: the system behind fault-injecting proxies
//! - `creation`: the groups of a run
//! - `repetition`: repeats of stored entries after the faults
//! - `restoration`: the table restored to an earlier point in time
//! - [`run`]: one run from its plan to its outcome

pub mod action;
pub mod checker;
mod creation;
pub mod device;
mod exposure;
pub mod fault;
pub mod fold;
pub mod group;
pub mod group_checker;
pub mod harness;
pub mod history;
pub mod host;
mod injection;
mod partial;
pub mod plan;
mod processes;
mod proxies;
mod relay;
mod repetition;
mod restoration;
pub mod run;
pub mod schedule;
