//! Sleeping until there is something to do.
//!
//! Most of the time there is one thing to wait for, signals, and then the wait is the call that takes them:
//! one system call where epoll(7) would need two, and no descriptor at all. As soon as anything
//! else is watched, epoll does the waiting. Before the first sleep that no deadline ends, the code that was only needed to
//! get there is unmapped.
#![forbid(unsafe_code)]

use super::signals::Signals;
use super::sys::memory::forget_code_and_poll;
use crate::unit::spec::{Signal, Span};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::{AsFd, OwnedFd};

/// What can be watched beside signals. A set of them is a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Source {
    /// Readiness messages.
    Notify = 1,
    /// A client at the probes' listener.
    Listener = 2,
    /// The health role asks.
    Channel = 4,
    /// The end of a run, by its pidfd; any of them.
    Pidfd = 8,
}

/// A signal is pending.
const SIGNALS: u64 = 16;
/// How many events one wait returns.
const EVENTS_MAX: usize = 8;

/// What a wait has found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    sources: u64,
    /// The next signal in the kernel's order. One a turn, so that a flood of them cannot keep the loop from its other work.
    pub signal: Option<Signal>,
}

impl Ready {
    /// Whether this source has something to say.
    pub fn has(self, source: Source) -> bool {
        self.sources & source as u64 != 0
    }
}

/// What is waited for.
#[derive(Debug, Default)]
pub struct Waiting {
    /// There once something beside signals is, or has been, watched; with it the descriptor of the signals.
    epoll: Option<(Epoll, OwnedFd)>,
    /// We have slept without a deadline once.
    settled: bool,
}

impl Waiting {
    /// Watches a descriptor until it is closed or [`Waiting::ignore`]d.
    ///
    /// # Errors
    /// Those of signalfd(2), epoll_create1(2) and epoll_ctl(2).
    pub fn watch(&mut self, signals: &Signals, fd: impl AsFd, source: Source) -> Result<(), Errno> {
        let readable = |source| EpollEvent::new(EpollFlags::EPOLLIN, source);
        let (epoll, _) = match &self.epoll {
            Some(epoll) => epoll,
            None => {
                let (epoll, pending) = (Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, signals.descriptor()?);
                epoll.add(&pending, readable(SIGNALS))?;
                self.epoll.insert((epoll, pending))
            }
        };
        epoll.add(fd, readable(source as u64))
    }

    /// Watches a descriptor no more.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn ignore(&mut self, fd: impl AsFd) -> Result<(), Errno> {
        self.epoll.as_ref().map_or(Ok(()), |(epoll, _)| epoll.delete(fd))
    }

    /// Sleeps until there is something, at most for `patience`; infinity is for ever.
    ///
    /// # Errors
    /// Those of epoll_wait(2) that are no interruption.
    pub fn wait(&mut self, signals: &Signals, patience: Span) -> Result<Ready, Errno> {
        let settle = patience.is_infinite() && !self.settled;
        self.settled |= settle;
        let Some((epoll, _)) = &self.epoll else {
            let signal = if settle { signals.settle() } else { signals.next(patience) };
            return Ok(Ready { sources: 0, signal });
        };
        if settle {
            // An epoll instance can itself be polled for; what is ready is asked at once.
            interrupted(forget_code_and_poll(epoll.0.as_fd()))?;
        }
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let found = interrupted(epoll.wait(&mut events, timeout(patience)))?;
        let sources = events.get(..found).unwrap_or_default().iter().fold(0, |set, event| set | event.data());
        let signal = if sources & SIGNALS != 0 { signals.next(Span::ZERO) } else { None };
        Ok(Ready { sources, signal })
    }
}

/// An interruption is a wait that found nothing.
fn interrupted<T: Default>(result: Result<T, Errno>) -> Result<T, Errno> {
    if matches!(result, Err(Errno::EINTR)) { Ok(T::default()) } else { result }
}

/// In milliseconds, rounded up: a wake-up just before a deadline would only be another wait.
pub(super) fn timeout(patience: Span) -> EpollTimeout {
    if patience.is_infinite() {
        return EpollTimeout::NONE;
    }
    let ms = i32::try_from(patience.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    EpollTimeout::try_from(ms).unwrap_or(EpollTimeout::MAX)
}
