//! What each action takes, costs and weighs, measured on the release binaries, in reading order: the services that the
//! functions call, the actions, how they are measured, and what is said of it.

pub mod actions;
pub mod budget;
pub mod growth;
pub mod measure;
pub mod meter;
pub mod plot;
pub mod price;
pub mod report;
pub mod services;
pub mod share;
pub mod timeless;
pub mod tls;
