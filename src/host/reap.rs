//! Children and their ends: who is a run of the engine, and who is an orphan that fell to us.
//!
//! There are two ways to learn of an end. *Waiting*: SIGCHLD says that somebody ended, waitpid(2) reaps one after
//! the other. *Automatic*: SIGCHLD is ignored, so that the kernel frees every orphan by itself at no
//! cost to us, and the ends of our own runs come from their pidfds (PIDFD_GET_INFO with
//! PIDFD_INFO_EXIT, Linux 6.15). We wait at first, since that costs nothing to begin with, and turn automatic once
//! orphans keep coming; we wait again before anything is spawned (a child may end before its pidfd is there)
//! and whenever it matters that nobody is left (only waiting can tell).
#![forbid(unsafe_code)]

use super::sys::process::{has_child, kill, pidfd_exit_status, pidfd_open, pidfd_send_signal, wait_any};
use super::sys::signal::set_disposition;
use crate::engine::{Run, UnitId};
use crate::unit::spec::{Exit, Signal};
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many orphans are waited for before the kernel is left to reap them.
const ORPHANS_BEFORE_AUTOMATIC: u32 = 16;
/// How many children are reaped in one turn, so that a flood of them cannot keep the loop from its other work.
const REAPED_A_TURN_MAX: usize = 4096;

/// A run of the engine whose process lives.
#[derive(Debug)]
struct Live {
    run: Run,
    unit: UnitId,
    pid: i32,
    /// Held while reaping is automatic.
    pidfd: Option<OwnedFd>,
}

/// A run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub run: Run,
    /// How.
    pub exit: Exit,
}

/// Every child of ours that we know, and the way we learn of their ends.
#[derive(Debug, Default)]
pub struct Reaper {
    live: Vec<Live>,
    /// Those whose messages may still be unread.
    just_ended: Vec<Live>,
    automatic: bool,
    has_been_automatic: bool,
    /// This kernel can tell ends by pidfd; found out once.
    can_be_automatic: Option<bool>,
    orphans_in_a_row: u32,
    orphans: u64,
    /// No child is left, and none has been made since.
    nobody: bool,
}

impl Reaper {
    /// A child was made for a run.
    pub fn born(&mut self, run: Run, unit: UnitId, pid: i32) {
        self.live.push(Live { run, unit, pid, pidfd: None });
        self.nobody = false;
    }

    /// The process of a run.
    pub fn pid(&self, run: Run) -> Option<i32> {
        self.live.iter().find(|live| live.run == run).map(|live| live.pid)
    }

    /// The run and unit of a process that lives, or has ended since [`Reaper::forget_ended`].
    pub fn owner(&self, pid: i32) -> Option<(Run, UnitId)> {
        let of = |live: &Live| (live.run, live.unit);
        let lives = self.live.iter().find(|live| live.pid == pid).map(of);
        lives.or_else(|| self.just_ended.iter().find(|live| live.pid == pid).map(of))
    }

    /// What those who have ended said is read.
    pub fn forget_ended(&mut self) {
        self.just_ended.clear();
    }

    /// The processes of the runs of one unit.
    pub fn pids_of(&self, unit: UnitId) -> impl Iterator<Item = i32> {
        self.live.iter().filter(move |live| live.unit == unit).map(|live| live.pid)
    }

    /// How many orphans were reaped; unknown as soon as the kernel has reaped some by itself.
    pub fn orphans(&self) -> Option<u64> {
        (!self.has_been_automatic).then_some(self.orphans)
    }

    /// Whether there is no child at all, dead or alive. Only to be relied on while waiting.
    pub fn nobody(&mut self) -> bool {
        if !self.nobody {
            self.nobody = !has_child().unwrap_or(true);
        }
        self.nobody
    }

    /// Sends a signal to the process of a run. One that has ended is no error.
    pub fn signal(&self, run: Run, signal: Signal) -> Result<(), Errno> {
        let Some(live) = self.live.iter().find(|live| live.run == run) else { return Ok(()) };
        let sent = match &live.pidfd {
            // Reaped behind our back, its pid may be somebody else's by now.
            Some(fd) => pidfd_send_signal(fd.as_fd(), signal.number()),
            None => kill(live.pid, signal.number()),
        };
        if sent == Err(Errno::ESRCH) { Ok(()) } else { sent }
    }

    /// Learns which runs have ended; `stopped` hears of runs that were stopped, where that is asked for. Says whether
    /// there may be more.
    pub fn collect(&mut self, ended: &mut Vec<Ended>, mut stopped: Option<&mut dyn FnMut(Run)>) -> bool {
        if self.automatic {
            self.collect_automatic(ended);
            return false;
        }
        for turn in 1..=REAPED_A_TURN_MAX {
            match wait_any(stopped.is_some()) {
                Ok(Some((pid, status))) => match decode(status) {
                    Some(exit) => self.reaped(pid, exit, ended),
                    None => {
                        if let (Some(tell), Some((run, _))) = (stopped.as_mut(), self.owner(pid)) {
                            tell(run);
                        }
                    }
                },
                Ok(None) => break,
                Err(e) => {
                    self.nobody = e == Errno::ECHILD;
                    break;
                }
            }
            // Enough orphans to let the kernel reap the rest of them: `relax` comes after this.
            if turn == REAPED_A_TURN_MAX || self.would_relax() {
                return true;
            }
        }
        // Somebody who was just being reaped by the kernel when we began to wait again.
        if self.live.iter().any(|live| live.pidfd.is_some()) {
            self.collect_automatic(ended);
        }
        false
    }

    fn reaped(&mut self, pid: i32, exit: Exit, ended: &mut Vec<Ended>) {
        match self.live.iter().position(|live| live.pid == pid) {
            Some(at) => {
                let live = self.live.swap_remove(at);
                ended.push(Ended { run: live.run, exit });
                self.just_ended.push(live);
            }
            None => {
                self.orphans += 1;
                self.orphans_in_a_row = self.orphans_in_a_row.saturating_add(1);
            }
        }
    }

    fn collect_automatic(&mut self, ended: &mut Vec<Ended>) {
        let told = self.live.extract_if(.., |live| {
            let status = live.pidfd.as_ref().map(|fd| pidfd_exit_status(fd.as_fd()));
            let Some(Ok(Some(status))) = status else { return false };
            let exit = decode(status).unwrap_or(Exit::Exited(0));
            ended.push(Ended { run: live.run, exit });
            true
        });
        self.just_ended.extend(told.map(|live| Live { pidfd: None, ..live }));
    }

    /// Whether orphans keep coming, and the kernel can, as far as we know. With no run there is no exit to be told by
    /// pidfd, and soon a spawn, before which we wait again.
    fn would_relax(&self) -> bool {
        self.orphans_in_a_row >= ORPHANS_BEFORE_AUTOMATIC
            && self.can_be_automatic != Some(false)
            && !self.live.is_empty()
    }

    /// Turns automatic when orphans keep coming and the kernel can; `watch` is given each pidfd to be polled.
    pub fn relax(
        &mut self,
        ended: &mut Vec<Ended>,
        mut watch: impl FnMut(BorrowedFd<'_>) -> Result<(), Errno>,
    ) {
        if self.automatic || !self.would_relax() {
            return;
        }
        self.orphans_in_a_row = 0;
        if !*self.can_be_automatic.get_or_insert_with(kernel_tells_ends_by_pidfd) {
            return;
        }
        // Each is our child and not yet reaped, so its pid is still its own.
        let opened = self.live.iter_mut().try_for_each(|live| {
            let fd = pidfd_open(live.pid)?;
            // A seccomp profile that lacks this call says so here, while we still wait.
            pidfd_exit_status(fd.as_fd())?;
            watch(fd.as_fd())?;
            live.pidfd = Some(fd);
            Ok::<(), Errno>(())
        });
        if opened.is_ok() && set_disposition(Signal::CHLD.number(), true).is_ok() {
            (self.automatic, self.has_been_automatic) = (true, true);
            self.clear_remains(ended);
        } else {
            self.can_be_automatic = Some(false);
            self.live.iter_mut().for_each(|live| live.pidfd = None);
        }
    }

    /// Goes back to waiting.
    pub fn attend(&mut self, ended: &mut Vec<Ended>) {
        self.orphans_in_a_row = 0;
        if !self.automatic || set_disposition(Signal::CHLD.number(), false).is_err() {
            return;
        }
        // Whoever ended before this moment is told by its pidfd, whoever ends after it by waitpid(2). The pidfds are
        // kept, since one that is just being reaped has nothing to tell yet.
        self.automatic = false;
        self.collect_automatic(ended);
    }

    /// Reaps what had already ended when the kernel began to reap: it does not look back.
    fn clear_remains(&mut self, ended: &mut Vec<Ended>) {
        while let Ok(Some((pid, status))) = wait_any(false) {
            if let Some(exit) = decode(status) {
                self.reaped(pid, exit, ended);
            }
        }
        self.orphans_in_a_row = 0;
    }
}

/// What wait(2) says in its status, `None` for a stop or a continuation.
pub fn decode(status: i32) -> Option<Exit> {
    let signal = status & 0x7f;
    match signal {
        0 => u8::try_from((status >> 8) & 0xff).ok().map(Exit::Exited),
        0x7f => None,
        _ if status & 0x80 != 0 => Signal::new(signal).map(Exit::Dumped),
        _ => Signal::new(signal).map(Exit::Killed),
    }
}

/// Linux 6.15 and later keep how a process ended for the holder of a pidfd.
fn kernel_tells_ends_by_pidfd() -> bool {
    let Ok(name) = nix::sys::utsname::uname() else { return false };
    name.release().to_str().and_then(version).is_some_and(|version| version >= (6, 15))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_is_read_as_the_manual_has_it() {
        let table = [
            (0x0000, Some(Exit::Exited(0))),
            (0x2a00, Some(Exit::Exited(42))),
            (0xff00, Some(Exit::Exited(255))),
            (0x000f, Some(Exit::Killed(Signal::TERM))),
            (0x008b, Some(Exit::Dumped(Signal::SEGV))),
            (0x0022, Some(Exit::Killed(Signal::realtime(0)))),
            (0x0040, Some(Exit::Killed(Signal::realtime(30)))),
            (0x137f, None),
            (0xffff, None),
        ];
        for (status, exit) in table {
            assert_eq!(decode(status), exit, "{status:#x}");
        }
    }

    #[test]
    fn a_release_is_compared_by_its_numbers() {
        let table = [
            ("6.18.44-fc", Some((6, 18))),
            ("6.15.0", Some((6, 15))),
            ("10.1", Some((10, 1))),
            ("4.4", Some((4, 4))),
            ("6", None),
            ("", None),
            ("six.two", None),
        ];
        for (release, numbers) in table {
            assert_eq!(version(release), numbers, "{release}");
        }
        assert!(version("6.9.1").unwrap() < (6, 15));
    }
}
