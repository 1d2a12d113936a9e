//! What did the person ask?
#![forbid(unsafe_code)]

mod catatonit;
mod dropin;
mod dumb_init;
mod tini;

use std::ffi::OsString;

/// Runs what the argument line asks for and returns the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    if let Some(run) = args.first().and_then(|name| dropin::personality(name)) {
        return run(args);
    }
    u8::from(args.len() > 200)
}
