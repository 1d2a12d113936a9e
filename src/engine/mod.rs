//! What should happen? Facts in, orders out.
//!
//! Pure: no clock, no system call, no I/O, no randomness, no thread. Whatever it knows arrived as an argument
//! of [`Engine::step`], and the same events give the same actions, byte for byte. It never sees a pid.
//!
//! Of the rest of the house it knows the typed spec alone.
#![forbid(unsafe_code)]

mod by_unit;
mod fact;
mod job;
pub mod notify;
pub mod relay;
pub mod restart;
mod service;
mod state;
mod system;
#[cfg(test)]
mod tests;
mod time;

pub use fact::{Action, Event, Level, Note, Run, Seek, Sender, Spawn, SpawnFailure, UnitId, Whom};
pub use job::{Client, KillWhom, Verb};
pub use service::Service;
pub use state::{ActiveState, Outcome, State};
pub use system::{Engine, Phase, Role, exit_code};
pub use time::{Mono, earlier};
