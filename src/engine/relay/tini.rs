//! tini: the child in a group of its own, in the foreground; signals to the child or, if asked, to its group.
//!
//! Lines carry a level and its own pid. FATAL and WARN go to standard error, the rest to standard output.
//! What the verbosity hides is not even put together.
#![forbid(unsafe_code)]

use super::{ALL, Conduct, FAULTS, Fact, Hurdle, Order, Place, Stream, Subreaper, Terminal, Whom, words};
use crate::unit::spec::{Exit, Signal};

/// `ESRCH`, errno(3).
const ESRCH: i32 = 3;

/// The options, and what has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Tini {
    /// `-s`, `TINI_SUBREAPER`.
    pub subreaper: bool,
    /// `-p`.
    pub parent_death: Option<Signal>,
    /// 0 fatal only, 1 and warnings (the default), 2 information, 3 debugging, 4 and more everything.
    pub verbosity: u32,
    /// `-w`: warn of each orphan that is reaped.
    pub warn_on_reap: bool,
    /// `-g`, `TINI_KILL_PROCESS_GROUP`.
    pub group: bool,
    /// `-e`: the statuses that become 0. Bit n of the 256 is status n.
    pub to_zero: [u64; 4],
    /// Standard output is a terminal, so that the child's own lines show.
    pub child_lines: bool,
    pid: i32,
    status: Option<u8>,
}

impl Default for Tini {
    fn default() -> Self {
        Tini {
            subreaper: false,
            parent_death: None,
            verbosity: 1,
            warn_on_reap: false,
            group: false,
            to_zero: [0; 4],
            child_lines: false,
            pid: 0,
            status: None,
        }
    }
}

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Fatal,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Tini {
    /// Adds a status to those that become 0.
    pub fn map_to_zero(&mut self, status: u8) {
        if let Some(word) = self.to_zero.get_mut(usize::from(status) / 64) {
            *word |= 1 << (status % 64);
        }
    }

    pub(super) fn conduct(&self) -> Conduct {
        Conduct {
            // TTIN and TTOU are dropped when they come, which is as good as ignoring them: a write to
            // the terminal does not stop a process that blocks TTOU either.
            taken: ALL & !FAULTS,
            parent_death: self.parent_death,
            subreaper: if self.subreaper { Subreaper::Always } else { Subreaper::Never },
            detach: false,
            leave_directory: false,
            close_descriptors: false,
            place: Place::Foreground,
            needs_stdin: true,
            asks_terminal: self.child_lines,
            listen_pid: false,
        }
    }

    pub(super) fn step(&mut self, fact: Fact<'_>, orders: &mut Vec<Order>) {
        match fact {
            Fact::Begun { pid, refused: true, .. } => self.pid = pid,
            Fact::Begun { pid, reaper, refused: false } => {
                self.pid = pid;
                if self.subreaper {
                    self.say(orders, Level::Trace, || "Registered as child subreaper".to_owned());
                }
                if !reaper {
                    self.say(orders, Level::Warn, || CANNOT_REAP.to_owned());
                }
            }
            Fact::NoParentDeathSignal => {
                self.fatal(orders, "Failed to set up parent death signal".to_owned());
            }
            Fact::NoSubreaper { errno } => {
                let why = words::errno(errno);
                self.fatal(orders, format!("Failed to register as child subreaper: {why}"));
            }
            Fact::Spawned { pid, program, terminal } => self.spawned(orders, pid, program, terminal),
            Fact::NoProcess { errno } => self.fatal(orders, format!("fork failed: {}", words::errno(errno))),
            Fact::NotExecuted { pid, program, errno, at, terminal } => {
                let why = words::errno(errno);
                let (text, status) = match (at, errno) {
                    (Hurdle::Session, _) => (format!("setpgid failed: {why}"), 1),
                    (Hurdle::Foreground, _) => (format!("tcsetpgrp failed: {why}"), 1),
                    // The shell's convention: 127 not found, 126 not executable.
                    (Hurdle::Exec, 2) => (format!("exec {program} failed: {why}"), 127),
                    (Hurdle::Exec, 13) => (format!("exec {program} failed: {why}"), 126),
                    (Hurdle::Exec, _) => (format!("exec {program} failed: {why}"), 1),
                };
                self.spawned(orders, pid, program, terminal);
                orders.push(Order::Say(Stream::Err, format!("[FATAL tini ({pid})] {text}")));
                // The original sees an ordinary child that exits with that status.
                self.say(orders, Level::Debug, || "Received SIGCHLD".to_owned());
                self.reaped(orders, pid, true, Exit::Exited(status));
                self.emptied(orders, true);
            }
            Fact::Signal(Signal::CHLD) => {
                self.say(orders, Level::Debug, || "Received SIGCHLD".to_owned());
                orders.push(Order::Reap);
            }
            Fact::Signal(Signal::TTIN | Signal::TTOU) => {}
            Fact::Signal(signal) => {
                self.say(orders, Level::Debug, || format!("Passing signal: '{}'", words::signal(signal)));
                orders.push(Order::Signal(if self.group { Whom::Group } else { Whom::Child }, signal));
                // The original looks for zombies after every signal. That shows at this level only.
                if self.verbosity >= Level::Trace as u32 {
                    orders.push(Order::Reap);
                }
            }
            Fact::Undelivered { errno: ESRCH, .. } => {
                self.say(orders, Level::Warn, || "Child was dead when forwarding signal".to_owned());
            }
            Fact::Undelivered { errno, .. } => {
                let why = words::errno(errno);
                self.fatal(orders, format!("Unexpected error when forwarding signal: '{why}'"));
            }
            Fact::Reaped { pid, main, exit } => self.reaped(orders, pid, main, exit),
            Fact::Emptied { none_left } => self.emptied(orders, none_left),
            // It never gives up its terminal and never closes a descriptor.
            Fact::Detached { .. } | Fact::DescriptorsLeft => {}
        }
    }

    fn spawned(&self, orders: &mut Vec<Order>, pid: i32, program: &str, terminal: Terminal) {
        // The child says this into a buffer that it loses when its program begins, unless a terminal had it at once.
        let no_tty = match terminal {
            Terminal::Refused(25) => Some("no tty"),
            Terminal::Refused(6) => Some("no such device"),
            Terminal::Refused(_) | Terminal::Taken => None,
        };
        self.say(orders, Level::Info, || format!("Spawned child process '{program}' with pid '{pid}'"));
        if let (Some(why), true, true) = (no_tty, self.child_lines, self.verbosity >= Level::Debug as u32) {
            let line = format!("[DEBUG tini ({pid})] tcsetpgrp failed: {why} (ok to proceed)");
            orders.push(Order::Say(Stream::Out, line));
        }
    }

    fn reaped(&mut self, orders: &mut Vec<Order>, pid: i32, main: bool, exit: Exit) {
        self.say(orders, Level::Debug, || format!("Reaped child with pid: '{pid}'"));
        if !main {
            if self.warn_on_reap {
                self.say(orders, Level::Warn, || format!("Reaped zombie process with pid={pid}"));
            }
            return;
        }
        self.say(orders, Level::Info, || match exit {
            Exit::Exited(status) => format!("Main child exited normally (with status '{status}')"),
            Exit::Killed(signal) | Exit::Dumped(signal) => {
                format!("Main child exited with signal (with signal '{}')", words::signal(signal))
            }
        });
        let status = exit.shell_status();
        let word = self.to_zero.get(usize::from(status) / 64).copied().unwrap_or(0);
        self.status = Some(if word >> (status % 64) & 1 == 1 { 0 } else { status });
    }

    fn emptied(&self, orders: &mut Vec<Order>, none_left: bool) {
        let nobody = if none_left { "No child to wait" } else { "No child to reap" };
        self.say(orders, Level::Trace, || nobody.to_owned());
        if let Some(status) = self.status {
            self.say(orders, Level::Trace, || "Exiting: child has exited".to_owned());
            orders.push(Order::Exit(status));
        }
    }

    fn fatal(&self, orders: &mut Vec<Order>, text: String) {
        self.say(orders, Level::Fatal, || text);
        orders.push(Order::Exit(1));
    }

    fn say(&self, orders: &mut Vec<Order>, level: Level, text: impl FnOnce() -> String) {
        if level as u32 > self.verbosity {
            return;
        }
        let (stream, word) = match level {
            Level::Fatal => (Stream::Err, "FATAL"),
            Level::Warn => (Stream::Err, "WARN "),
            Level::Info => (Stream::Out, "INFO "),
            Level::Debug => (Stream::Out, "DEBUG"),
            Level::Trace => (Stream::Out, "TRACE"),
        };
        orders.push(Order::Say(stream, format!("[{word} tini ({})] {}", self.pid, text())));
    }
}

/// Test suites look for these words.
const CANNOT_REAP: &str = "\
Tini is not running as PID 1 and isn't registered as a child subreaper.
Zombie processes will not be re-parented to Tini, so zombie reaping won't work.
To fix the problem, use the -s option or set the environment variable TINI_SUBREAPER to register Tini as a child \
subreaper, or run Tini as PID 1.";
