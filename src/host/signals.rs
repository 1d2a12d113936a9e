//! Signals to PID 1: blocked from the start, read from a signalfd, never handled.
//!
//! Nothing runs in signal context, so nothing can be interrupted or lost: what the kernel has queued is what is read, real-time
//! signals each by itself and in their order. A child gets back the very state that tinysvc was started with.
//!
//! signal-hook's self-pipe would cost a handler, a write and a read for each signal, and two system
//! calls for each of 60 signals at the start; see ARCHITECTURE.md.
#![forbid(unsafe_code)]

use super::sys::signal::{set_disposition, set_mask, signalfd};
use crate::plan::SignalState;
use crate::unit::spec::Signal;
use nix::errno::Errno;
use nix::unistd::read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The size of `struct signalfd_siginfo`, signalfd(2).
const INFO_SIZE: usize = 128;
/// How many are read at once.
const BATCH: usize = 8;

/// The signals of this process.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    original_mask: u64,
    sigchld_was_ignored: bool,
    own_pid: u32,
}

/// One signal that was sent to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: Signal,
    /// It came from this process: SIGPIPE of a log line that nobody read, say.
    pub own: bool,
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
    /// Blocks every signal and begins to collect them.
    ///
    /// # Errors
    /// That of signalfd(2).
    pub fn take_over() -> Result<Signals, Errno> {
        let set = all();
        // Signals that came with us blocked stay blocked, faults among them.
        let original_mask = set_mask(set)?;
        // An ignored SIGCHLD would have the kernel throw our children's ends away.
        let sigchld_was_ignored = set_disposition(Signal::CHLD.number(), false)?;
        Ok(Signals { fd: signalfd(set)?, original_mask, sigchld_was_ignored, own_pid: std::process::id() })
    }

    /// The state that a child is to start with: the one that we were started with.
    ///
    /// Only the mask and SIGCHLD's disposition are ever changed here, so that is all to be put back.
    pub fn original(&self) -> SignalState {
        let chld = bit(Signal::CHLD.number());
        let (default, ignore) = if self.sigchld_was_ignored { (0, chld) } else { (chld, 0) };
        SignalState { mask: self.original_mask, default, ignore }
    }

    /// Reads what has come, at most a batch, and sleeps until there is something; calls `each` for every signal in the kernel's order. Says whether there
    /// may be more.
    pub fn drain(&self, mut each: impl FnMut(Received)) -> bool {
        let mut buffer = [0u8; INFO_SIZE * BATCH];
        let Ok(len) = read(&self.fd, &mut buffer) else { return false };
        let (infos, _) = buffer.split_at(len.min(buffer.len()));
        for info in infos.chunks_exact(INFO_SIZE) {
            // ssi_signo at 0, ssi_pid at 12.
            let word = |at: usize| {
                info.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
            };
            if let Some(signal) = i32::try_from(word(0)).ok().and_then(Signal::new) {
                each(Received { signal, own: word(12) == self.own_pid });
            }
        }
        len == buffer.len()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
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
