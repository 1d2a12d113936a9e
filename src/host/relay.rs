//! Carries out what [`engine::relay`] decides: the smallest init there is.
//!
//! Every signal is blocked and taken in by sigtimedwait(2) without a time limit, one at a time: to pass one on costs
//! that call and a kill(2), and nothing happens while nothing happens. It does not know which program it
//! stands in for; what differs among them is [`Conduct`] and the orders.
//!
//! [`engine::relay`]: crate::engine::relay
#![forbid(unsafe_code)]

use super::sys::{process, relay as sys, signal};
use crate::engine::SpawnFailure;
use crate::engine::relay::{
    Conduct, Fact, Hurdle, Order, Place, Relay, Signals, Stream, Subreaper, Terminal, Whom,
};
use crate::launch::{self, Failed};
use crate::plan::{Plan, Session, SignalState};
use crate::unit::spec::{Exit, Signal, status};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd;
use std::io;
use std::ops::ControlFlow;

/// What the init runs.
pub struct Program {
    /// Its name as it was asked for.
    pub name: String,
    /// How to execute it. Its place and its signals are filled in here.
    pub plan: Plan,
}

/// Is the init until the end of its child, and returns the exit status. Without a program it has no child.
pub fn run(relay: Relay, program: Option<Program>) -> u8 {
    let mut init = Init { relay, child: None };
    let ended = init.begin(program);
    match ended {
        ControlFlow::Break(status) => status,
        ControlFlow::Continue(()) => init.attend(),
    }
}

/// `Break` is the exit status.
type Flow = ControlFlow<u8>;

struct Init {
    relay: Relay,
    /// The pid of the child once there is one. It stays when the child has ended: its group may live on.
    child: Option<i32>,
}

impl Init {
    /// All that comes before the first wait.
    fn begin(&mut self, program: Option<Program>) -> Flow {
        let conduct = self.relay.conduct();
        // Neither call fails with such arguments; where a sandbox forbids them there is nothing better to do.
        let mask = signal::set_mask(conduct.taken).unwrap_or(0);
        let ignore = if signal::set_disposition(libc::SIGCHLD, false).unwrap_or(false) {
            1 << (libc::SIGCHLD - 1)
        } else {
            0
        };
        let inherited = Signals { mask, default: 0, ignore };

        let pid = unistd::getpid().as_raw();
        self.stand(&conduct, pid)?;
        // Whether a terminal that we had still belongs to the session that we are in.
        let mut kept = false;
        if conduct.detach {
            let failed = sys::detach_terminal().err().map(|errno| errno as i32);
            let leader = failed.is_none() && unistd::getsid(None).is_ok_and(|leader| leader.as_raw() == pid);
            kept = failed.is_none() && !leader;
            self.tell(Fact::Detached { failed, leader })?;
        }
        if let Some(program) = program {
            let terminal = if conduct.asks_terminal { terminal(&conduct, kept) } else { Terminal::Taken };
            self.spawn(&conduct, inherited, program, terminal, pid)?;
        }
        if conduct.leave_directory {
            // The child has its own by now, and any directory serves: a failure hurts nobody.
            let _ = unistd::chdir("/");
        }
        if conduct.close_descriptors && close_descriptors().is_err() {
            self.tell(Fact::DescriptorsLeft)?;
        }
        Flow::Continue(())
    }

    /// Takes up its place among processes: the parent-death signal, and whether orphans come to it.
    fn stand(&mut self, conduct: &Conduct, pid: i32) -> Flow {
        let mut refused = None;
        if let Some(signal) = conduct.parent_death {
            let signal = nix::sys::signal::Signal::try_from(signal.number());
            if signal.and_then(prctl::set_pdeathsig).is_err() {
                refused = Some(Fact::NoParentDeathSignal);
            }
        }
        let wanted = match conduct.subreaper {
            Subreaper::Never => false,
            Subreaper::UnlessFirst => pid != 1,
            Subreaper::Always => true,
        };
        if wanted && let Err(errno) = prctl::set_child_subreaper(true) {
            refused = refused.or(Some(Fact::NoSubreaper { errno: errno as i32 }));
        }
        // It may have been made one by whoever executed it: the attribute outlives execve(2).
        let reaper = pid == 1 || wanted || prctl::get_child_subreaper().unwrap_or(true);
        self.tell(Fact::Begun { pid, reaper, refused: refused.is_some() })?;
        refused.map_or(Flow::Continue(()), |fact| self.tell(fact))
    }

    fn spawn(
        &mut self,
        conduct: &Conduct,
        inherited: Signals,
        mut program: Program,
        terminal: Terminal,
        own: i32,
    ) -> Flow {
        let signals = self.relay.child_signals(inherited);
        let plan = &mut program.plan;
        plan.signals = SignalState { mask: signals.mask, default: signals.default, ignore: signals.ignore };
        plan.session = match conduct.place {
            Place::Foreground => Session::Foreground,
            Place::OwnSession => Session::NewWithTerminal,
            Place::Ours => Session::Inherit,
        };
        plan.keep_listen_pid = !conduct.listen_pid;
        let (pid, program, at) = (own, program.name.as_str(), Hurdle::Foreground);
        if conduct.needs_stdin && sys::foreground_group() == Err(Errno::EBADF) {
            return self.tell(Fact::NotExecuted { pid, program, errno: libc::EBADF, at, terminal });
        }
        match launch::start(plan) {
            Ok(pid) => {
                self.child = Some(pid);
                self.tell(Fact::Spawned { pid, program, terminal })
            }
            Err(Failed { failure: SpawnFailure::Resources { errno }, .. }) => {
                self.tell(Fact::NoProcess { errno })
            }
            Err(Failed { pid, failure: SpawnFailure::Setup { status, errno } }) => {
                let at = if status == status::SETSID { Hurdle::Session } else { Hurdle::Exec };
                let pid = pid.unwrap_or(own);
                self.tell(Fact::NotExecuted { pid, program, errno, at, terminal })
            }
        }
    }

    /// Waits for signals until an order says to end.
    fn attend(&mut self) -> u8 {
        let taken = self.relay.conduct().taken;
        let mut orders = Vec::new();
        loop {
            // EINTR: it was stopped and continued. Nothing else can happen to this call.
            let Ok(number) = sys::wait_signal(taken) else { continue };
            let Some(signal) = Signal::new(number) else { continue };
            self.relay.step(Fact::Signal(signal), &mut orders);
            if let Flow::Break(status) = self.perform(&mut orders) {
                return status;
            }
        }
    }

    fn tell(&mut self, fact: Fact<'_>) -> Flow {
        let mut orders = Vec::new();
        self.relay.step(fact, &mut orders);
        self.perform(&mut orders)
    }

    /// Carries orders out, in order, and empties the list.
    fn perform(&mut self, orders: &mut Vec<Order>) -> Flow {
        for order in orders.drain(..) {
            match order {
                Order::Say(stream, line) => say(stream, line),
                Order::Signal(whom, signal) => self.signal(whom, signal)?,
                Order::Reap => self.reap()?,
                Order::StopSelf => {
                    // PID 1 of a namespace is not stopped by a signal of its own, and goes on.
                    let _ = process::kill(unistd::getpid().as_raw(), libc::SIGSTOP);
                }
                Order::Exit(status) => return Flow::Break(status),
            }
        }
        Flow::Continue(())
    }

    fn signal(&mut self, whom: Whom, signal: Signal) -> Flow {
        // Without a child there is nobody, and kill(2) has other ideas about 0.
        let Some(child) = self.child else { return Flow::Continue(()) };
        let target = match whom {
            Whom::Child => child,
            Whom::Group => -child,
        };
        match process::kill(target, signal.number()) {
            Ok(()) => Flow::Continue(()),
            Err(errno) => self.tell(Fact::Undelivered { signal, target, errno: errno as i32 }),
        }
    }

    fn reap(&mut self) -> Flow {
        let mut orders = Vec::new();
        loop {
            let fact = match process::wait_any(false) {
                Ok(Some((pid, status))) => match ending(status) {
                    Some(exit) => Fact::Reaped { pid, main: Some(pid) == self.child, exit },
                    None => continue,
                },
                Ok(None) => Fact::Emptied { none_left: false },
                Err(_) => Fact::Emptied { none_left: true },
            };
            self.relay.step(fact, &mut orders);
            self.perform(&mut orders)?;
            if let Fact::Emptied { .. } = fact {
                return Flow::Continue(());
            }
        }
    }
}

/// How a process ended, from its wait status; `None` if it has only stopped, which nobody asked to be told.
fn ending(status: i32) -> Option<Exit> {
    if libc::WIFEXITED(status) {
        return Some(Exit::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)));
    }
    if !libc::WIFSIGNALED(status) {
        return None;
    }
    let signal = Signal::new(libc::WTERMSIG(status))?;
    Some(if libc::WCOREDUMP(status) { Exit::Dumped(signal) } else { Exit::Killed(signal) })
}

/// What a child will meet that takes the terminal. The child itself has no words, so this is found out beforehand.
/// `kept`: the terminal that we have just given up stays with our session.
fn terminal(conduct: &Conduct, kept: bool) -> Terminal {
    let answer = match conduct.place {
        Place::Ours => Ok(()),
        Place::Foreground if !conduct.needs_stdin && std::fs::File::open("/dev/tty").is_ok() => Ok(()),
        Place::Foreground => sys::foreground_group().map(drop),
        Place::OwnSession => match unistd::isatty(io::stdin()) {
            Err(errno) => Err(errno),
            Ok(false) => Err(Errno::ENOTTY),
            Ok(true) if kept => Err(Errno::EPERM),
            Ok(true) => Ok(()),
        },
    };
    answer.map_or_else(|errno| Terminal::Refused(errno as i32), |()| Terminal::Taken)
}

/// Closes every descriptor from 3 on.
fn close_descriptors() -> Result<(), Errno> {
    match sys::close_from(3) {
        // Before Linux 5.9, or a sandbox that does not know the call.
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        done => return done,
    }
    let entries = std::fs::read_dir("/proc/self/fd").map_err(|_| Errno::ENOENT)?;
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= 3) {
        // One of them was the directory's own, which is closed already.
        let _ = sys::close_inherited(descriptor);
    }
    Ok(())
}

/// Writes a line at once. Whoever does not read it has not missed a decision: this init goes on.
pub fn say(stream: Stream, mut line: String) {
    line.push('\n');
    let _ = match stream {
        Stream::Out => unistd::write(io::stdout(), line.as_bytes()),
        Stream::Err => unistd::write(io::stderr(), line.as_bytes()),
    };
}
