//! catatonit: as tini, but always a reaper, and deaf to the terminal's stop signals.
//!
//! Lines go to standard error. Without `CATATONIT_DEBUG` only errors are said.
#![forbid(unsafe_code)]

use super::{
    ALL, Conduct, FAULTS, Fact, Hurdle, Order, Place, STOPS, Signals, Stream, Subreaper, Terminal, Whom,
    words,
};
use crate::unit::spec::{Exit, Signal};

/// The options, and what has happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catatonit {
    /// `CATATONIT_DEBUG`.
    pub debug: bool,
    /// `-g`.
    pub group: bool,
    /// `-P`: no child; reap until INT or TERM comes.
    pub pause: bool,
    pid: i32,
    status: Option<u8>,
}

/// The inherited mask and the three stop signals: the original adds them for itself and then hands the same
/// set to the child. Ctrl-Z does not work in a shell below it.
pub(super) fn child_signals(inherited: Signals) -> Signals {
    Signals { mask: inherited.mask | STOPS, ..inherited }
}

impl Catatonit {
    pub(super) fn conduct(&self) -> Conduct {
        Conduct {
            taken: ALL & !FAULTS,
            parent_death: None,
            subreaper: Subreaper::UnlessFirst,
            detach: false,
            leave_directory: false,
            close_descriptors: true,
            place: Place::Foreground,
            needs_stdin: false,
            asks_terminal: self.debug,
            listen_pid: true,
        }
    }

    pub(super) fn step(&mut self, fact: Fact<'_>, orders: &mut Vec<Order>) {
        match fact {
            Fact::Begun { pid, .. } => self.pid = pid,
            Fact::NoSubreaper { errno } => {
                let why = words::errno(errno);
                self.error(orders, format!("failed to set child-reaper as non-pid1: {why}"));
                orders.push(Order::Exit(1));
            }
            Fact::Spawned { pid, program, terminal } => self.spawned(orders, pid, program, terminal),
            Fact::NoProcess { errno } => {
                let why = words::errno(errno);
                self.error(orders, format!("failed to fork child: {why}"));
                self.error(orders, format!("failed to spawn pid1: {why}"));
                orders.push(Order::Exit(1));
            }
            Fact::NotExecuted { pid, program, errno, at, terminal } => {
                let why = words::errno(errno);
                let text = match at {
                    Hurdle::Session => "failed to create process group".to_owned(),
                    Hurdle::Foreground => format!("setting foreground process failed: {why}"),
                    Hurdle::Exec => format!("failed to exec pid1: {why}"),
                };
                self.spawned(orders, pid, program, terminal);
                orders.push(Order::Say(Stream::Err, format!("ERROR (catatonit:{pid}): {text}")));
                self.reaped(orders, pid, true, Exit::Exited(1));
                self.emptied(orders, true);
            }
            Fact::DescriptorsLeft => {
                self.debug(orders, "WARN", || "failed to close some file descriptor in range >=3".to_owned());
            }
            Fact::Signal(Signal::CHLD) => orders.push(Order::Reap),
            Fact::Signal(Signal::TSTP | Signal::TTIN | Signal::TTOU) => {
                self.debug(orders, "DEBUG", || {
                    "ignoring kernel attempting to stop us: tty has TOSTOP set".to_owned()
                });
            }
            Fact::Signal(Signal::INT | Signal::TERM) if self.pause => orders.push(Order::Exit(0)),
            Fact::Signal(_) if self.pause => {}
            Fact::Signal(signal) => {
                orders.push(Order::Signal(if self.group { Whom::Group } else { Whom::Child }, signal));
            }
            Fact::Undelivered { signal, target, errno } => self.debug(orders, "WARN", || {
                let (signal, why) = (signal.number(), words::errno(errno));
                format!("forwarding of signal {signal} to pid1 ({target}) failed: {why}")
            }),
            Fact::Reaped { pid, main, exit } => self.reaped(orders, pid, main, exit),
            Fact::Emptied { none_left } => self.emptied(orders, none_left),
            // It never gives up its terminal and has no parent-death signal.
            Fact::Detached { .. } | Fact::NoParentDeathSignal => {}
        }
    }

    fn spawned(&self, orders: &mut Vec<Order>, pid: i32, program: &str, terminal: Terminal) {
        self.debug(orders, "DEBUG", || format!("pid1 ({pid}) spawned: {program}"));
        if let (Terminal::Refused(errno), true) = (terminal, self.debug) {
            // What the child of the original says: /dev/tty is tried first, then standard input.
            let line = format!(
                "INFO (catatonit:{pid}): using stdin as tty fd: could not open /dev/tty: {}",
                words::errno(6)
            );
            orders.push(Order::Say(Stream::Err, line));
            let line = match errno {
                6 => "no such device".to_owned(),
                _ => format!("no tty present: {}", words::errno(errno)),
            };
            let line = format!("DEBUG (catatonit:{pid}): setting foreground process failed: {line}");
            orders.push(Order::Say(Stream::Err, line));
        }
    }

    fn reaped(&mut self, orders: &mut Vec<Order>, pid: i32, main: bool, exit: Exit) {
        if main {
            self.status = Some(exit.shell_status());
            return;
        }
        self.debug(orders, "DEBUG", || match exit {
            Exit::Exited(status) => format!("child process {pid} exited with code {status}"),
            Exit::Killed(signal) | Exit::Dumped(signal) => {
                format!("child process {pid} exited due to signal {}", signal.number())
            }
        });
    }

    fn emptied(&self, orders: &mut Vec<Order>, none_left: bool) {
        if none_left {
            self.debug(orders, "DEBUG", || "got ECHILD: no children left to monitor".to_owned());
        }
        if let Some(status) = self.status {
            orders.push(Order::Exit(status));
        }
    }

    fn error(&self, orders: &mut Vec<Order>, text: String) {
        orders.push(Order::Say(Stream::Err, format!("ERROR (catatonit:{}): {text}", self.pid)));
    }

    fn debug(&self, orders: &mut Vec<Order>, level: &str, text: impl FnOnce() -> String) {
        if self.debug {
            orders.push(Order::Say(Stream::Err, format!("{level} (catatonit:{}): {}", self.pid, text())));
        }
    }
}
