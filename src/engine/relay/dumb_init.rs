//! dumb-init: the child in a session of its own that owns the terminal; signals to its group, rewritten on the way.
//!
//! With `-c` it keeps to the one child, in the session and group it was started in. Every signal is passed on,
//! SIGSEGV and its like too. All lines go to standard error and exist only with `-v`.
#![forbid(unsafe_code)]

use super::{
    ALL, Conduct, Fact, Hurdle, Order, Place, STOPS, Signals, Stream, Subreaper, Terminal, Whom, bit, words,
};
use crate::unit::spec::{Exit, Signal};

/// The highest signal that can be rewritten.
pub const REWRITE_MAX: u8 = 31;

/// The options, and what has happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DumbInit {
    /// `-v`, `DUMB_INIT_DEBUG=1`.
    pub verbose: bool,
    /// It was `DUMB_INIT_DEBUG=1`.
    pub verbose_by_variable: bool,
    /// `-c`, `DUMB_INIT_SETSID=0`.
    pub single_child: bool,
    /// It was `DUMB_INIT_SETSID=0`.
    pub single_by_variable: bool,
    /// `-r`: what a signal becomes, by its number; 0 drops it.
    pub rewrite: [Option<u8>; REWRITE_MAX as usize + 1],
    /// Signals of which one is swallowed: the kernel's own at the hand-over of the terminal.
    swallow: u64,
}

/// The mask is emptied but for glibc's own two signals; every handler was replaced by one of dumb-init's own, which
/// the program loses, so that what was ignored no longer is.
pub(super) fn child_signals(inherited: Signals) -> Signals {
    const SETTABLE: u64 = 0x7fff_ffff & !bit(9) & !bit(19);
    Signals { mask: inherited.mask & !ALL, default: SETTABLE, ignore: inherited.ignore & !SETTABLE }
}

impl DumbInit {
    pub(super) fn conduct(&self) -> Conduct {
        Conduct {
            taken: ALL,
            parent_death: None,
            subreaper: Subreaper::Never,
            detach: !self.single_child,
            leave_directory: true,
            close_descriptors: false,
            place: if self.single_child { Place::Ours } else { Place::OwnSession },
            needs_stdin: false,
            asks_terminal: self.verbose,
            listen_pid: false,
        }
    }

    pub(super) fn step(&mut self, fact: Fact<'_>, orders: &mut Vec<Order>) {
        match fact {
            Fact::Begun { .. } => {
                if self.verbose_by_variable {
                    self.say(orders, || "Running in debug mode.".to_owned());
                }
                if self.single_by_variable {
                    self.say(orders, || "Not running in setsid mode.".to_owned());
                }
            }
            Fact::Detached { failed, leader } => self.detached(orders, failed, leader),
            Fact::Spawned { pid, terminal, .. } => self.spawned(orders, pid, terminal),
            Fact::NoProcess { .. } => {
                orders.push(Order::Say(Stream::Err, "[dumb-init] Unable to fork. Exiting.".to_owned()));
                orders.push(Order::Exit(1));
            }
            Fact::NotExecuted { pid, program, errno, at, terminal } => {
                let why = words::errno(errno);
                let (text, status) = match at {
                    Hurdle::Session => (format!("Unable to setsid (errno={errno} {why}). Exiting."), 1),
                    Hurdle::Foreground | Hurdle::Exec => (format!("{program}: {why}"), 2),
                };
                self.spawned(orders, pid, terminal);
                orders.push(Order::Say(Stream::Err, format!("[dumb-init] {text}")));
                // The original sees an ordinary child that exits with that status.
                self.say(orders, || format!("Received signal {}.", Signal::CHLD.number()));
                self.reaped(orders, pid, true, Exit::Exited(status));
            }
            Fact::Signal(signal) => self.signal(orders, signal),
            Fact::Reaped { pid, main, exit } => self.reaped(orders, pid, main, exit),
            // A signal that does not arrive is none of its business; it has no subreaper, no parent-death
            // signal, and leaves descriptors as they are.
            Fact::Undelivered { .. }
            | Fact::Emptied { .. }
            | Fact::NoParentDeathSignal
            | Fact::NoSubreaper { .. }
            | Fact::DescriptorsLeft => {}
        }
    }

    fn detached(&mut self, orders: &mut Vec<Order>, failed: Option<i32>, leader: bool) {
        if let Some(errno) = failed {
            let why = words::errno(errno);
            self.say(orders, || format!("Unable to detach from controlling tty (errno={errno} {why})."));
        } else if leader {
            // The kernel sends both to the whole group when a session leader lets go of its terminal. The child would
            // die of the first.
            self.swallow = bit(1) | bit(18);
            self.say(orders, || {
                "Detached from controlling tty, ignoring the first SIGHUP and SIGCONT we receive.".to_owned()
            });
        } else {
            self.say(orders, || "Detached from controlling tty, but was not session leader.".to_owned());
        }
    }

    fn spawned(&self, orders: &mut Vec<Order>, pid: i32, terminal: Terminal) {
        self.say(orders, || format!("Child spawned with PID {pid}."));
        if self.single_child {
            return;
        }
        if let Terminal::Refused(errno) = terminal {
            let why = words::errno(errno);
            self.say(orders, || format!("Unable to attach to controlling tty (errno={errno} {why})."));
        }
        self.say(orders, || "setsid complete.".to_owned());
    }

    fn signal(&mut self, orders: &mut Vec<Order>, signal: Signal) {
        let number = signal.number();
        self.say(orders, || format!("Received signal {number}."));
        let own = bit(number.unsigned_abs());
        if self.swallow & own != 0 {
            self.swallow &= !own;
            self.say(orders, || format!("Ignoring tty hand-off signal {number}."));
        } else if signal == Signal::CHLD {
            orders.push(Order::Reap);
        } else {
            self.forward(orders, signal, true);
            if STOPS & own != 0 {
                self.say(orders, || "Suspending self due to TTY signal.".to_owned());
                orders.push(Order::StopSelf);
            }
        }
    }

    /// Passes a signal on under the name that `-r` gives it. `there` is false for a child that is known to be gone.
    fn forward(&self, orders: &mut Vec<Order>, signal: Signal, there: bool) {
        let number = signal.number();
        let given = usize::try_from(number).ok().and_then(|n| self.rewrite.get(n).copied().flatten());
        // In the child's session nobody minds a SIGTSTP: its group is an orphaned one, setpgid(2).
        let sent = match given {
            Some(other) => i32::from(other),
            None if !self.single_child && STOPS & bit(number.unsigned_abs()) != 0 => Signal::STOP.number(),
            None => number,
        };
        if sent != number || given.is_some() {
            self.say(orders, || format!("Translating signal {number} to {sent}."));
        }
        let Some(signal) = Signal::new(sent) else {
            self.say(orders, || format!("Not forwarding signal {sent} to children (ignored)."));
            return;
        };
        if there {
            orders.push(Order::Signal(if self.single_child { Whom::Child } else { Whom::Group }, signal));
        }
        self.say(orders, || format!("Forwarded signal {sent} to children."));
    }

    fn reaped(&self, orders: &mut Vec<Order>, pid: i32, main: bool, exit: Exit) {
        self.say(orders, || match exit {
            Exit::Exited(status) => format!("A child with PID {pid} exited with exit status {status}."),
            Exit::Killed(signal) | Exit::Dumped(signal) => {
                format!("A child with PID {pid} was terminated by signal {}.", signal.number())
            }
        });
        if main {
            // The rest of the group is told. A single child is gone, and its number may be somebody else's.
            self.forward(orders, Signal::TERM, !self.single_child);
            let status = exit.shell_status();
            self.say(orders, || format!("Child exited with status {status}. Goodbye."));
            orders.push(Order::Exit(status));
        }
    }

    fn say(&self, orders: &mut Vec<Order>, text: impl FnOnce() -> String) {
        if self.verbose {
            orders.push(Order::Say(Stream::Err, format!("[dumb-init] {}", text())));
        }
    }
}
