//! The functions of a project run as real processes.

mod building;
mod handling;
mod processes;
mod project;
