//! What do our own children do?
//!
//! A role is this binary started as something other than PID 1. It parses what PID 1 must never parse, without
//! privilege and inside tinysvc's own sandbox. It knows the wire types alone, and when it dies nothing is lost.
#![forbid(unsafe_code)]

pub mod health;
