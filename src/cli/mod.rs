//! What did the person ask?
#![forbid(unsafe_code)]

pub mod help;
pub mod run;
pub mod show;

use std::ffi::OsString;

/// Runs what the argument line asks for and returns the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    let args = args.get(1..).unwrap_or_default();
    match args.first().and_then(|word| word.to_str()) {
        Some("help") => help::main(args.get(1..).unwrap_or_default()),
        Some("show") => show::main(args.get(1..).unwrap_or_default()),
        _ => 0,
    }
}
