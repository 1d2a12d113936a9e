//! The C entry point.
//!
//! The standard library's own start-up work (a stack-overflow handler, a poll of descriptors 0 to 2, `SIGPIPE` ignored,
//! a thread's name) costs ten system calls and changes signal dispositions that the child must
//! inherit untouched. So this binary has its own `main`.
#![allow(unsafe_code, reason = "the symbol `main`, and the C argument vector")]

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;

/// Called by the C library's start-up code.
// SAFETY: the crate is `no_main`, so this is the only symbol `main`, and the signature is the one that
// the C library calls.
#[unsafe(no_mangle)]
pub extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let mut args = Vec::with_capacity(usize::try_from(argc).unwrap_or(0));
    for i in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: execve(2) hands over an array of `argc` pointers, so index i is within it.
        let slot = unsafe { argv.add(i) };
        // SAFETY: it is aligned and initialised, and nobody writes to it.
        let arg = unsafe { *slot };
        // SAFETY: each is a NUL-terminated string that lives as long as the process.
        let arg = unsafe { CStr::from_ptr(arg) };
        args.push(OsString::from_vec(arg.to_bytes().to_vec()));
    }
    tinysvc::cli::main(args).into()
}
