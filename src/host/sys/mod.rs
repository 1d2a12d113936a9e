//! The only `unsafe` in the house: one system call a function, each with its contract.
//!
//! `nix` is used wherever it has the call. What is here it lacks or gets wrong for us: real-time signals, which
//! its `Signal` cannot hold, and signal sets that must not pass through a C library that hides some of them.
#![allow(unsafe_code, reason = "this is the room for it")]

pub mod credentials;
pub mod descriptor;
pub mod exec;
pub mod memory;
pub mod process;
pub mod relay;
pub mod resource;
pub mod scheduling;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod terminal;
