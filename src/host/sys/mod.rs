//! The only `unsafe` in the house: one system call a function, each with its contract.
#![allow(unsafe_code, reason = "this is the room for it")]

pub mod relay;
