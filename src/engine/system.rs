//! The whole: when services start, when everything stops, and with which status tinysvc ends.
//!
//! There are two ways to be. With one command there is one essential service, and when it is down for good everything
//! ends with its status. A *manager* stays: its units come and go by jobs, which are `job`, and only a signal ends
//! it. Roles of our own are further services, started when someone connects. The
//! order of an end is: draining (unready, the service still serves), stopping, sweeping (what no service owns any more
//! is asked and then killed), end. A stop that has begun is never taken back, and once it has begun no essential
//! service starts again; the roles serve until the sweep.
#![forbid(unsafe_code)]

use super::job::Jobs;
use super::service::{Orders, exit_status};
use super::{Action, Event, Level, Mono, Note, Outcome, Service, State, UnitId, Whom, earlier};
use crate::unit::spec::{Signal, Span, Spec};

/// Exit statuses of tinysvc itself. Those of the service pass through unchanged.
pub mod exit_code {
    /// The argument line is wrong (EX_USAGE of sysexits(3)).
    pub const USAGE: u8 = 64;
    /// There is no tinysvc to be asked (EX_UNAVAILABLE).
    pub const UNAVAILABLE: u8 = 69;
    /// An invariant of the engine was broken (EX_SOFTWARE).
    pub const SOFTWARE: u8 = 70;
    /// The system refused what tinysvc itself cannot do without (EX_OSERR).
    pub const OSERR: u8 = 71;
    /// A setting is wrong (EX_CONFIG).
    pub const CONFIG: u8 = 78;
}

/// Where the whole stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before the first start.
    Booting,
    /// As it should be.
    Running,
    /// A stop has begun; `DrainSec` runs.
    Draining,
    /// The services are being stopped.
    Stopping,
    /// No service is left; what else is left gets SIGTERM, then SIGKILL.
    Sweeping,
    /// Over.
    Ended,
}

/// What a unit is to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Started at boot; when it is down for good, everything ends with its status.
    Essential,
    /// Started at a connection to its listener; its fate is nobody's.
    OnDemand,
    /// Started and stopped by requests; its fate is nobody's but theirs who asked.
    Managed,
}

/// How long the sweep waits between SIGTERM and SIGKILL where no `LingerSec=` says.
const SWEEP: Span = Span::from_secs(5);
/// How long it waits for the kernel after SIGKILL before it is told again.
const SWEEP_AGAIN: Span = Span::from_secs(1);
/// How often SIGKILL is sent. Who outlives that waits for a device or is another user's, and may do so for ever: a
/// container must end all the same. The end of PID 1 is the end of its namespace, by a kernel that asks for no right.
const KILLS_MAX: u32 = 10;

/// The engine: every decision of tinysvc.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) services: Vec<(Role, Service)>,
    pub(super) phase: Phase,
    /// It does not end by itself.
    stays: bool,
    pub(super) jobs: Jobs,
    /// When the phase's patience ends: the drain's, the sweep's.
    deadline: Option<Mono>,
    /// How often the sweep has sent SIGKILL.
    kills: u32,
    stop_signal: Option<Signal>,
    pub(super) last_run: u64,
    announced_ready: bool,
    announced_stopping: bool,
    announced_status: String,
}

impl Engine {
    /// An engine over these units; a [`UnitId`] is the place in the list.
    pub fn new(units: Vec<(Role, Spec)>) -> Engine {
        let services = (0..).zip(units).map(|(i, (role, spec))| (role, Service::new(UnitId(i), spec)));
        Engine {
            services: services.collect(),
            phase: Phase::Booting,
            stays: false,
            jobs: Jobs::default(),
            deadline: None,
            kills: 0,
            stop_signal: None,
            last_run: 0,
            announced_ready: false,
            announced_stopping: false,
            announced_status: String::new(),
        }
    }

    /// An engine without a unit, which stays until a signal ends it, with status 0.
    pub fn manager() -> Engine {
        Engine { stays: true, ..Engine::new(Vec::new()) }
    }

    /// Takes one more unit.
    pub fn add(&mut self, role: Role, spec: Spec) -> UnitId {
        // Each is some kilobytes, so memory ends long before the numbers do.
        let unit = UnitId(u32::try_from(self.services.len()).unwrap_or(u32::MAX));
        let service = match role {
            Role::Managed => {
                self.jobs.name(spec.name.clone(), unit);
                Service::managed(unit, spec)
            }
            Role::Essential | Role::OnDemand => Service::new(unit, spec),
        };
        self.services.push((role, service));
        unit
    }

    /// Knows a unit by another name, too.
    pub fn alias(&mut self, name: impl Into<String>, unit: UnitId) {
        self.jobs.name(name.into(), unit);
    }

    /// The unit of that name, if it is one that is started by requests.
    pub fn find(&self, name: &str) -> Option<UnitId> {
        self.jobs.find(name)
    }

    /// Takes another spec for a unit: `daemon-reload`. Whatever runs goes on as it is, and the next start is by the new
    /// one; its relations to other units count at once.
    pub fn replace(&mut self, unit: UnitId, spec: Spec) {
        if let Some((_, service)) = self.services.get_mut(unit.0 as usize) {
            service.replace(spec);
            self.jobs.relate_anew();
        }
    }

    /// Whether a unit has a job: `None` for none, else whether it is being carried out or waits for others.
    pub fn job(&self, unit: UnitId) -> Option<bool> {
        self.jobs.of(unit)
    }

    /// Where the whole stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// One unit.
    pub fn service(&self, unit: UnitId) -> Option<&Service> {
        self.services.get(unit.0 as usize).map(|(_, service)| service)
    }

    /// Every unit in order.
    pub fn services(&self) -> impl Iterator<Item = (UnitId, Role, &Service)> {
        (0..).zip(&self.services).map(|(i, (role, service))| (UnitId(i), *role, service))
    }

    /// When the next [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Mono> {
        if self.phase == Phase::Ended {
            return None;
        }
        self.services.iter().fold(self.deadline, |at, (role, service)| {
            let reopens = match role {
                Role::OnDemand => service.limit_reopens(),
                Role::Essential | Role::Managed => None,
            };
            earlier(earlier(at, service.next_deadline()), reopens)
        })
    }

    /// Who is to be empty before anything goes on; `None` is everything below PID 1. The host is to say so whenever one of
    /// them is, and whenever one is empty already.
    pub fn waiting_for_empty(&self) -> impl Iterator<Item = Option<UnitId>> {
        let sweeping = self.phase == Phase::Sweeping;
        let units = self.services().filter(move |(_, _, service)| !sweeping && service.waits_for_empty());
        sweeping.then_some(None).into_iter().chain(units.map(|(unit, ..)| Some(unit)))
    }

    /// Whether the host is to watch the listener of an on-demand unit.
    pub fn wants_connections(&self, now: Mono, unit: UnitId) -> bool {
        let Some((Role::OnDemand, service)) = self.services.get(unit.0 as usize) else { return false };
        let blocked = service.limit_hit() && service.limit_reopens().is_none_or(|at| now < at);
        service.state().is_inactive() && !blocked && self.phase < Phase::Sweeping
    }

    /// Takes one fact in and appends the orders that follow from it.
    pub fn step(&mut self, now: Mono, event: Event, actions: &mut Vec<Action>) {
        // After the last order there is nobody left whom a fact could be about.
        if self.phase == Phase::Ended {
            return;
        }
        self.dispatch(now, event, actions);
        if self.stays {
            self.settle(now, actions);
        }
        self.follow(now, actions);
        self.announce(actions);
    }

    fn dispatch(&mut self, now: Mono, event: Event, actions: &mut Vec<Action>) {
        let mut out = Orders { actions, last_run: &mut self.last_run };
        match event {
            // A stop that was asked for before is not taken back.
            Event::Boot if self.phase == Phase::Booting => {
                self.phase = Phase::Running;
                for (role, service) in &mut self.services {
                    if *role == Role::Essential {
                        service.start(now, &mut out);
                    }
                }
            }
            Event::Boot => {}
            Event::Spawned { run } => {
                self.services.iter_mut().for_each(|(_, service)| service.spawned(now, run, &mut out));
            }
            Event::SpawnFailed { run, failure } => {
                self.services.iter_mut().for_each(|(_, s)| s.spawn_failed(now, run, failure, &mut out));
            }
            Event::Exited { run, exit } => {
                self.services.iter_mut().for_each(|(_, service)| service.exited(now, run, exit, &mut out));
            }
            Event::Emptied { unit: Some(unit) } => {
                if let Some((_, service)) = self.services.get_mut(unit.0 as usize) {
                    service.emptied(now, &mut out);
                }
            }
            Event::Emptied { unit: None } => {
                // A process that was asked for since the host looked is somebody; it will look again.
                let nobody = !self.services.iter().any(|(_, service)| service.counts_on_somebody());
                if self.phase == Phase::Sweeping && nobody {
                    self.end(actions);
                }
            }
            Event::Notify { unit, from, message } => {
                if let Some((_, service)) = self.services.get_mut(unit.0 as usize) {
                    service.notified(now, from, &message, &mut out);
                }
            }
            Event::MainFound { run, alien } => {
                self.services.iter_mut().for_each(|(_, s)| s.main_found(now, run, alien, &mut out));
            }
            Event::MainNotFound { run, reason, empty } => {
                let tell =
                    |(_, s): &mut (Role, Service)| s.main_not_found(now, run, &reason, empty, &mut out);
                self.services.iter_mut().for_each(tell);
            }
            Event::Conditions { run, met, assert_failed } => {
                let tell =
                    |(_, s): &mut (Role, Service)| s.conditions(now, run, (met, assert_failed), &mut out);
                self.services.iter_mut().for_each(tell);
            }
            Event::Request { client, verb, unit, no_block } => {
                self.request(now, (client, verb, unit, no_block), actions);
            }
            Event::Signal { signal } => self.signal(now, signal, actions),
            Event::Connection { unit } => {
                if self.phase < Phase::Sweeping
                    && let Some((Role::OnDemand, service)) = self.services.get_mut(unit.0 as usize)
                {
                    service.start(now, &mut out);
                }
            }
            Event::Tick => {
                self.services.iter_mut().for_each(|(_, service)| service.tick(now, &mut out));
                self.tick(now, actions);
            }
        }
    }

    /// A signal to PID 1: a stop, a reload, or one to be passed on.
    fn signal(&mut self, now: Mono, signal: Signal, actions: &mut Vec<Action>) {
        if self.stays {
            // What else a signal may mean is for the unit that it is sent to, by name.
            return if [Signal::TERM, Signal::INT, Signal::realtime(3)].contains(&signal) {
                self.stop(now, signal, None, actions);
            } else {
                self.note(actions, Level::Info, format!("{signal} not passed on: it names no unit"));
            };
        }
        // One unit's word for a stop is the whole's; nobody else is told what it used to mean to them.
        if self.essential().any(|service| service.spec().ours.stop_signals.contains(&signal)) {
            // SIGTERM and the runtimes' SIGRTMIN+3 mean "stop" and nothing else; KillSignal= says it to the
            // service. Any other one may have a meaning of its own to it.
            let plain = [Signal::TERM, Signal::realtime(3)].contains(&signal);
            return self.stop(now, signal, (!plain).then_some(signal), actions);
        }
        let mut heard = false;
        let mut out = Orders { actions, last_run: &mut self.last_run };
        for (_, service) in self.services.iter_mut().filter(|(role, _)| *role == Role::Essential) {
            heard |= if signal == Signal::HUP && service.can_reload() {
                service.reload(now, &mut out)
            } else {
                service.forward(signal, &mut out)
            };
        }
        if !heard {
            self.note(actions, Level::Info, format!("{signal} not passed on: nobody is there to take it"));
        }
    }

    fn stop(&mut self, now: Mono, signal: Signal, as_is: Option<Signal>, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Booting | Phase::Running => {
                self.note(actions, Level::Info, format!("{signal}: stopping"));
                self.announce_stopping(actions);
                self.cancel_jobs(actions);
                self.stop_signal = as_is;
                self.drain(now, actions);
            }
            // A second one neither shortens nor lengthens anything that runs, but is passed on.
            Phase::Draining => {}
            Phase::Stopping => {
                let mut out = Orders { actions, last_run: &mut self.last_run };
                for (role, service) in &mut self.services {
                    if *role != Role::OnDemand {
                        service.stop(now, as_is, &mut out);
                    }
                }
            }
            Phase::Sweeping | Phase::Ended => {}
        }
    }

    /// Lets whoever is up serve for DrainSec more, and stops whoever is not.
    fn drain(&mut self, now: Mono, actions: &mut Vec<Action>) {
        let up = self.kept().filter(|service| serves(service));
        let patience = up.map(|service| service.spec().ours.drain).max().unwrap_or(Span::ZERO);
        if patience == Span::ZERO {
            return self.stop_services(now, actions);
        }
        self.note(actions, Level::Info, format!("draining for {patience}"));
        (self.phase, self.deadline) = (Phase::Draining, now.after(patience));
        let mut out = Orders { actions, last_run: &mut self.last_run };
        for (role, service) in &mut self.services {
            match role {
                Role::OnDemand => {}
                _ if service.state().is_active() => service.hold(),
                _ => service.stop(now, self.stop_signal, &mut out),
            }
        }
    }

    fn stop_services(&mut self, now: Mono, actions: &mut Vec<Action>) {
        (self.phase, self.deadline) = (Phase::Stopping, None);
        let mut out = Orders { actions, last_run: &mut self.last_run };
        for (role, service) in &mut self.services {
            if *role != Role::OnDemand {
                service.stop(now, self.stop_signal, &mut out);
            }
        }
    }

    fn tick(&mut self, now: Mono, actions: &mut Vec<Action>) {
        if self.deadline.is_none_or(|at| now < at) {
            return;
        }
        match self.phase {
            Phase::Draining => self.stop_services(now, actions),
            Phase::Sweeping if self.kills == KILLS_MAX => {
                self.note(actions, Level::Warn, "giving up on processes that SIGKILL does not end".into());
                self.end(actions);
            }
            Phase::Sweeping => {
                match self.kills {
                    0 => self.note(actions, Level::Warn, "processes are left after SIGTERM: killing".into()),
                    1 => self.note(actions, Level::Warn, "processes are still there after SIGKILL".into()),
                    _ => {}
                }
                self.kills += 1;
                self.sweep(Signal::KILL, actions);
                self.deadline = now.after(SWEEP_AGAIN);
            }
            Phase::Booting | Phase::Running | Phase::Stopping | Phase::Ended => self.deadline = None,
        }
    }

    /// What follows from where the services stand now.
    fn follow(&mut self, now: Mono, actions: &mut Vec<Action>) {
        let exited = |service: &Service| service.state() == State::Exited;
        if self.phase == Phase::Draining && !self.kept().any(serves) && self.kept().any(exited) {
            // Nobody is there any more who could be of use to anybody.
            self.stop_services(now, actions);
        }
        let first = if self.stays { Phase::Draining } else { Phase::Running };
        let begun = (first..Phase::Sweeping).contains(&self.phase);
        if begun && self.kept().all(|service| service.state().is_inactive() && !service.is_checking()) {
            // The services are down for good. Whoever is left belongs to nobody: a role of ours, a
            // process that KillMode= spared.
            self.phase = Phase::Sweeping;
            self.announce_stopping(actions);
            // Else a role would come back as often as it is swept away.
            let mut out = Orders { actions, last_run: &mut self.last_run };
            for (_, service) in self.services.iter_mut().filter(|(role, _)| *role == Role::OnDemand) {
                service.stop(now, None, &mut out);
            }
            let linger = self.kept().map(|s| s.spec().ours.linger).filter(|s| !s.is_infinite()).max();
            self.sweep(Signal::TERM, actions);
            self.deadline = now.after(linger.unwrap_or(SWEEP));
        }
    }

    fn end(&mut self, actions: &mut Vec<Action>) {
        (self.phase, self.deadline) = (Phase::Ended, None);
        let status = self.status();
        actions.push(Action::Exit { status });
    }

    fn sweep(&self, signal: Signal, actions: &mut Vec<Action>) {
        actions.push(Action::Signal { unit: UnitId(0), whom: Whom::Everything, signal });
    }

    fn announce_stopping(&mut self, actions: &mut Vec<Action>) {
        if !self.announced_stopping {
            self.announced_stopping = true;
            actions.push(Action::Announce("STOPPING=1".to_owned()));
        }
    }

    /// Tells whoever started us what has changed for them.
    fn announce(&mut self, actions: &mut Vec<Action>) {
        let ready = self.phase == Phase::Running && self.essential().all(|s| s.state().is_active());
        if ready && !self.announced_ready {
            self.announced_ready = true;
            actions.push(Action::Announce("READY=1".to_owned()));
        }
        let text = self.essential().next().map_or("", Service::status_text);
        if text != self.announced_status {
            let text = text.to_owned();
            actions.push(Action::Announce(format!("STATUS={text}")));
            self.announced_status = text;
        }
    }

    fn essential(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|(role, _)| *role == Role::Essential).map(|(_, service)| service)
    }

    /// Everybody but our own roles.
    fn kept(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|(role, _)| *role != Role::OnDemand).map(|(_, service)| service)
    }

    /// The status to end with: that of the first essential service that has failed, else of the first.
    fn status(&self) -> u8 {
        let failed = self.essential().find(|service| service.result() != Outcome::Success);
        let Some(service) = failed.or(self.essential().next()) else { return 0 };
        let status = exit_status(service);
        service.spec().ours.exit_status_map.get(&status).copied().unwrap_or(status)
    }

    /// One decision about a unit.
    pub(super) fn note_on(&self, unit: UnitId, level: Level, text: String, actions: &mut Vec<Action>) {
        if let Some(service) = self.service(unit) {
            let (state, result) = (Some(service.state()), Some(service.result()));
            actions.push(Action::Note(Note { level, unit: Some(unit), text, state, result, exit: None }));
        }
    }

    fn note(&self, actions: &mut Vec<Action>, level: Level, text: String) {
        actions.push(Action::Note(Note { level, unit: None, text, state: None, result: None, exit: None }));
    }
}

/// Whether a drain would be for it: it is up, and not only by word.
fn serves(service: &Service) -> bool {
    service.state().is_active() && service.state() != State::Exited
}
