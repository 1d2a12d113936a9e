//! Sleeping until there is something to do.
//!
//! Most of the time there is one thing to wait for, signals, and then the wait is the read that takes them:
//! one system call where epoll(7) would need two, and no epoll instance at all. As soon as anything
//! else is watched, epoll does the waiting. Before the first sleep that no deadline ends, the code that was only needed to
//! get there is unmapped.
#![forbid(unsafe_code)]

use super::signals::Signals;
use super::sys::memory::forget_code_and_wait;
use crate::unit::spec::Span;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;

/// What can be watched. A set of them is a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Source {
    /// The signalfd.
    Signals = 1,
    /// Readiness messages.
    Notify = 2,
    /// A client at the probes' listener.
    Listener = 4,
    /// The health role asks.
    Channel = 8,
    /// The end of a run, by its pidfd; any of them.
    Pidfd = 16,
}

/// Which sources have something to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready(u64);

impl Ready {
    /// Whether this one has.
    pub fn has(self, source: Source) -> bool {
        self.0 & source as u64 != 0
    }
}

/// How many events one wait returns.
const EVENTS_MAX: usize = 8;

/// What is waited for beside signals.
#[derive(Debug, Default)]
pub struct Waiting {
    /// There once something other than signals is, or has been, watched.
    epoll: Option<Epoll>,
    /// We have slept without a deadline once.
    settled: bool,
}

impl Waiting {
    /// Watches a descriptor until it is closed or [`Waiting::ignore`]d.
    ///
    /// # Errors
    /// Those of epoll_create1(2) and epoll_ctl(2).
    pub fn watch(&mut self, signals: &Signals, fd: impl AsFd, source: Source) -> Result<(), Errno> {
        let readable = |source| EpollEvent::new(EpollFlags::EPOLLIN, source as u64);
        let epoll = match self.epoll.take() {
            Some(epoll) => epoll,
            None => {
                let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
                epoll.add(signals, readable(Source::Signals))?;
                epoll
            }
        };
        self.epoll.insert(epoll).add(fd, readable(source))
    }

    /// Watches a descriptor no more.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn ignore(&mut self, fd: impl AsFd) -> Result<(), Errno> {
        self.epoll.as_ref().map_or(Ok(()), |epoll| epoll.delete(fd))
    }

    /// Sleeps until a source is ready, at most for `patience`; infinity is for ever.
    ///
    /// # Errors
    /// Those of epoll_wait(2) and poll(2) that are no interruption.
    pub fn wait(&mut self, signals: &Signals, patience: Span) -> Result<Ready, Errno> {
        let ready = match &self.epoll {
            // Whoever reads next sleeps until there is something to be read.
            None if patience.is_infinite() && self.settled => Ok(Ready(Source::Signals as u64)),
            None => {
                let ms = millis(patience)
                    .and_then(|ms| PollTimeout::try_from(ms).ok())
                    .unwrap_or(PollTimeout::NONE);
                let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
                if patience.is_infinite() {
                    self.settled = true;
                    forget_code_and_wait(&mut fds).map(|n| Ready(n.min(1) as u64))
                } else {
                    poll(&mut fds, ms).map(|n| Ready(u64::from(n > 0)))
                }
            }
            Some(epoll) => {
                if patience.is_infinite() && !self.settled {
                    self.settled = true;
                    // An epoll instance can itself be polled for; what is ready is asked at once.
                    forget_code_and_wait(&mut [PollFd::new(epoll.0.as_fd(), PollFlags::POLLIN)])?;
                }
                let ms = millis(patience)
                    .and_then(|ms| EpollTimeout::try_from(ms).ok())
                    .unwrap_or(EpollTimeout::NONE);
                let mut events = [EpollEvent::empty(); EVENTS_MAX];
                epoll.wait(&mut events, ms).map(|n| {
                    Ready(events.get(..n).unwrap_or_default().iter().fold(0, |set, event| set | event.data()))
                })
            }
        };
        match ready {
            Err(Errno::EINTR) => Ok(Ready::default()),
            ready => ready,
        }
    }
}

/// In milliseconds, rounded up: a wake-up just before a deadline would only be another wait.
fn millis(patience: Span) -> Option<i32> {
    let ms = patience.as_micros().div_ceil(1000);
    (!patience.is_infinite()).then(|| i32::try_from(ms).unwrap_or(i32::MAX))
}
