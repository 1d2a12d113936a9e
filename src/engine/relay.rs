//! Decides for the smallest init: one child, signals passed on, orphans reaped.
//!
//! This is what tinysvc is when it is called `tini`, `dumb-init` or `catatonit`: none of the service
//! machinery, only what that program would do. [`Relay::step`] maps a fact to orders, and the orders are carried
//! out before the next fact is looked at. A [`Order::Signal`] that fails and each end of [`Order::Reap`] come back as
//! facts of their own.
//!
//! It reads no clock, makes no system call and chooses no process: "the child" and "its group" is all it knows. A pid
//! appears only because these programs print it.
//!
//! The behaviour is that of tini 0.19.0, dumb-init 1.2.5 and catatonit 0.1.7, probed; `integration/peers.rs`
//! compares each with its original.
#![forbid(unsafe_code)]

mod catatonit;
mod dumb_init;
mod tini;
mod words;

pub use catatonit::Catatonit;
pub use dumb_init::{DumbInit, REWRITE_MAX};
pub use tini::Tini;

use crate::unit::spec::{Exit, Signal};

/// One of the three, with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Relay {
    /// tini(1), also called docker-init.
    Tini(Tini),
    /// dumb-init(1).
    DumbInit(DumbInit),
    /// catatonit(1).
    Catatonit(Catatonit),
}

/// Something that has happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact<'a> {
    /// The process stands, with its signals blocked and no child yet.
    Begun {
        /// Its own pid.
        pid: i32,
        /// Whether orphans will be handed to it: it is PID 1 or a child subreaper.
        reaper: bool,
        /// Why it could not take up its place is told next.
        refused: bool,
    },
    /// [`Conduct::parent_death`] could not be set.
    NoParentDeathSignal,
    /// [`Conduct::subreaper`] could not be had.
    NoSubreaper {
        /// The errno of prctl(2).
        errno: i32,
    },
    /// The controlling terminal was given up, or was not.
    Detached {
        /// The errno of the ioctl, if it failed.
        failed: Option<i32>,
        /// Whether this process leads its session.
        leader: bool,
    },
    /// The child executes its program.
    Spawned {
        /// Its pid.
        pid: i32,
        /// The program as it was asked for.
        program: &'a str,
        /// What the child met while it took the terminal.
        terminal: Terminal,
    },
    /// There is no process: the errno of fork(2).
    NoProcess {
        /// The errno.
        errno: i32,
    },
    /// The child has ended before its program began, and is reaped.
    NotExecuted {
        /// Its pid; our own if there was not even a child.
        pid: i32,
        /// The program as it was asked for.
        program: &'a str,
        /// The errno of the call that failed.
        errno: i32,
        /// Which call that was.
        at: Hurdle,
        /// What the child met while it took the terminal.
        terminal: Terminal,
    },
    /// Somebody sent this process a signal.
    Signal(Signal),
    /// The last [`Order::Signal`] could not be delivered.
    Undelivered {
        /// The signal.
        signal: Signal,
        /// The first argument of the kill(2) that failed.
        target: i32,
        /// Its errno.
        errno: i32,
    },
    /// [`Order::Reap`] found a process that had ended.
    Reaped {
        /// Its pid.
        pid: i32,
        /// Whether it is the child, and not an orphan.
        main: bool,
        /// How it ended.
        exit: Exit,
    },
    /// [`Order::Reap`] finds nothing more.
    Emptied {
        /// No child is left at all.
        none_left: bool,
    },
    /// [`Conduct::close_descriptors`] did not fully succeed.
    DescriptorsLeft,
}

/// Which call stopped a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurdle {
    /// setpgid(2) or setsid(2).
    Session,
    /// tcsetpgrp(3), for a reason other than that there is no terminal.
    Foreground,
    /// execve(2), or anything else.
    Exec,
}

/// What became of the terminal in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// It is the child's, or nobody asked.
    Taken,
    /// It is not: this errno.
    Refused(i32),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Write a line; its end is added.
    Say(Stream, String),
    /// Send a signal; [`Fact::Undelivered`] follows if that fails.
    Signal(Whom, Signal),
    /// Reap until nothing is left: [`Fact::Reaped`] for each, each with its orders carried out, then [`Fact::Emptied`].
    Reap,
    /// Stop as a job that Ctrl-Z was pressed on.
    StopSelf,
    /// End with this status. Nothing that stands behind it counts.
    Exit(u8),
}

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// To whom a signal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The child alone.
    Child,
    /// The process group that the child leads.
    Group,
}

/// What the process itself must be before it has a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// The signals that are blocked and waited for; bit n−1 is signal n.
    pub taken: u64,
    /// The signal this process asks for when its own parent dies.
    pub parent_death: Option<Signal>,
    /// Become a child subreaper.
    pub subreaper: Subreaper,
    /// Give up the controlling terminal, which makes [`Fact::Detached`].
    pub detach: bool,
    /// Go to `/` once the child is on its way, so that no mount is kept busy.
    pub leave_directory: bool,
    /// Close every descriptor from 3 on, once the child has its own.
    pub close_descriptors: bool,
    /// The place of the child among sessions and groups.
    pub place: Place,
    /// The child is not started if standard input is closed, since the terminal is looked for there.
    pub needs_stdin: bool,
    /// The relay has words for what became of the terminal, so it is worth finding out.
    pub asks_terminal: bool,
    /// `LISTEN_PID` becomes the child's pid if it was ours (sd_listen_fds(3)).
    pub listen_pid: bool,
}

/// The child's place among sessions and process groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A group of its own, in the foreground of the terminal.
    Foreground,
    /// A session of its own, which takes the terminal on standard input.
    OwnSession,
    /// That of the init itself.
    Ours,
}

/// The signal state that a program starts with. Bit n−1 of a mask is signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// The blocked signals.
    pub mask: u64,
    /// Those put back to the default action.
    pub default: u64,
    /// Those put back to being ignored.
    pub ignore: u64,
}

/// Whether to become a child subreaper (`PR_SET_CHILD_SUBREAPER`, prctl(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subreaper {
    /// No.
    Never,
    /// Yes, unless it is PID 1.
    UnlessFirst,
    /// Yes, whatever it is.
    Always,
}

impl Relay {
    /// What the process itself must be before it has a child.
    pub fn conduct(&self) -> Conduct {
        match self {
            Relay::Tini(tini) => tini.conduct(),
            Relay::DumbInit(dumb_init) => dumb_init.conduct(),
            Relay::Catatonit(catatonit) => catatonit.conduct(),
        }
    }

    /// The signal state of the child's program: `inherited` is the mask and the ignored signals that this
    /// process was started with and has changed since.
    pub fn child_signals(&self, inherited: Signals) -> Signals {
        match self {
            // As they were.
            Relay::Tini(_) => inherited,
            Relay::DumbInit(_) => dumb_init::child_signals(inherited),
            Relay::Catatonit(_) => catatonit::child_signals(inherited),
        }
    }

    /// What is to be done about a fact. `orders` is added to.
    pub fn step(&mut self, fact: Fact<'_>, orders: &mut Vec<Order>) {
        match self {
            Relay::Tini(tini) => tini.step(fact, orders),
            Relay::DumbInit(dumb_init) => dumb_init.step(fact, orders),
            Relay::Catatonit(catatonit) => catatonit.step(fact, orders),
        }
    }
}

/// The bit of a signal in a mask.
const fn bit(number: u32) -> u64 {
    1 << (number - 1)
}

/// What `sigfillset` of glibc means: all but the two that its threads use, 32 and 33. KILL and STOP are in it; the
/// kernel does not mind.
const ALL: u64 = !(bit(32) | bit(33));

/// FPE ILL SEGV BUS ABRT TRAP SYS: faults of the init itself, which must kill it and mean nothing to its child.
const FAULTS: u64 = bit(8) | bit(4) | bit(11) | bit(7) | bit(6) | bit(5) | bit(31);

/// TSTP TTIN TTOU: what a terminal stops a job with.
const STOPS: u64 = bit(20) | bit(21) | bit(22);

#[cfg(test)]
mod tests;
