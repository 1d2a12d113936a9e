//! Actions into system calls.
#![forbid(unsafe_code)]

use super::sys::process::{is_child, kill};
use super::wait::Source;
use super::{HEALTH, HEALTH_ROLE, Host, health, log, tree};
use crate::engine::{Action, Event, Level, Spawn, SpawnFailure, UnitId, Whom};
use crate::launch;
use crate::plan::{self, Enforcement, Plan, PlanError};
use crate::unit::spec::{ExecKind, NotifyAccess, Signal, status};
use ::log::warn;
use nix::errno::Errno;
use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd, OwnedFd};

/// How often we look for what keeps appearing to freeze it, before what is known is killed all the same.
const LOOKS_MAX: u32 = 256;

impl Host {
    /// Carries one action out. Returns a status when it is the end.
    pub(super) fn perform(&mut self, action: Action) -> Option<u8> {
        match action {
            Action::Spawn(spawn) => {
                let run = spawn.run;
                let fact = match self.spawn(spawn) {
                    Ok(()) => Event::Spawned { run },
                    Err(failure) => Event::SpawnFailed { run, failure },
                };
                self.yielded.push(fact);
            }
            Action::Signal { unit, whom, signal } => self.signal(unit, whom, signal),
            Action::FindMain { run, .. } => {
                let reason = "processes of others cannot be adopted yet".to_owned();
                self.yielded.push(Event::MainNotFound { run, reason, empty: false });
            }
            Action::CheckConditions { run, .. } => {
                self.yielded.push(Event::Conditions { run, met: true, assert_failed: false });
            }
            // Nobody asks, so nobody is answered.
            Action::Reply { .. } => {}
            Action::Announce(assignments) => self.announce(&assignments),
            Action::Note(note) => self.note(&note),
            Action::Exit { status } => return Some(status),
        }
        None
    }

    fn spawn(&mut self, spawn: Spawn) -> Result<(), SpawnFailure> {
        let (unit, run, kind) = (spawn.unit, spawn.run, spawn.kind);
        // The first line is what is started again and again; the further ones of a oneshot are not.
        let main = unit != HEALTH && kind == ExecKind::Start && spawn.index == 0;
        // The role's end of its channel, which is to be open until the role is there.
        let mut _channel = None;
        let plan = if unit == HEALTH {
            let (plan, channel) = match self.plan_role() {
                Ok(planned) => planned,
                Err(failure) => return self.cannot_spawn(unit, kind, HEALTH_ROLE, failure),
            };
            _channel = Some(channel);
            plan
        } else {
            match if main { self.main_plan.take() } else { None } {
                Some(plan) => plan,
                None => self.compile(spawn)?,
            }
        };
        // A child may end before anyone could open its pidfd.
        self.reaper.attend(&mut self.ended);
        let spawned = launch::spawn(&plan);
        let done = match spawned {
            Ok(pid) => {
                self.reaper.born(run, unit, pid);
                if let Some(probes) = self.probes.as_mut().filter(|_| unit == HEALTH) {
                    probes.complained = false;
                }
                Ok(())
            }
            Err(failure) => {
                let program = plan.argv.first().map(|arg| arg.to_string_lossy()).unwrap_or_default();
                self.cannot_spawn(unit, kind, &program, failure)
            }
        };
        if main {
            self.main_plan = Some(plan);
        }
        done
    }

    /// Tells why. The role is tried again for as long as a client waits, and that is told once.
    fn cannot_spawn(
        &mut self,
        unit: UnitId,
        kind: ExecKind,
        program: &str,
        failure: SpawnFailure,
    ) -> Result<(), SpawnFailure> {
        let role = self.probes.as_mut().filter(|_| unit == HEALTH);
        if !role.is_some_and(|probes| std::mem::replace(&mut probes.complained, true)) {
            self.warn(unit, Level::Error, format!("{}={program}: {}", kind.directive(), words(failure)));
        }
        Err(failure)
    }

    fn compile(&mut self, spawn: Spawn) -> Result<Plan, SpawnFailure> {
        let gone = SpawnFailure::Resources { errno: libc::ENOENT };
        let service = self.engine.service(spawn.unit).ok_or(gone)?;
        let spec = service.spec();
        let command = spec.service.commands(spawn.kind).get(spawn.index).ok_or(gone)?;
        let mut environment = self.environment.clone();
        let mut set = |name: &str, value: OsString| environment.push((name.into(), value));
        if let Some(socket) =
            self.notify.as_ref().filter(|_| spec.service.notify_access() != NotifyAccess::None)
        {
            set("NOTIFY_SOCKET", socket.address().to_owned());
        }
        if spec.service.watchdog.as_micros() > 0 {
            set("WATCHDOG_USEC", spec.service.watchdog.as_micros().to_string().into());
        }
        if let Some(pid) = spawn.main.and_then(|run| self.reaper.pid(run)) {
            set("MAINPID", pid.to_string().into());
        }
        for (name, value) in spawn.environment {
            set(name, value.into());
        }
        // It wins over what is set here, as with systemd.
        environment.extend(spec.exec.environment.iter().cloned());
        let main = spawn.kind == ExecKind::Start;
        let state = self.signals.original();
        let foreground = main && self.foreground;
        match plan::compile(spec, command, &environment, &self.facility, state, foreground) {
            Ok(compiled) => {
                for holding in compiled.holdings.iter().filter(|_| main) {
                    if let Enforcement::Degraded(how) = &holding.by {
                        self.warn(
                            spawn.unit,
                            Level::Warn,
                            format!("{}= is degraded: {how}", holding.directive),
                        );
                    }
                }
                Ok(compiled.plan)
            }
            Err(PlanError { status, message }) => {
                self.warn(spawn.unit, Level::Error, message);
                Err(SpawnFailure::Setup { status, errno: 0 })
            }
        }
    }

    fn plan_role(&mut self) -> Result<(Plan, OwnedFd), SpawnFailure> {
        let resources = |e: Errno| SpawnFailure::Resources { errno: e as i32 };
        let Some(probes) = &mut self.probes else {
            return Err(SpawnFailure::Resources { errno: libc::ENOENT });
        };
        let (ours, theirs) = health::channel().map_err(resources)?;
        self.waiting.watch(&self.signals, &ours, Source::Channel).map_err(resources)?;
        probes.channel = Some(ours);
        let mut argv = vec![CString::from(c"tinysvc-health")];
        argv.extend(log::words_for_role().map(CString::from));
        let descriptors = vec![(probes.listener.as_raw_fd(), 0), (theirs.as_raw_fd(), 1)];
        Ok((plan::role_plan(probes.image.as_raw_fd(), argv, descriptors, &self.facility), theirs))
    }

    fn signal(&mut self, unit: UnitId, whom: Whom, signal: Signal) {
        let sent = match whom {
            Whom::Process(run) => self.reaper.signal(run, signal),
            Whom::Group(run) => match self.reaper.pid(run) {
                Some(pid) => kill(-pid, signal.number()),
                None => Ok(()),
            },
            Whom::Rest { main, control } => {
                if self.reaper.nobody() {
                    return;
                }
                let spared = [main, control].into_iter().flatten().filter_map(|run| self.reaper.pid(run));
                let spared: Vec<i32> = spared.collect();
                return self.signal_service(unit, &spared, signal);
            }
            Whom::Everything => {
                if self.reaper.nobody() {
                    return;
                }
                if !self.is_pid1 {
                    return self.told(unit, signal, self.signal_below(&[], &[], signal));
                }
                // As PID 1 this is everything in the namespace, at once: nobody can fork out of it.
                kill(-1, signal.number())
            }
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(e) => self.told(unit, signal, Err(e.desc())),
        }
    }

    fn told(&self, unit: UnitId, signal: Signal, sent: Result<(), &str>) {
        if let Err(why) = sent {
            self.warn(unit, Level::Warn, format!("cannot send {signal}: {why}"));
        }
    }

    /// Signals every process of the one service but those spared: all below us that are no role's.
    fn signal_service(&self, unit: UnitId, spared: &[i32], signal: Signal) {
        let roles: Vec<i32> = self.reaper.pids_of(HEALTH).collect();
        let sent = self.signal_below(&roles, spared, signal);
        if sent.is_err() && self.is_pid1 && spared.is_empty() {
            // Without /proc nobody can be told apart. The role that dies of it comes back with the next probe.
            let _none = kill(-1, signal.number());
        } else {
            self.told(unit, signal, sent);
        }
    }

    fn signal_below(&self, except: &[i32], spared: &[i32], signal: Signal) -> Result<(), &'static str> {
        let each = |pid: i32, signal: Signal| {
            if !spared.contains(&pid) {
                // One that has ended meanwhile, or is another user's below a subreaper without privilege.
                let _not_signalled = kill(pid, signal.number());
            }
        };
        let mut family = tree::Family::below(std::process::id() as i32, except);
        if signal != Signal::KILL {
            family.look(|pid| each(pid, signal))?;
            return Ok(());
        }
        // Whatever is frozen forks no more. When nothing new has appeared, all of it is.
        let mut looks = 0;
        while looks < LOOKS_MAX && family.look(|pid| each(pid, Signal::STOP))? {
            looks += 1;
        }
        family.members.iter().for_each(|pid| each(*pid, signal));
        if looks == LOOKS_MAX && self.is_pid1 {
            // It cannot be frozen, and outgrows its end. Nobody can fork out of this; what it hits beside the service are
            // our roles and whoever was let in from outside, and whom we spare gets the same signal from us.
            let _none = kill(-1, signal.number());
        }
        Ok(())
    }

    /// Whether nothing is left of a unit, or below us at all.
    pub(super) fn is_empty(&mut self, unit: Option<UnitId>) -> bool {
        if self.reaper.nobody() {
            return true;
        }
        let roles: Vec<i32> = self.reaper.pids_of(HEALTH).collect();
        match unit {
            None => false,
            Some(_) if roles.is_empty() => false,
            // A walk for each of ten thousand that end would be a hundred million looks.
            Some(_) if self.witness.is_some_and(|pid| !roles.contains(&pid) && is_child(pid)) => false,
            Some(_) => match tree::descendants(std::process::id() as i32, &roles) {
                Ok(left) => {
                    self.witness = left.iter().rev().copied().find(|pid| is_child(*pid));
                    left.is_empty()
                }
                Err(e) => {
                    warn!("cannot tell who is left, ending our own roles first: {e}");
                    for pid in roles {
                        // It has ended already, then.
                        let _ended = kill(pid, Signal::KILL.number());
                    }
                    false
                }
            },
        }
    }
}

/// What failed, in words: the step and the errno's own.
fn words(failure: SpawnFailure) -> String {
    let (step, errno) = match failure {
        SpawnFailure::Resources { errno } => ("make a process", errno),
        SpawnFailure::Setup { status, errno } => (step(status), errno),
    };
    format!("cannot {step}: {}", Errno::from_raw(errno).desc())
}

/// The step that fails with this exit status, and the directive behind it.
const fn step(exit: u8) -> &'static str {
    match exit {
        status::CHDIR => "change the working directory (WorkingDirectory=)",
        status::NICE => "set the priority (Nice=)",
        status::FDS => "pass the descriptors on",
        status::LIMITS => "set a resource limit (Limit*=)",
        status::OOM_ADJUST => "set the OOM score (OOMScoreAdjust=)",
        status::SIGNAL_MASK => "restore the signals",
        status::SECUREBITS => "set the secure bits (SecureBits=)",
        status::GROUP => "set the groups (Group=, SupplementaryGroups=)",
        status::USER => "set the user (User=)",
        status::CAPABILITIES => "set the capabilities (CapabilityBoundingSet=, AmbientCapabilities=)",
        status::SETSID => "make a session or process group",
        status::NO_NEW_PRIVILEGES => "give up new privileges (NoNewPrivileges=)",
        status::SECCOMP => "install a filter (SystemCallFilter=, SystemCallArchitectures=)",
        status::ADDRESS_FAMILIES => "install a filter (RestrictAddressFamilies=)",
        _ => "execute",
    }
}
