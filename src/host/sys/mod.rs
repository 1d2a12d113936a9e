//! The only `unsafe` in the house: one system call a function, each with its contract.
#![allow(unsafe_code, reason = "this is the room for it")]

pub mod credentials;
pub mod descriptor;
pub mod exec;
pub mod relay;
pub mod resource;
pub mod seccomp;
pub mod signal;
pub mod spawn;
pub mod terminal;
