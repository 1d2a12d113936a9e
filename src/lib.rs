//! tinysvc: a PID-1 init and service supervisor for containers.
//!
//! The rooms and who may enter which are drawn in ARCHITECTURE.md; `integration/house.rs` checks it.
#![deny(unsafe_code)]

pub mod cli;
pub mod engine;
pub mod host;
pub mod launch;
pub mod plan;
pub mod roles;
pub mod unit;
pub mod wire;
