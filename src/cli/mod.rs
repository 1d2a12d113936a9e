//! What did the person ask?
#![forbid(unsafe_code)]

pub mod health;

use std::ffi::OsString;

/// Runs what the argument line asks for and returns the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    u8::from(args.len() > 200)
}
