//! How does the kernel do it? The loop of PID 1.
//!
//! One wake-up is one batch: collect the facts, put them in order (what our own actions yielded, readiness messages,
//! ends of processes, the passing of time, signals and connections), step the engine for each, then perform the
//! actions. What an action yields is a fact of the next batch; nothing is done from inside a reaction. Idle means asleep in
//! epoll(7), without end if the engine has no deadline.
//!
//! A branch here chooses how, never whether. It trusts nobody's bytes: whatever comes from a process is parsed by `engine::notify`
//! or is an ask of our own role, and is bounded. One thread.
// Not `forbid`, which `sys` below could not lift.
#![deny(unsafe_code)]

mod calamity;
pub mod facility;
pub mod health;
pub mod log;
mod notify;
mod perform;
mod reap;
pub mod relay;
pub mod signals;
mod snapshot;
pub mod sys;
mod terminal;
mod tree;
mod wait;

use crate::engine::notify::Message;
use crate::engine::{Engine, Event, Level, Mono, Note, Role, Sender, UnitId, earlier, exit_code};
use crate::plan::Plan;
use crate::plan::facility::Facility;
use crate::unit::spec::{Health, KillMode, NotifyAccess, Signal, Span, Spec, Type};
use ::log::{error, warn};
use nix::fcntl::{OFlag, open};
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use notify::{NotifySocket, Upward};
use reap::{Ended, Reaper};
use signals::Signals;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::descriptor::standard_ones_closed;
use wait::{Ready, Source, Waiting};

/// The service that is supervised.
const MAIN: UnitId = UnitId(0);
/// What our own binary is called when it is to be the health role.
pub const HEALTH_ROLE: &str = "tinysvc-health";
/// The health role.
const HEALTH: UnitId = UnitId(1);

/// Everything that PID 1 holds.
struct Host {
    engine: Engine,
    waiting: Waiting,
    signals: Signals,
    reaper: Reaper,
    /// The environment that we were started with, less what was meant for us alone.
    environment: Vec<(OsString, OsString)>,
    facility: Facility,
    /// The main command's plan, compiled once for all its restarts.
    main_plan: Option<Plan>,
    /// We were in the foreground of a terminal, which is the service's now.
    foreground: bool,
    is_pid1: bool,
    notify: Option<NotifySocket>,
    upward: Option<Upward>,
    /// What was sent there last did not arrive.
    unheard: bool,
    /// When whoever started us wants the next WATCHDOG=1, and how often.
    upward_watchdog: Option<(Mono, Span)>,
    probes: Option<Probes>,
    started: Mono,
    /// A child of ours that was the service's when it was last asked who is left of that: for as long as it is there, the
    /// service is not empty.
    witness: Option<i32>,
    /// Facts that our own actions yielded, for the next batch.
    yielded: Vec<Event>,
    /// Something was left unread or unreaped by the last turn.
    more: bool,
    /// Ends that were learned of while doing something else.
    ended: Vec<Ended>,
}

/// The listener for the probes and the way to the role that answers them.
struct Probes {
    listener: OwnedFd,
    /// The listener is in the epoll set.
    watched: bool,
    /// That they cannot be answered was told, and no role was started since. Each further attempt would tell the same.
    complained: bool,
    channel: Option<OwnedFd>,
    /// Our own binary, held from the start: a file that is replaced later is another one.
    image: OwnedFd,
}

/// Supervises one service until it has ended for good, and returns our own exit status.
///
/// `environment` is ours, `called` the name that we were called by, which may lead to our binary.
pub fn run(spec: Spec, environment: Vec<(OsString, OsString)>, called: &OsStr) -> u8 {
    calamity::prepare();
    match Host::new(spec, environment, called) {
        Ok(mut host) => host.run(),
        Err((what, status)) => {
            error!("{what}");
            status
        }
    }
}

/// CLOCK_MONOTONIC now. The one place that reads a clock.
fn now() -> Mono {
    // It cannot fail for this clock, clock_gettime(2).
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from).unwrap_or_default();
    Mono(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// The value of a variable.
fn variable<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    environment.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_os_str())
}

/// A variable that whoever started us meant for us and not for the service.
fn is_ours(name: &OsStr) -> bool {
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].iter().any(|ours| name == *ours)
}

/// The end of a start that lacks something without which there is no going on.
fn cannot<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> (String, u8) {
    move |e| (format!("cannot {what}: {e}"), exit_code::OSERR)
}

/// Takes the places of standard input, output and error where we were started without: whatever we opened first would have
/// these numbers, and the log would be written to it. The program is started without them, as we were.
pub fn hold_standard_descriptors() {
    for _ in 0..standard_ones_closed().unwrap_or(0) {
        // It can be neither read nor written, needs no file, and a role may make one too.
        if let Ok(place) = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC) {
            // For as long as we live.
            let _held = place.0.into_raw_fd();
        }
    }
}

impl Host {
    fn new(spec: Spec, environment: Vec<(OsString, OsString)>, called: &OsStr) -> Result<Host, (String, u8)> {
        let signals = Signals::take_over().map_err(cannot("block signals"))?;
        let mut waiting = Waiting::default();
        hold_standard_descriptors();

        let is_pid1 = std::process::id() == 1;
        if !is_pid1 && let Err(e) = nix::sys::prctl::set_child_subreaper(true) {
            warn!("orphans will not be reaped: cannot become a subreaper: {e}");
        }
        let (ours, environment): (Vec<_>, Vec<_>) =
            environment.into_iter().partition(|(name, _)| is_ours(name));
        let upward = variable(&ours, "NOTIFY_SOCKET").and_then(|address| match Upward::open(address) {
            Ok(upward) => Some(upward),
            Err(e) => {
                warn!("NOTIFY_SOCKET={}: nobody will be told: {e}", address.display());
                None
            }
        });
        let notify = match spec.service.notify_access() {
            NotifyAccess::None => None,
            _ => {
                let socket = NotifySocket::open().map_err(cannot("offer NOTIFY_SOCKET"))?;
                let watched = waiting.watch(&signals, &socket, Source::Notify);
                watched.map_err(cannot("wait for readiness messages (epoll)"))?;
                Some(socket)
            }
        };
        let probes = Probes::open(&spec.ours.health, is_pid1 && upward.is_none(), called)?;
        let started = now();
        let upward_watchdog =
            upward.as_ref().and_then(|_| upward_watchdog(&ours)).map(|span| (started, span));
        let mut units = vec![(Role::Essential, spec)];
        if probes.is_some() {
            units.push((Role::OnDemand, health_unit()));
        }
        Ok(Host {
            engine: Engine::new(units),
            waiting,
            signals,
            reaper: Reaper::default(),
            environment,
            facility: facility::facility(),
            main_plan: None,
            foreground: terminal::in_foreground(),
            is_pid1,
            notify,
            upward,
            unheard: false,
            upward_watchdog,
            probes,
            started,
            witness: None,
            yielded: Vec::new(),
            // Whoever executed us may have left us children that have ended already.
            more: true,
            ended: Vec::new(),
        })
    }

    fn run(&mut self) -> u8 {
        let mut actions = Vec::new();
        // The first turn needs no waiting: it has the boot to tell.
        let mut facts = vec![Event::Boot];
        loop {
            let now = now();
            for fact in facts.drain(..) {
                self.engine.step(now, fact, &mut actions);
            }
            self.reap_orphans_for_free();
            for action in actions.drain(..) {
                if let Some(status) = self.perform(action) {
                    return status;
                }
            }
            self.watch_listener(now);
            self.tell_watchdog(now);
            self.check_empty();

            let patience = self.patience();
            match self.waiting.wait(&self.signals, patience) {
                Ok(ready) => self.collect(ready, &mut facts),
                Err(e) => {
                    // Nothing is known to cause this; going on blindly would be a busy loop.
                    error!("cannot wait for events: {e}");
                    return exit_code::OSERR;
                }
            }
        }
    }

    /// How long there is nothing to do.
    fn patience(&self) -> Span {
        if self.more || !self.yielded.is_empty() || !self.ended.is_empty() {
            return Span::ZERO;
        }
        let deadline = earlier(self.engine.next_deadline(), self.upward_watchdog.map(|(at, _)| at));
        deadline.map_or(Span::INFINITY, |at| at.since(now()))
    }

    /// The facts of one wake-up, in their order.
    fn collect(&mut self, ready: Ready, facts: &mut Vec<Event>) {
        facts.append(&mut self.yielded);
        // SIGCHLD has no number: what the last turn left to be reaped is not told again.
        let more = std::mem::take(&mut self.more);
        let children = more || ready.has(Source::Pidfd) || ready.signal == Some(Signal::CHLD);
        if children || self.engine.waiting_for_empty().next().is_some() {
            self.more |= self.reap();
        }
        // After reaping, so that whatever an ended process has said is there, and before its end is told.
        if ready.has(Source::Notify) || !self.ended.is_empty() {
            self.more |= self.read_notify(facts);
        }
        facts.extend(self.ended.drain(..).map(|ended| Event::Exited { run: ended.run, exit: ended.exit }));
        self.reaper.forget_ended();
        // Nothing is due before the next deadline, so a tick before it is no news.
        if self.engine.next_deadline().is_some_and(|at| now() >= at) {
            facts.push(Event::Tick);
        }
        if ready.has(Source::Channel) {
            self.answer();
        }
        if let Some(signal) = ready.signal.filter(|signal| *signal != Signal::CHLD) {
            // Not in a release: the one way for a test to see how a broken invariant ends.
            debug_assert!(
                variable(&self.environment, "_TINYSVC_PANIC_AT_SIGNAL").and_then(OsStr::to_str)
                    != Some(&signal.short()),
                "asked for by _TINYSVC_PANIC_AT_SIGNAL"
            );
            facts.push(Event::Signal { signal });
        }
        if ready.has(Source::Listener) {
            facts.push(Event::Connection { unit: HEALTH });
        }
    }

    fn reap(&mut self) -> bool {
        // Only someone who runs us from a shell can be waiting for us to stop along.
        if self.foreground && !self.is_pid1 {
            let mut stopped = Vec::new();
            let more = self.reaper.collect(&mut self.ended, Some(&mut |run| stopped.push(run)));
            for run in stopped {
                if let Some(pid) = self.reaper.pid(run) {
                    terminal::stop_with(pid);
                }
            }
            more
        } else {
            self.reaper.collect(&mut self.ended, None)
        }
    }

    fn read_notify(&mut self, facts: &mut Vec<Event>) -> bool {
        let Some(socket) = &self.notify else { return false };
        socket.drain(|pid, bytes| {
            let Some(message) = Message::parse(bytes) else { return };
            // The one whose end we have just learned of is still its sender.
            let (unit, from) = match self.reaper.owner(pid) {
                Some((run, unit)) => (unit, Sender::Run(run)),
                // Below PID 1 everything that is no role of ours belongs to the one service.
                None => (MAIN, Sender::Other),
            };
            facts.push(Event::Notify { unit, from, message });
        })
    }

    /// Turns to free reaping where orphans keep coming, unless it matters now who is left.
    fn reap_orphans_for_free(&mut self) {
        if self.engine.waiting_for_empty().next().is_some() || self.foreground && !self.is_pid1 {
            self.reaper.attend(&mut self.ended);
        } else {
            let (waiting, signals) = (&mut self.waiting, &self.signals);
            self.reaper.relax(&mut self.ended, |fd| waiting.watch(signals, fd, Source::Pidfd));
        }
    }

    fn check_empty(&mut self) {
        let asked: Vec<_> = self.engine.waiting_for_empty().collect();
        for unit in asked {
            if self.is_empty(unit) {
                self.yielded.push(Event::Emptied { unit });
            }
        }
    }

    fn answer(&mut self) {
        let Some(channel) = self.probes.as_ref().and_then(|p| p.channel.as_ref()) else { return };
        let answered = health::answer(channel.as_fd(), |nonce| {
            snapshot::take(nonce, now(), self.started, &self.engine, &self.reaper)
        });
        if !matches!(answered, Ok(health::Answer::Sent | health::Answer::Nothing | health::Answer::Dropped))
            && let Some(probes) = &mut self.probes
        {
            // Its process ends or has ended, and that is news of its own.
            probes.channel = None;
        }
    }

    /// Watches the listener exactly while the engine wants to hear of connections.
    fn watch_listener(&mut self, now: Mono) {
        let Some(probes) = &mut self.probes else { return };
        let wanted = self.engine.wants_connections(now, HEALTH);
        if wanted == probes.watched {
            return;
        }
        let done = if wanted {
            self.waiting.watch(&self.signals, &probes.listener, Source::Listener)
        } else {
            self.waiting.ignore(&probes.listener)
        };
        match done {
            Ok(()) => probes.watched = wanted,
            Err(_) if probes.complained => {}
            Err(e) => {
                warn!("probes are not answered: cannot wait for them (epoll): {}", e.desc());
                probes.complained = true;
            }
        }
    }

    fn tell_watchdog(&mut self, now: Mono) {
        if let Some((at, interval)) = &mut self.upward_watchdog
            && now >= *at
        {
            *at = now.after(*interval).unwrap_or(now);
            self.announce("WATCHDOG=1");
        }
    }

    fn announce(&mut self, assignments: &str) {
        match self.upward.as_ref().map(|upward| upward.tell(assignments)) {
            Some(Err(e)) => {
                // A watchdog and a status would say it again and again.
                if !std::mem::replace(&mut self.unheard, true) {
                    warn!("NOTIFY_SOCKET: cannot send {assignments}: {e}");
                }
            }
            Some(Ok(())) => self.unheard = false,
            None => {}
        }
    }

    fn note(&self, note: &Note) {
        let unit = note.unit.and_then(|unit| self.engine.service(unit)).map(|s| s.spec().name.as_str());
        log::note(note, unit);
    }

    fn warn(&self, unit: UnitId, level: Level, text: String) {
        self.note(&Note { level, unit: Some(unit), text, state: None, result: None, exit: None });
    }
}

/// The health role as a unit: no restart, since the next probe starts it, and a start limit that a crash loop cannot
/// outrun.
fn health_unit() -> Spec {
    let mut spec = Spec::new(format!("{HEALTH_ROLE}.service"));
    spec.service.kind = Type::Exec;
    spec.service.start_limit_burst = 20;
    spec.service.timeout_stop = Span::from_secs(2);
    // It can start no process, so there is never a rest to be waited for.
    spec.kill.mode = KillMode::Process;
    spec
}

/// Half of `$WATCHDOG_USEC`, if it is meant for us: sd_watchdog_enabled(3).
fn upward_watchdog(ours: &[(OsString, OsString)]) -> Option<Span> {
    let number = |name| variable(ours, name)?.to_str()?.parse::<u64>().ok();
    let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|us| for_us && *us > 0).map(|us| Span::from_micros((us / 2).max(1000)))
}

impl Probes {
    /// Listens, as far as that is wanted: an address that was asked for must work, the default one may not.
    fn open(health: &Health, by_default: bool, called: &OsStr) -> Result<Option<Probes>, (String, u8)> {
        let (address, asked) = match health {
            Health::Off => return Ok(None),
            Health::Default if !by_default => return Ok(None),
            Health::Default => (Health::DEFAULT, false),
            Health::On(address) => (*address, true),
        };
        // Without /proc the name that we were called by is as good, if it is a path.
        // To execute it asks for no right to read it: O_PATH.
        let hold = |path: &OsStr| open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
        let image = hold(OsStr::new("/proc/self/exe"))
            .or_else(|e| if called.as_bytes().contains(&b'/') { hold(called) } else { Err(e) });
        let opened = match (health::listen(address), image) {
            (Ok(listener), Ok(image)) => {
                return Ok(Some(Probes {
                    listener,
                    watched: false,
                    complained: false,
                    channel: None,
                    image,
                }));
            }
            (Err(e), _) => format!("cannot answer probes at {address}: {e}"),
            (_, Err(e)) => {
                format!("cannot answer probes: cannot open our own binary: /proc/self/exe: {}", e.desc())
            }
        };
        if asked {
            return Err((opened, exit_code::OSERR));
        }
        warn!("{opened} (Health=off silences this)");
        Ok(None)
    }
}
