//! Signals to PID 1: blocked from the start, taken one by one when we are ready for them, never handled.
//!
//! Nothing runs in signal context, so nothing can be interrupted or lost: what the kernel has queued is what is taken, real-time
//! signals each by itself and in their order. A child gets back the very state that tinysvc was started with.
//!
//! signal-hook's self-pipe would cost a handler, a write and a read for each signal, and two system
//! calls for each of 60 signals at the start; see ARCHITECTURE.md.
#![forbid(unsafe_code)]

use super::sys::memory::forget_code_and_wait_signal;
use super::sys::signal::{Info, set_disposition, set_mask, signalfd, wait_signal};
use crate::plan::SignalState;
use crate::unit::spec::{Signal, Span};
use nix::errno::Errno;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The signals of this process.
#[derive(Debug)]
pub struct Signals {
    set: u64,
    original_mask: u64,
    sigchld_was_ignored: bool,
    own_pid: u32,
}

/// The bit of a signal in a set.
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Every signal but the faults of this process itself, which must go on being fatal.
fn all() -> u64 {
    (1..=64).filter_map(Signal::new).filter(|s| !s.is_fault()).fold(0, |set, s| set | bit(s.number()))
}

impl Signals {
    /// Blocks every signal and so begins to collect them.
    ///
    /// # Errors
    /// None that the kernel documents.
    pub fn take_over() -> Result<Signals, Errno> {
        let set = all();
        let original_mask = set_mask(set)?;
        // An ignored SIGCHLD would have the kernel throw our children's ends away.
        let sigchld_was_ignored = set_disposition(Signal::CHLD.number(), false)?;
        Ok(Signals { set, original_mask, sigchld_was_ignored, own_pid: std::process::id() })
    }

    /// The state that a child is to start with: the one that we were started with.
    ///
    /// Only the mask and SIGCHLD's disposition are ever changed here, so that is all to be put back.
    pub fn original(&self) -> SignalState {
        let chld = bit(Signal::CHLD.number());
        let (default, ignore) = if self.sigchld_was_ignored { (0, chld) } else { (chld, 0) };
        SignalState { mask: self.original_mask, default, ignore }
    }

    /// A descriptor that is readable while a signal is pending. Nothing is read from it.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn descriptor(&self) -> Result<OwnedFd, Errno> {
        signalfd(self.set)
    }

    /// Takes the next signal, sleeping for at most `patience` until there is one; infinity is for ever. `None` for no signal, and
    /// for one that says nothing.
    pub fn next(&self, patience: Span) -> Option<Signal> {
        let limit = (!patience.is_infinite()).then(|| Duration::from_micros(patience.as_micros()));
        self.received(wait_signal(self.set, limit))
    }

    /// Forgets our code and takes the next signal, however long that takes.
    pub fn settle(&self) -> Option<Signal> {
        self.received(forget_code_and_wait_signal(self.set))
    }

    fn received(&self, info: Result<Info, Errno>) -> Option<Signal> {
        let info = info.ok()?;
        let signal = Signal::new(info.signal())?;
        // Our own write to a pipe that nobody reads any more.
        let echo = signal == Signal::PIPE && info.sender() == Some(self.own_pid);
        (!echo).then_some(signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faults_are_left_alone_and_all_others_taken() {
        let taken = all();
        for n in 1..=64 {
            let fault = [4, 5, 6, 7, 8, 11, 31].contains(&n);
            assert_eq!(taken & bit(n) == 0, fault, "signal {n}");
        }
    }
}
