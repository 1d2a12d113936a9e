//! The last resort: what happens when an invariant is broken.
//!
//! A panic anywhere in PID 1 ends here and nowhere else. The engine cannot be trusted any more and is not asked:
//! everything gets SIGTERM, has a few seconds, gets SIGKILL, and tinysvc ends with EX_SOFTWARE (70). The
//! binary is built to abort on panic, so nothing runs after this.
#![forbid(unsafe_code)]

use super::sys::process::{exit_now, has_child, kill, wait_any};
use super::tree::descendants;
use crate::engine::exit_code;
use crate::unit::spec::Signal;
use nix::poll::{PollTimeout, poll};
use std::panic::{PanicHookInfo, set_hook};

/// How long SIGTERM is given, in steps of [`STEP_MS`].
const TERM_STEPS: u32 = 50;
/// How long the kernel is given after SIGKILL.
const KILL_STEPS: u32 = 20;
const STEP_MS: u16 = 100;

/// Makes a panic of this process an orderly end.
pub fn prepare() {
    set_hook(Box::new(end));
}

fn end(info: &PanicHookInfo) {
    log::error!("broken invariant, stopping everything: {info}");
    for (signal, steps) in [(Signal::TERM, TERM_STEPS), (Signal::KILL, KILL_STEPS)] {
        everybody(signal);
        for _ in 0..steps {
            while matches!(wait_any(false), Ok(Some(_))) {}
            if has_child().is_ok_and(|has| !has) {
                exit_now(exit_code::SOFTWARE);
            }
            // A bounded wait of the last resort; there is no event loop any more.
            let _timeout = poll(&mut [], PollTimeout::from(STEP_MS));
        }
    }
    exit_now(exit_code::SOFTWARE);
}

fn everybody(signal: Signal) {
    if std::process::id() == 1 {
        // ESRCH: nobody is there.
        let _none = kill(-1, signal.number());
        return;
    }
    for pid in descendants(std::process::id() as i32, &[]).unwrap_or_default() {
        // It may have ended meanwhile.
        let _ended = kill(pid, signal.number());
    }
}
