//! What do our own children do?
//!
//! Of the rest of the house they know only the wire types.
#![forbid(unsafe_code)]

pub mod health;
