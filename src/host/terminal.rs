//! The terminal, where there is one: who is in its foreground, and what Ctrl-Z does.
//!
//! The service gets a process group of its own and, if we were in the foreground, the foreground with it, so that Ctrl-C
//! reaches the service and not us. Run from an interactive shell, a service that Ctrl-Z stops would leave that shell waiting for
//! us for ever: so we hand the terminal back and stop too, and go on together (termios(3), credentials(7)).
#![forbid(unsafe_code)]

use super::sys::process::kill;
use crate::unit::spec::Signal;
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use std::io::stdin;

/// Whether we are in the foreground of the terminal on standard input.
pub fn in_foreground() -> bool {
    // ENOTTY: no terminal, or not ours.
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

/// The service was stopped: stops us as well, and once we are continued, continues it.
///
/// Signals are blocked, SIGTTOU with them, so handing over the terminal does not stop us.
pub fn stop_with(pid: i32) {
    let us = getpgrp();
    let stop = tcsetpgrp(stdin(), us).and_then(|()| kill(std::process::id() as i32, Signal::STOP.number()));
    if stop.is_err() {
        return;
    }
    // Here we are again. `bg` leaves the terminal to others, `fg` has given it to us.
    if in_foreground() {
        // A terminal that is gone by now is nobody's.
        let _gone = tcsetpgrp(stdin(), Pid::from_raw(pid));
    }
    // One that has ended meanwhile needs no word.
    let _ended = kill(-pid, Signal::CONT.number());
}
